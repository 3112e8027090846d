/// Walks entries in internal order: user key ascending bytewise, then LSN descending. Range tombstones are never among the entries.
package class InternalIterator {
    package final var isValid: Bool { fatalError("not built yet") }
    /// The current key; valid until the iterator moves.
    package final var key: UnsafeRawBufferPointer { fatalError("not built yet") }
    package final var value: UnsafeRawBufferPointer { fatalError("not built yet") }
    package final var lsn: LSN { fatalError("not built yet") }
    package final var kind: OpKind { fatalError("not built yet") }
    package func seekToFirst() throws(StorageError) { fatalError("not built yet") }
    package func seekToLast() throws(StorageError) { fatalError("not built yet") }
    /// The first entry at or behind (key, lsn): the newest version of `key` that a reader at `lsn` may see, or what follows.
    package func seek(_ key: UnsafeRawBufferPointer, _ lsn: LSN) throws(StorageError) { fatalError("not built yet") }
    package func next() throws(StorageError) { fatalError("not built yet") }
    package func prev() throws(StorageError) { fatalError("not built yet") }
}
