import CSupport

/// How a table is written.
package struct TableOptions: Sendable {
    /// Raw bytes of a data block at which it is cut.
    package var blockByteCount = 16 << 10
    /// Entries between two that store their whole key.
    package var restartInterval = 16
    /// Bloom bits per key; 0 writes no filter.
    package var filterBitsPerKey = 10
    /// LZ4 for blocks where it saves at least 12 %.
    package var compresses = true
    /// Which store wrote the table; goes into the footer.
    package var storeUUID = StoreUUID(high: 0, low: 0)

    package init() {}
}

/// Writes one table; entries come in strict internal order (a repeated key and LSN: only the first).
///
///     data block* | filter? | range tombstones? | index? | properties | meta-index | footer (TableFooter)
///
/// The index has one entry a data block: a key at or above its last entry and below the next block's first, with the block's handle.
/// The meta-index maps names to handles; a name that starts with "!" must be understood by the reader. docs/formats/sstable.md.
///
/// No allocation per entry. Confined to one thread. After an error the file is worth nothing.
package final class TableWriter {
    private let output: TableOutput
    private let options: TableOptions
    private let data: OpaquePointer
    private let index: OpaquePointer
    private var hashes: FilterHashes
    private var tombstones: [RangeTombstone] = []
    private var info = TableInfo()
    private var dataEnd: UInt64 = 0
    private var dataBlockCount: UInt64 = 0
    /// The finished block whose index entry waits for the next key.
    private var pendingBlock: BlockHandle?
    /// Scratch for separators.
    private var separator: [UInt8] = []

    /// Most bytes of one entry's key and value: a block has a limit, and an entry is never split.
    package static let entryByteCountMax = Int(NEXA_BLOCK_BYTE_COUNT_MAX) - 1024

    /// - Parameters:
    ///   - file: new and empty; `path` names it in errors.
    ///   - fileContext: random and not 0: no two tables of a store share one.
    package init(
        file: any File, path: String, fileNumber: UInt64, fileContext: UInt64, options: TableOptions = TableOptions()
    ) throws(StorageError) {
        precondition(fileContext != 0, "a table needs a file context")
        let interval = UInt32(clamping: options.restartInterval)
        guard let data = nexa_block_builder_create(interval, Int(NEXA_BLOCK_BYTE_COUNT_MAX)),
            let index = nexa_block_builder_create(1, Int(NEXA_BLOCK_BYTE_COUNT_MAX))
        else { throw .overloaded(reason: "no memory for writing a table") }
        self.data = data
        self.index = index
        self.options = options
        hashes = FilterHashes()
        output = TableOutput(file: file, path: path, fileContext: fileContext, compresses: options.compresses)
        info.fileNumber = fileNumber
        info.fileContext = fileContext
        info.lsnMin = .max
    }

    deinit {
        nexa_block_builder_destroy(data)
        nexa_block_builder_destroy(index)
    }

    /// Point entries so far.
    package var entryCount: UInt64 { info.entryCount }

    /// Bytes of the file so far, data that waits in the open block included uncompressed; index and filter are not.
    package var estimatedByteCount: UInt64 { output.offset + UInt64(nexa_block_builder_byte_count(data)) }

    /// Appends an entry; it must come behind the last one in internal order.
    package func add(key: UnsafeRawBufferPointer, lsn: LSN, kind: OpKind, value: UnsafeRawBufferPointer) throws(StorageError) {
        precondition(kind != .rangeDelete, "range tombstones have a block of their own")
        if pendingBlock != nil { try addIndexEntry(before: key) }
        if info.entryCount == 0 { info.smallest = Array(key) }
        let status = nexa_block_builder_add(
            data, key.bytePointer, key.count, lsn, kind.rawValue, value.bytePointer, value.count)
        guard status == NEXA_OK else { throw failure(status, key: key, value: value) }
        info.entryCount += 1
        if kind == .delete { info.tombstoneCount += 1 }
        info.rawKeyByteCount += UInt64(key.count)
        info.rawValueByteCount += UInt64(value.count)
        if lsn < info.lsnMin { info.lsnMin = lsn }
        if lsn > info.lsnMax { info.lsnMax = lsn }
        if options.filterBitsPerKey > 0 { hashes.append(filterHash(key)) }
        if nexa_block_builder_byte_count(data) >= options.blockByteCount { try finishDataBlock() }
    }

    /// Adds a range tombstone; in any order, at any time before `finish`.
    package func addRangeTombstone(_ tombstone: RangeTombstone) throws(StorageError) {
        guard isBelow(tombstone.start, tombstone.end) else { return }
        tombstones.append(tombstone)
    }

    private func failure(_ status: nexa_status, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) -> StorageError {
        switch status {
        case NEXA_TOO_LARGE:
            key.count > MemTable.keyByteCountMax
                ? .tooLarge(what: "key", byteCount: key.count, limit: MemTable.keyByteCountMax)
                : .tooLarge(what: "entry", byteCount: key.count + value.count, limit: TableWriter.entryByteCountMax)
        case NEXA_NO_MEMORY:
            .overloaded(reason: "no memory for a block of \(output.path)")
        default:
            preconditionFailure("entries of \(output.path) do not come in order")
        }
    }

    // MARK: blocks

    private func finishDataBlock() throws(StorageError) {
        pendingBlock = try appendBlock(.data, from: data)
        dataBlockCount += 1
        dataEnd = output.offset
    }

    private func appendBlock(_ type: BlockType, from builder: OpaquePointer) throws(StorageError) -> BlockHandle {
        var rawByteCount = 0
        guard let raw = nexa_block_builder_finish(builder, &rawByteCount) else {
            throw .overloaded(reason: "no memory for a block of \(output.path)")
        }
        return try output.append(type, UnsafeRawBufferPointer(start: raw, count: rawByteCount))
    }

    /// Enters the finished block into the index: under the shortest key that separates it from `next`, or under its last key where
    /// nothing follows.
    private func addIndexEntry(before next: UnsafeRawBufferPointer?) throws(StorageError) {
        guard let handle = pendingBlock else { return }
        var lastByteCount = 0
        var lsn: LSN = 0
        let lastBytes = nexa_block_builder_last_key(data, &lastByteCount, &lsn)
        let last = UnsafeRawBufferPointer(start: lastBytes, count: lastByteCount)
        separator.removeAll(keepingCapacity: true)
        if let next, TableWriter.shorten(last, next, into: &separator) {
            // No entry has this key: any LSN will do.
            lsn = 0
        } else {
            separator.append(contentsOf: last)
        }
        let value = handle.encode()
        let status = nexa_block_builder_add(
            index, separator, separator.count, lsn, OpKind.put.rawValue, value, value.count)
        guard status == NEXA_OK else {
            throw .tooLarge(
                what: "index of \(output.path)", byteCount: nexa_block_builder_byte_count(index),
                limit: Int(NEXA_BLOCK_BYTE_COUNT_MAX))
        }
        pendingBlock = nil
    }

    /// A key above `last` and below `next` that is shorter than `last`; false where there is none.
    private static func shorten(_ last: UnsafeRawBufferPointer, _ next: UnsafeRawBufferPointer, into result: inout [UInt8])
        -> Bool
    {
        let common = nexa_common_prefix(last.bytePointer, last.count, next.bytePointer, next.count)
        guard common < last.count, common < next.count, last.count > common + 1 else { return false }
        if last[common] &+ 1 < next[common] {
            result.append(contentsOf: last[..<common])
            result.append(last[common] + 1)
            return true
        }
        guard next.count > common + 1 else { return false }
        result.append(contentsOf: next[...common])
        return true
    }

    // MARK: finishing

    /// Writes what is left and syncs the file. Syncing the directory is the caller's part.
    package func finish() throws(StorageError) -> TableInfo {
        if nexa_block_builder_entry_count(data) > 0 { try finishDataBlock() }
        try addIndexEntry(before: nil)
        if info.entryCount > 0 {
            var byteCount = 0
            var lsn: LSN = 0
            let last = nexa_block_builder_last_key(data, &byteCount, &lsn)
            info.largest = Array(UnsafeRawBufferPointer(start: last, count: byteCount))
        }
        var names: [(name: String, handle: BlockHandle)] = []
        if let filter = try appendFilter() { names.append((TableBlockName.filter, filter)) }
        if let handle = try appendRangeTombstones() { names.append((TableBlockName.rangeTombstones, handle)) }
        if info.lsnMin == .max { info.lsnMin = 0 }

        var footer = TableFooter()
        if dataBlockCount > 0 { footer.index = try appendBlock(.index, from: index) }
        let properties = info.properties.encode()
        names.append((TableBlockName.properties, try appendBytes(.properties, properties)))
        footer.metaIndex = try appendMetaIndex(names)
        footer.fileNumber = info.fileNumber
        footer.fileContext = info.fileContext
        footer.storeUUID = options.storeUUID
        footer.dataEnd = dataEnd
        footer.dataBlockCount = dataBlockCount
        footer.digest = output.digest
        info.digest = footer.digest
        info.byteCount = output.offset + UInt64(TableFooter.byteCount)
        try output.finish(footer.encode(fileByteCount: info.byteCount))
        return info
    }

    private func appendBytes(_ type: BlockType, _ bytes: [UInt8]) throws(StorageError) -> BlockHandle {
        try bytes.withUnsafeBytes { raw in Result { () throws(StorageError) in try output.append(type, raw) } }.get()
    }

    private func appendFilter() throws(StorageError) -> BlockHandle? {
        let bits = UInt32(clamping: options.filterBitsPerKey)
        guard bits > 0, hashes.count > 0 else { return nil }
        let byteCount = nexa_bloom_byte_count(hashes.count, bits)
        let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)
        defer { raw.deallocate() }
        let status = nexa_bloom_build(
            hashes.base, hashes.count, bits, raw.baseAddress!.assumingMemoryBound(to: UInt8.self), byteCount)
        // Too many keys for one filter: a table without is slower, not wrong.
        guard status == NEXA_OK, byteCount <= NEXA_BLOCK_BYTE_COUNT_MAX else { return nil }
        // Good filters look random: LZ4 would only cost time.
        return try output.append(.filter, UnsafeRawBufferPointer(raw), compressed: false)
    }

    /// Entries of the block: key = start, value = end, LSN, kind `rangeDelete`.
    private func appendRangeTombstones() throws(StorageError) -> BlockHandle? {
        guard !tombstones.isEmpty else { return nil }
        // Of tombstones with the same start and LSN the one that reaches further hides the others.
        tombstones.sort { left, right in
            if left.start != right.start { return isBelow(left.start, right.start) }
            return left.lsn != right.lsn ? left.lsn > right.lsn : isBelow(right.end, left.end)
        }
        guard let builder = nexa_block_builder_create(1, Int(NEXA_BLOCK_BYTE_COUNT_MAX)) else {
            throw .overloaded(reason: "no memory for a block of \(output.path)")
        }
        defer { nexa_block_builder_destroy(builder) }
        var before: RangeTombstone?
        for tombstone in tombstones {
            if let before, before.start == tombstone.start, before.lsn == tombstone.lsn { continue }
            let status = nexa_block_builder_add(
                builder, tombstone.start, tombstone.start.count, tombstone.lsn, OpKind.rangeDelete.rawValue, tombstone.end,
                tombstone.end.count)
            guard status == NEXA_OK else {
                throw .tooLarge(
                    what: "range tombstone", byteCount: tombstone.start.count + tombstone.end.count,
                    limit: MemTable.keyByteCountMax)
            }
            info.include(tombstone, first: info.entryCount == 0 && info.rangeTombstoneCount == 0)
            before = tombstone
        }
        return try appendBlock(.rangeTombstones, from: builder)
    }

    private func appendMetaIndex(_ names: [(name: String, handle: BlockHandle)]) throws(StorageError) -> BlockHandle {
        guard let builder = nexa_block_builder_create(1, 1 << 16) else {
            throw .overloaded(reason: "no memory for a block of \(output.path)")
        }
        defer { nexa_block_builder_destroy(builder) }
        for (name, handle) in names.sorted(by: { isBelow(Array($0.name.utf8), Array($1.name.utf8)) }) {
            let key = Array(name.utf8)
            let value = handle.encode()
            let status = nexa_block_builder_add(builder, key, key.count, 0, OpKind.put.rawValue, value, value.count)
            precondition(status == NEXA_OK, "the meta-index takes its few short names")
        }
        return try appendBlock(.metaIndex, from: builder)
    }
}

