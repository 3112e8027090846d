import NexaStorage

/// What a write request may ask for.
package struct WriteOptions: Sendable {
    /// When the write counts as acknowledged.
    package var durability = Durability.disk
    /// Take `id` as the key of a new document that has no `_id` (plain dialect).
    package var usesIDField = false
    /// UPDATE of a key that does not exist creates the document.
    package var upserts = false
    /// Refuse with CONFLICT unless the document's `_rev` is this.
    package var ifMatch: LSN?
    /// Whether the call may wait for the disk; without, it throws `DocumentError.wouldBlock` before it has changed anything.
    package var mayBlock = true

    package init() {}
}

/// What a write did. The bytes are valid until the next call on the worker.
package struct WriteResult {
    /// The write's position: the answer may leave when this is durable.
    package let lsn: LSN
    /// The document as stored. For the marker documents of existing clients, which are not stored, what would have been.
    package let document: DocumentView
    /// False if an existing document was changed.
    package let isNew: Bool
    /// The write is a repeated one, and its document has been deleted since: all of `document` that is left is its key.
    package var isGone = false
}
