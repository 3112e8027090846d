import CSupport

/// Walks tables that do not overlap, given in key order, as one run; a single table is a run of one. Holds one block at a time.
///
/// Within a block a step is one C call that writes the entry in place; only at the end of a block the cache is asked.
package final class LevelIterator: InternalIterator {
    private let tables: [TableReader]
    private let options: TableReadOptions
    private let cursor: UnsafeMutablePointer<nexa_block_cursor>
    private var keyBuffer: UnsafeMutablePointer<UInt8>
    private var pin = BlockPin()
    private var readAhead: TableReadAhead?
    /// Where the current block is.
    private var tableIndex = 0
    private var ordinal = 0

    private static let keyCapacityMin = 256

    /// - Parameter tables: in key order, each with all keys below those of the next.
    package init(_ tables: [TableReader], options: TableReadOptions = TableReadOptions()) {
        self.tables = tables
        self.options = options
        readAhead = options.fillCache ? nil : TableReadAhead()
        keyBuffer = .allocate(capacity: LevelIterator.keyCapacityMin)
        cursor = .allocate(capacity: 1)
        cursor.initialize(to: nexa_block_cursor())
        cursor.pointee.key_buffer = keyBuffer
        cursor.pointee.key_capacity = LevelIterator.keyCapacityMin
        // The entry is the first member of the cursor.
        super.init(entry: UnsafeMutableRawPointer(cursor).assumingMemoryBound(to: nexa_entry.self))
    }

    deinit {
        // Before the tables go, and with them perhaps the cache.
        pin.release()
        keyBuffer.deallocate()
        cursor.deallocate()
    }

    package override func seekToFirst() throws(StorageError) {
        entry.pointee.valid = false
        tableIndex = -1
        try enterNextTable()
    }

    package override func seek(_ key: UnsafeRawBufferPointer, _ lsn: LSN) throws(StorageError) {
        entry.pointee.valid = false
        tableIndex = firstTable(endingAtOrAfter: key)
        try seekInTable(key, lsn)
    }

    package override func next() throws(StorageError) {
        nexa_block_cursor_next(cursor)
        if !entry.pointee.valid { try enterNextBlock() }
    }

    override func skipHidden(to end: UnsafeRawBufferPointer, by tombstone: LSN) throws(StorageError) -> Bool {
        guard entry.pointee.valid, tables[tableIndex].info.lsnMax < tombstone else { return false }
        // Tables that the tombstone covers whole and that hold nothing newer are not even opened.
        while tableIndex < tables.count, tables[tableIndex].info.lsnMax < tombstone,
            isBelow(tables[tableIndex].info.largest, end)
        {
            tableIndex += 1
        }
        entry.pointee.valid = false
        guard tableIndex < tables.count else { return true }
        if tables[tableIndex].info.lsnMax < tombstone {
            try seekInTable(end, .max)
        } else {
            tableIndex -= 1
            try enterNextTable()
        }
        return true
    }

    // MARK: tables

    private func firstTable(endingAtOrAfter key: UnsafeRawBufferPointer) -> Int {
        var low = 0
        var high = tables.count
        while low < high {
            let middle = (low + high) / 2
            let isBelowKey = tables[middle].info.largest.withUnsafeBytes { compareKeys($0, key) < 0 }
            if isBelowKey { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// In this table or, where it ends before the target, a later one. (The end of a range tombstone can be the bound of a table and
    /// the first key of the next: that one has to be searched as well.)
    private func seekInTable(_ key: UnsafeRawBufferPointer, _ lsn: LSN) throws(StorageError) {
        while tableIndex < tables.count {
            if let index = tables[tableIndex].index {
                ordinal = index.ordinal(key, lsn)
                if ordinal < index.count {
                    try attach()
                    nexa_block_cursor_seek(cursor, key.bytePointer, key.count, lsn)
                    if entry.pointee.valid { return }
                    if ordinal + 1 < index.count { return try enterNextBlock() }
                }
            }
            tableIndex += 1
        }
    }

    private func enterNextTable() throws(StorageError) {
        repeat { tableIndex += 1 } while tableIndex < tables.count && tables[tableIndex].index == nil
        guard tableIndex < tables.count else { return }
        ordinal = 0
        try attach()
        nexa_block_cursor_first(cursor)
    }

    // MARK: blocks

    private func enterNextBlock() throws(StorageError) {
        guard let index = tables[tableIndex].index, ordinal + 1 < index.count else { return try enterNextTable() }
        ordinal += 1
        try attach()
        nexa_block_cursor_first(cursor)
    }

    /// Puts the cursor on the block at (tableIndex, ordinal), invalid.
    private func attach() throws(StorageError) {
        let table = tables[tableIndex]
        guard let index = table.index else { return }
        let block: UnsafePointer<nexa_block>
        if readAhead == nil {
            block = try table.block(ordinal, of: index, promote: true, mayBlock: options.mayBlock, pin: &pin)
        } else if let cached = table.cache.find(
            context: table.footer.fileContext, offset: index.offset(ordinal), promote: false, pin: &pin)
        {
            block = cached
        } else {
            guard options.mayBlock else { throw .wouldBlock }
            let loaded = try readAhead!.block(ordinal, of: index, in: table)
            block = pin.hold(loaded, in: nil, context: table.footer.fileContext, offset: index.offset(ordinal))
        }
        growKeyBuffer(Int(block.pointee.key_len_max) + Int(NEXA_KEY_BUFFER_SLACK))
        let status = nexa_block_cursor_attach(cursor, block)
        precondition(status == NEXA_OK, "the key buffer was grown to the block's longest key")
    }

    private func growKeyBuffer(_ byteCount: Int) {
        guard byteCount > cursor.pointee.key_capacity else { return }
        keyBuffer.deallocate()
        let capacity = max(byteCount, 2 * cursor.pointee.key_capacity)
        keyBuffer = .allocate(capacity: capacity)
        cursor.pointee.key_buffer = keyBuffer
        cursor.pointee.key_capacity = capacity
    }
}
