/// What a memtable knows of a key at an LSN. The value's bytes live as long as the memtable.
package enum MemTableLookup {
    case value(UnsafeRawBufferPointer, LSN)
    case deleted(LSN)
    case absent
}

/// The newest entries in memory: many concurrent inserters, lock-free readers, a fixed capacity.
package final class MemTable: Sendable {
    package let id: UInt64
    package init(capacity: Int, id: UInt64) throws(StorageError) { fatalError("not built yet") }

    /// A memtable that can hold this much without the fixed cost per entry counted by the caller; false means full: rotate.
    package func insert(kind: OpKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, lsn: LSN) -> Bool {
        fatalError("not built yet")
    }
    package func insertRangeTombstone(start: UnsafeRawBufferPointer, end: UnsafeRawBufferPointer, lsn: LSN) -> Bool {
        fatalError("not built yet")
    }
    /// The newest point entry of `key` with an LSN of at most `lsn`. Range tombstones: ask `coveringTombstone`.
    package func get(_ key: UnsafeRawBufferPointer, at lsn: LSN) -> MemTableLookup { fatalError("not built yet") }
    /// The newest range tombstone with an LSN of at most `lsn` that covers `key`; 0 when none. One relaxed load when there are none.
    package func coveringTombstone(_ key: UnsafeRawBufferPointer, at lsn: LSN) -> LSN { fatalError("not built yet") }
    package var rangeTombstones: RangeTombstoneSet { fatalError("not built yet") }
    package func makeIterator() -> InternalIterator { fatalError("not built yet") }
    /// Bytes of the arena in use.
    package var byteCount: Int { fatalError("not built yet") }
    package var capacity: Int { fatalError("not built yet") }
    package var entryCount: Int { fatalError("not built yet") }
    package var isEmpty: Bool { fatalError("not built yet") }
    /// Upper bound of the arena bytes that one insert of this size takes: lets a caller reserve before it inserts.
    package static func insertByteCountMax(keyByteCount: Int, valueByteCount: Int) -> Int { fatalError("not built yet") }
}
