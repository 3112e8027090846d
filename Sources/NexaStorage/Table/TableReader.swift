import CSupport

/// What a table knows of a key at an LSN. The value's bytes live as long as the pin that was passed.
package enum TableLookup {
    case value(UnsafeRawBufferPointer, LSN)
    case deleted(LSN)
    case absent
}

/// How an iterator reads a table.
package struct TableReadOptions: Sendable {
    /// Blocks read go into the cache. Off for compactions, backups and large scans: those read ahead in large chunks.
    package var fillCache = true
    /// Off: a block that is not cached throws `wouldBlock` instead of reading the disk.
    package var mayBlock = true

    package init(fillCache: Bool = true, mayBlock: Bool = true) {
        self.fillCache = fillCache
        self.mayBlock = mayBlock
    }
}

/// An open table: index and filter in memory, data blocks through the cache. Immutable; any number of threads.
///
/// Everything that comes from the file is checked before it is used, and what is damaged throws `corruption` with file and offset.
package final class TableReader: Sendable {
    package let path: String
    package let info: TableInfo
    package let rangeTombstones: RangeTombstoneSet
    let cache: BlockCache
    let file: any File
    let footer: TableFooter
    /// Nil: no data blocks.
    let index: TableIndex?
    /// Nil: written without one.
    let filter: TableFilter?

    init(_ opening: TableOpening, metadata: TableOpening.Metadata, cache: BlockCache) {
        path = opening.path
        file = opening.file
        footer = opening.footer
        info = metadata.info
        index = metadata.index
        filter = metadata.filter
        rangeTombstones = metadata.rangeTombstones
        self.cache = cache
    }

    deinit { file.close() }

    /// Bytes held in memory as long as the reader lives: index, filter, range tombstones and what goes with an open file.
    package var residentByteCount: Int {
        Self.overheadByteCount + (index?.byteCount ?? 0) + (filter?.byteCount ?? 0) + rangeTombstones.residentByteCount
    }

    /// The reader, its properties and keys, the kernel's file, rounded up.
    private static let overheadByteCount = 2048

    /// The newest point entry of `key` with an LSN of at most `lsn`; `hash` is `filterHash(key)`. Range tombstones: ask
    /// `coveringTombstone`. Without disk access: no lock, no allocation.
    package func get(
        _ key: UnsafeRawBufferPointer, hash: UInt64, at lsn: LSN, pin: inout BlockPin, mayBlock: Bool
    ) throws(StorageError) -> TableLookup {
        if let filter, !filter.mayContain(hash) { return .absent }
        guard let index else { return .absent }
        let ordinal = index.ordinal(key, lsn)
        guard ordinal < index.count else { return .absent }
        let block = try self.block(ordinal, of: index, promote: true, mayBlock: mayBlock, pin: &pin)
        var entry = nexa_entry()
        guard nexa_block_get(block, key.bytePointer, key.count, lsn, &entry) else { return .absent }
        if entry.kind == OpKind.delete.rawValue { return .deleted(entry.lsn) }
        return .value(UnsafeRawBufferPointer(start: entry.value, count: Int(entry.value_len)), entry.lsn)
    }

    /// The newest range tombstone with an LSN of at most `lsn` that covers `key`; 0 when none does.
    package func coveringTombstone(_ key: UnsafeRawBufferPointer, at lsn: LSN) -> LSN {
        rangeTombstones.isEmpty ? 0 : rangeTombstones.covering(key, at: lsn)
    }

    /// Walks the point entries; keeps the reader alive.
    package func makeIterator(_ options: TableReadOptions = TableReadOptions()) -> InternalIterator {
        LevelIterator([self], options: options)
    }

    // MARK: blocks

    /// A data block from the cache, or read into it.
    @inline(__always)
    func block(
        _ ordinal: Int, of index: TableIndex, promote: Bool, mayBlock: Bool, pin: inout BlockPin
    ) throws(StorageError) -> UnsafePointer<nexa_block> {
        let offset = index.offset(ordinal)
        if let block = cache.find(context: footer.fileContext, offset: offset, promote: promote, pin: &pin) { return block }
        guard mayBlock else { throw .wouldBlock }
        return try cache.findOrLoad(context: footer.fileContext, offset: offset, promote: promote, pin: &pin) {
            () throws(StorageError) in try self.readDataBlock(ordinal, of: index)
        }
    }

    private func readDataBlock(_ ordinal: Int, of index: TableIndex) throws(StorageError) -> UnsafeMutablePointer<LoadedBlock> {
        let handle = index.handle(ordinal)
        let stored = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(handle.byteCount), alignment: 16)
        defer { stored.deallocate() }
        try TableReader.readFully(file, path, into: stored, at: handle.offset)
        return try decodeDataBlock(UnsafeRawBufferPointer(stored), at: handle.offset)
    }

    func decodeDataBlock(_ stored: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError) -> UnsafeMutablePointer<
        LoadedBlock
    > {
        guard let loaded = LoadedBlock.decode(stored, type: .data, context: footer.fileContext, offset: offset) else {
            throw TableReader.damage(path, offset, "the data block does not match its checksum or its format")
        }
        return loaded
    }

    static func readFully(
        _ file: any File, _ path: String, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(StorageError) {
        let count = try file.read(into: buffer, at: offset)
        guard count == buffer.count else { throw damage(path, offset + UInt64(count), "the file ends too early") }
    }

    static func damage(_ path: String, _ offset: UInt64, _ reason: String) -> StorageError {
        .corruption(
            Corruption(
                file: path, offset: offset, reason: reason,
                remedy: "`nexadb check` lists all damage; restore the file from a backup, or resync this node from another one"))
    }
}