/// Names in the meta-index. "!" marks what a reader must not ignore.
enum TableBlockName {
    static let filter = "filter"
    static let rangeTombstones = "!range_tombstones"
    static let properties = "!properties"
}

extension TableInfo {
    /// Widens bounds and LSNs by a range tombstone.
    mutating func include(_ tombstone: RangeTombstone, first: Bool) {
        rangeTombstoneCount += 1
        if first || isBelow(tombstone.start, smallest) { smallest = tombstone.start }
        if first || isBelow(largest, tombstone.end) { largest = tombstone.end }
        lsnMin = min(lsnMin, tombstone.lsn)
        lsnMax = max(lsnMax, tombstone.lsn)
    }
}

/// The hashes of a table's distinct keys, for its filter.
struct FilterHashes: ~Copyable {
    private(set) var base: UnsafeMutablePointer<UInt64>
    private(set) var count = 0
    private var capacity = 1024

    init() { base = .allocate(capacity: 1024) }

    deinit { base.deallocate() }

    /// Versions of one key come behind each other: it counts once.
    mutating func append(_ hash: UInt64) {
        if count > 0, base[count - 1] == hash { return }
        if count == capacity {
            let bigger = UnsafeMutablePointer<UInt64>.allocate(capacity: capacity * 2)
            bigger.update(from: base, count: count)
            base.deallocate()
            base = bigger
            capacity *= 2
        }
        base[count] = hash
        count += 1
    }
}
