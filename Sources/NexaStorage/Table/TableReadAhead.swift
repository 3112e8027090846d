/// Blocks of a table for one walk that keeps out of the cache: while the walk goes forward, many blocks come with one read.
struct TableReadAhead: ~Copyable {
    /// One read, where the walk is sequential.
    static let chunkByteCount = 256 << 10

    private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// What of the buffer holds bytes of the file with this context, from `start` on.
    private var context: UInt64 = 0
    private var start: UInt64 = 0
    private var filled = 0

    init() {}

    deinit { buffer.deallocate() }

    /// The block, owned by the caller.
    mutating func block(
        _ ordinal: Int, of index: TableIndex, in table: TableReader
    ) throws(StorageError) -> UnsafeMutablePointer<LoadedBlock> {
        try table.decodeDataBlock(try stored(ordinal, of: index, in: table), at: index.offset(ordinal))
    }

    /// The block as it is on disk; valid until the next call.
    mutating func stored(_ ordinal: Int, of index: TableIndex, in table: TableReader) throws(StorageError)
        -> UnsafeRawBufferPointer
    {
        let handle = index.handle(ordinal)
        if !holds(handle, of: table) { try fill(from: ordinal, of: index, in: table) }
        let position = Int(handle.offset - start)
        return UnsafeRawBufferPointer(rebasing: buffer[position..<(position + Int(handle.byteCount))])
    }

    private func holds(_ handle: BlockHandle, of table: TableReader) -> Bool {
        context == table.footer.fileContext && handle.offset >= start && handle.end <= start + UInt64(filled)
    }

    private mutating func fill(from ordinal: Int, of index: TableIndex, in table: TableReader) throws(StorageError) {
        let first = index.handle(ordinal)
        // A walk that comes from the block before will go on; any other reads just what it asked for.
        let isSequential = context == table.footer.fileContext && start + UInt64(filled) == first.offset || first.offset == 0
        var end = first.end
        var following = ordinal + 1
        while isSequential, following < index.count,
            index.handle(following).end - first.offset <= UInt64(TableReadAhead.chunkByteCount)
        {
            end = index.handle(following).end
            following += 1
        }
        filled = 0
        let byteCount = Int(end - first.offset)
        if byteCount > buffer.count {
            buffer.deallocate()
            buffer = .allocate(byteCount: byteCount, alignment: 4096)
        }
        try TableReader.readFully(
            table.file, table.path, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<byteCount]), at: first.offset)
        context = table.footer.fileContext
        start = first.offset
        filled = byteCount
    }
}
