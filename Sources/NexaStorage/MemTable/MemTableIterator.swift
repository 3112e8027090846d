import CSupport

/// Walks a memtable without a lock. Key and value lie in the arena: valid as long as the table, which the iterator keeps alive.
final class MemTableIterator: InternalIterator {
    private let table: MemTable
    private let cursor: UnsafeMutablePointer<nexa_skiplist_cursor>

    init(_ table: MemTable, list: OpaquePointer) {
        self.table = table
        cursor = .allocate(capacity: 1)
        cursor.initialize(to: nexa_skiplist_cursor())
        cursor.pointee.list = list
        // The entry is the first member of the cursor.
        super.init(entry: UnsafeMutableRawPointer(cursor).assumingMemoryBound(to: nexa_entry.self))
    }

    deinit { cursor.deallocate() }

    override func seekToFirst() throws(StorageError) { nexa_skiplist_cursor_first(cursor) }
    override func seek(_ key: UnsafeRawBufferPointer, _ lsn: LSN) throws(StorageError) {
        nexa_skiplist_cursor_seek(cursor, key.bytePointer, key.count, lsn)
    }
    override func next() throws(StorageError) { nexa_skiplist_cursor_next(cursor) }
}
