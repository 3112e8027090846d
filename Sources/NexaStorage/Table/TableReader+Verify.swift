import CSupport

extension TableReader {
    /// Reads and checks every byte of the file, past the cache: checksums, digest, layout without gaps, order of entries within and
    /// across blocks, separators, filter, counts, bounds. Throws the first damage found.
    package func verify() throws(StorageError) {
        let opening = try TableOpening(path: path, file: file, expecting: info)
        var check = TableCheck(reader: self)
        if let index {
            var blocks = TableReadAhead()
            for ordinal in 0..<index.count { try check.dataBlock(ordinal, of: index, &blocks) }
        }
        try check.metadata(opening)
        try check.totals()
    }
}

/// What a walk over all blocks of a table has seen so far.
private struct TableCheck {
    let reader: TableReader
    private var digestInput: [UInt64] = []
    private var seen = TableInfo()
    private var lastKey: [UInt8] = []
    private var lastLSN: LSN = 0

    init(reader: TableReader) {
        self.reader = reader
        seen.lsnMin = .max
    }

    private func damage(_ offset: UInt64, _ reason: String) -> StorageError { TableReader.damage(reader.path, offset, reason) }

    mutating func dataBlock(_ ordinal: Int, of index: TableIndex, _ blocks: inout TableReadAhead) throws(StorageError) {
        let handle = index.handle(ordinal)
        let stored = try blocks.stored(ordinal, of: index, in: reader)
        digestInput += [handle.offset, ByteOrder.loadLE(stored.baseAddress!, at: stored.count - 8)]
        let loaded = try reader.decodeDataBlock(stored, at: handle.offset)
        defer { LoadedBlock.free(loaded) }
        try withUnsafeTemporaryAllocation(
            of: UInt8.self, capacity: Int(loaded.pointee.block.key_len_max) + Int(NEXA_KEY_BUFFER_SLACK)
        ) { buffer in
            Result { () throws(StorageError) in
                var cursor = nexa_block_cursor()
                cursor.key_buffer = buffer.baseAddress
                cursor.key_capacity = buffer.count
                _ = nexa_block_cursor_attach(&cursor, &loaded.pointee.block)
                nexa_block_cursor_first(&cursor)
                while cursor.entry.valid {
                    try entry(cursor.entry, at: handle.offset)
                    nexa_block_cursor_next(&cursor)
                }
            }
        }.get()
        let separator = index.separator(ordinal)
        guard isAtOrAbove(separator.key, separator.lsn) else {
            throw damage(handle.offset, "an index entry lies below the block that it names")
        }
    }

    private mutating func entry(_ entry: nexa_entry, at offset: UInt64) throws(StorageError) {
        let key = UnsafeRawBufferPointer(start: entry.key, count: Int(entry.key_len))
        if seen.entryCount == 0 {
            seen.smallest = Array(key)
        } else if isAtOrAbove(key, entry.lsn, strictly: true) == false {
            throw damage(offset, "its entries do not follow those of the block before")
        }
        if let index = reader.index,
            index.ordinal(key, entry.lsn) >= index.count || index.offset(index.ordinal(key, entry.lsn)) != offset
        {
            throw damage(offset, "the index leads past an entry of this block")
        }
        if let filter = reader.filter, !filter.mayContain(filterHash(key)) {
            throw damage(offset, "the filter does not know a key of this block")
        }
        guard entry.kind == OpKind.put.rawValue || entry.kind == OpKind.delete.rawValue else {
            throw damage(offset, "an entry of a data block is neither put nor delete")
        }
        seen.entryCount += 1
        if entry.kind == OpKind.delete.rawValue { seen.tombstoneCount += 1 }
        seen.rawKeyByteCount += UInt64(entry.key_len)
        seen.rawValueByteCount += UInt64(entry.value_len)
        seen.lsnMin = min(seen.lsnMin, entry.lsn)
        seen.lsnMax = max(seen.lsnMax, entry.lsn)
        lastKey.removeAll(keepingCapacity: true)
        lastKey.append(contentsOf: key)
        lastLSN = entry.lsn
    }

    /// (key, lsn) is not before the last entry in internal order; strictly: it is behind it.
    private func isAtOrAbove(_ key: UnsafeRawBufferPointer, _ lsn: LSN, strictly: Bool = false) -> Bool {
        let order = lastKey.withUnsafeBytes { compareKeys(key, $0) }
        if order != 0 { return order > 0 }
        return strictly ? lsn < lastLSN : lsn <= lastLSN
    }

    /// The blocks behind the data: each at the end of the one before, all of them known, nothing between them.
    mutating func metadata(_ opening: TableOpening) throws(StorageError) {
        let names = try opening.metaIndex()
        var handles = Array(names.values)
        if opening.footer.index.byteCount > 0 { handles.append(opening.footer.index) }
        handles.append(opening.footer.metaIndex)
        handles.sort { $0.offset < $1.offset }
        var end = opening.footer.dataEnd
        for handle in handles {
            guard handle.offset == end else { throw damage(end, "there are bytes that belong to no block") }
            digestInput += [handle.offset, opening.checksum(handle)]
            end = handle.end
        }
        guard end == opening.fileByteCount - UInt64(TableFooter.byteCount) else {
            throw damage(end, "there are bytes that belong to no block")
        }
        guard TableOutput.digest(digestInput) == opening.footer.digest else {
            throw damage(opening.fileByteCount - UInt64(TableFooter.byteCount), "the digest does not fit the blocks")
        }
        // Reading them again checks every one, and that they say what the open reader believes.
        let again = try opening.metadata()
        guard again.info == reader.info, again.rangeTombstones.tombstones == reader.rangeTombstones.tombstones else {
            throw damage(opening.footer.dataEnd, "its metadata has changed since it was opened")
        }
    }

    func totals() throws(StorageError) {
        var expected = reader.info
        var seen = seen
        if seen.entryCount > 0 { seen.largest = lastKey }
        for tombstone in reader.rangeTombstones.tombstones {
            seen.include(tombstone, first: seen.entryCount == 0 && seen.rangeTombstoneCount == 0)
        }
        if seen.lsnMin == .max { seen.lsnMin = 0 }
        (expected.fileNumber, expected.byteCount, expected.fileContext, expected.digest) = (0, 0, 0, 0)
        guard seen == expected else { throw damage(reader.footer.dataEnd, "its properties do not fit its entries") }
    }
}
