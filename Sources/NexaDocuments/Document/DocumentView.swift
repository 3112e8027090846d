import NexaStorage
import NexaWire

/// What stands in front of every stored document.
///
///     value = [ u8 flags ][ MessagePack map ]
///     map   = _id, _created_at, _updated_at, then the user's fields in their order
package struct DocumentFlags: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The user gave a top-level field `id` of his own, which the plain dialect must not cover.
    package static let ownID = DocumentFlags(rawValue: 1)
    /// There is a top-level field `vector`.
    package static let vector = DocumentFlags(rawValue: 2)
    /// The write replaced an earlier version: for readers of the log an update, not an insert.
    package static let replaced = DocumentFlags(rawValue: 4)
}

/// A stored document, as borrowed bytes: valid until the next call on whatever made the view.
package struct DocumentView {
    /// The document's key: the text of `_id`, without MessagePack header.
    package let key: UnsafeRawBufferPointer
    /// The MessagePack map.
    package let bytes: UnsafeRawBufferPointer
    package let flags: DocumentFlags
    /// Position of the write that made it: the document's `_rev`.
    package let lsn: LSN

    /// Splits a stored value; nil if it cannot be one.
    @inline(__always)
    init?(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lsn: LSN) {
        guard value.count > 1 else { return nil }
        self.key = key
        bytes = UnsafeRawBufferPointer(rebasing: value[1...])
        flags = DocumentFlags(rawValue: value[0])
        self.lsn = lsn
    }

    init(key: UnsafeRawBufferPointer, bytes: UnsafeRawBufferPointer, flags: DocumentFlags, lsn: LSN) {
        self.key = key
        self.bytes = bytes
        self.flags = flags
        self.lsn = lsn
    }
}

/// How a document leaves: the differences between the dialects.
package struct DocumentShape: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Put `id`, equal to `_id`, in front if the document has no `id` of its own (plain dialect).
    package static let addsID = DocumentShape(rawValue: 1)
    /// Leave the top-level field `vector` out (envelope dialect without `include_vector`).
    package static let dropsVector = DocumentShape(rawValue: 2)
    /// Add `_rev` (the request asked with `rev: true`).
    package static let addsRevision = DocumentShape(rawValue: 4)

    package static let plain: DocumentShape = [.addsID]
    package static let envelope: DocumentShape = [.dropsVector]
}
