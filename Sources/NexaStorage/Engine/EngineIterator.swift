// Ordered reads over one view: what a key shows at one LSN, with deletions and range deletions applied, in both directions.

/// An iterator over user keys. Confined to a thread; keeps its view alive until it is dropped.
package final class EngineIterator {
    init() {}

    /// Stands on an entry.
    package var isValid: Bool { fatalError("not built yet") }
    /// Key of the entry; valid until the iterator moves.
    package var key: UnsafeRawBufferPointer { fatalError("not built yet") }
    /// Value of the entry; valid until the iterator moves.
    package var value: UnsafeRawBufferPointer { fatalError("not built yet") }
    /// LSN of the write that made the entry.
    package var lsn: LSN { fatalError("not built yet") }

    /// To the first entry within the bounds.
    package func seekToFirst() throws(StorageError) { fatalError("not built yet") }
    /// To the last entry within the bounds.
    package func seekToLast() throws(StorageError) { fatalError("not built yet") }
    /// To the first entry at or after `key`.
    package func seek(to key: UnsafeRawBufferPointer) throws(StorageError) { fatalError("not built yet") }
    /// To the last entry before `key`.
    package func seek(before key: UnsafeRawBufferPointer) throws(StorageError) { fatalError("not built yet") }
    /// To the next entry; the iterator must be valid.
    package func next() throws(StorageError) { fatalError("not built yet") }
    /// To the previous entry; the iterator must be valid.
    package func previous() throws(StorageError) { fatalError("not built yet") }
}
