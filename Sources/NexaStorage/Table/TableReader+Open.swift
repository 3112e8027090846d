import CSupport

extension TableReader {
    /// Reads footer, index, filter, properties and range tombstones in two reads and checks them. Where the manifest's record of the
    /// table is given, the file must be that table.
    package static func open(
        path: String, fileSystem: any FileSystem, cache: BlockCache, expecting: TableInfo? = nil
    ) throws(StorageError) -> TableReader {
        let file = try fileSystem.open(path, .read)
        do throws(StorageError) {
            let opening = try TableOpening(path: path, file: file, expecting: expecting)
            return TableReader(opening, metadata: try opening.metadata(), cache: cache)
        } catch {
            file.close()
            throw error
        }
    }
}

/// One opening of a table: the footer first, then everything behind the data blocks in one piece.
struct TableOpening {
    let path: String
    let file: any File
    let fileByteCount: UInt64
    let footer: TableFooter
    /// From the end of the data blocks to the footer.
    private let tail: [UInt8]

    init(path: String, file: any File, expecting: TableInfo?) throws(StorageError) {
        self.path = path
        self.file = file
        let size = try file.byteCount()
        fileByteCount = size
        guard fileByteCount >= UInt64(TableFooter.byteCount) else {
            throw TableReader.damage(path, fileByteCount, "it is shorter than a footer")
        }
        let footerOffset = fileByteCount - UInt64(TableFooter.byteCount)
        let footerBytes = try TableOpening.read(file, path, footerOffset, TableFooter.byteCount)
        footer = try footerBytes.withUnsafeBytes { bytes in
            Result { () throws(TableFooter.Problem) in try TableFooter.decode(bytes, fileByteCount: size) }
        }.mapError { problem in
            switch problem {
            case .damaged(let reason): TableReader.damage(path, footerOffset, reason)
            case .unsupported(let reason): StorageError.unsupportedFormat(file: path, reason: reason)
            }
        }.get()
        if let expecting {
            guard expecting.digest == footer.digest, expecting.fileContext == footer.fileContext,
                expecting.byteCount == fileByteCount
            else { throw TableReader.damage(path, footerOffset, "it is not the file that the manifest describes") }
        }
        guard footer.dataEnd < footerOffset, footerOffset - footer.dataEnd < UInt64(Int32.max) else {
            throw TableReader.damage(path, footerOffset, "its metadata has an impossible size")
        }
        tail = try TableOpening.read(file, path, footer.dataEnd, Int(footerOffset - footer.dataEnd))
    }

    private static func read(_ file: any File, _ path: String, _ offset: UInt64, _ count: Int) throws(StorageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(StorageError) in try TableReader.readFully(file, path, into: buffer, at: offset) }
        }.get()
        return bytes
    }

    /// The raw bytes of a metadata block.
    func raw(_ type: BlockType, _ handle: BlockHandle) throws(StorageError) -> [UInt8] {
        let end = footer.dataEnd + UInt64(tail.count)
        guard handle.lies(from: footer.dataEnd, to: end) else {
            throw TableReader.damage(path, footer.dataEnd, "a block lies outside of the metadata")
        }
        let start = Int(handle.offset - footer.dataEnd)
        let raw: [UInt8]? = tail.withUnsafeBytes { bytes in
            let stored = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(handle.byteCount))])
            var trailer = nexa_trailer()
            let status = nexa_block_check_stored(
                stored.bytePointer, stored.count, type.rawValue, footer.fileContext, handle.offset, &trailer)
            guard status == NEXA_OK else { return nil }
            var raw = [UInt8](repeating: 0, count: Int(trailer.raw_len))
            return nexa_block_expand(stored.bytePointer, stored.count, &trailer, &raw) == NEXA_OK ? raw : nil
        }
        guard let raw else { throw TableReader.damage(path, handle.offset, "the \(type) block does not match its checksum") }
        return raw
    }

    /// The stored checksum of a metadata block.
    func checksum(_ handle: BlockHandle) -> UInt64 {
        tail.withUnsafeBytes { ByteOrder.loadLE($0.baseAddress!, at: Int(handle.end - footer.dataEnd) - 8) }
    }

    /// The entries of a small metadata block.
    func entries(_ type: BlockType, _ handle: BlockHandle) throws(StorageError) -> [(key: [UInt8], value: [UInt8], lsn: LSN)] {
        let raw = try raw(type, handle)
        var result: [(key: [UInt8], value: [UInt8], lsn: LSN)]?
        raw.withUnsafeBufferPointer { bytes in
            var block = nexa_block()
            guard let base = bytes.baseAddress, openRawBlock(base, bytes.count, nil, 0, &block), block.restart_interval == 1
            else { return }
            var entry = nexa_entry()
            result = (0..<block.entry_count).map { ordinal in
                nexa_block_entry_at(&block, ordinal, &entry)
                let key = UnsafeBufferPointer(start: entry.key, count: Int(entry.key_len))
                let value = UnsafeBufferPointer(start: entry.value, count: Int(entry.value_len))
                return (Array(key), Array(value), entry.lsn)
            }
        }
        guard let result else { throw TableReader.damage(path, handle.offset, "the \(type) block has an impossible shape") }
        return result
    }

    /// The named blocks.
    func metaIndex() throws(StorageError) -> [String: BlockHandle] {
        var handles: [String: BlockHandle] = [:]
        for entry in try entries(.metaIndex, footer.metaIndex) {
            let name = String(decoding: entry.key, as: UTF8.self)
            guard let handle = entry.value.withUnsafeBytes({ BlockHandle($0) }) else {
                throw TableReader.damage(path, footer.metaIndex.offset, "the meta-index has an entry of the wrong length")
            }
            let known = [TableBlockName.filter, TableBlockName.properties, TableBlockName.rangeTombstones]
            if name.hasPrefix("!"), !known.contains(name) {
                throw .unsupportedFormat(file: path, reason: "it needs a reader that knows the block \(name)")
            }
            handles[name] = handle
        }
        return handles
    }

    /// Everything but the data blocks.
    struct Metadata {
        let info: TableInfo
        let index: TableIndex?
        let filter: TableFilter?
        let rangeTombstones: RangeTombstoneSet
    }

    func metadata() throws(StorageError) -> Metadata {
        let names = try metaIndex()
        guard let propertiesHandle = names[TableBlockName.properties] else {
            throw TableReader.damage(path, footer.metaIndex.offset, "it has no properties")
        }
        let propertyBytes = try raw(.properties, propertiesHandle)
        guard let properties = propertyBytes.withUnsafeBytes({ TableProperties(decoding: $0) }),
            let info = TableInfo(footer: footer, byteCount: fileByteCount, properties: properties)
        else { throw TableReader.damage(path, propertiesHandle.offset, "its properties cannot be read") }
        return Metadata(
            info: info, index: try index(), filter: try names[TableBlockName.filter].map(filter),
            rangeTombstones: try names[TableBlockName.rangeTombstones].map(rangeTombstones) ?? .empty)
    }

    private func index() throws(StorageError) -> TableIndex? {
        guard footer.dataBlockCount > 0 else { return nil }
        let bytes = try raw(.index, footer.index)
        let index = bytes.withUnsafeBytes { TableIndex(raw: $0, blockCount: footer.dataBlockCount, dataEnd: footer.dataEnd) }
        guard let index else { throw TableReader.damage(path, footer.index.offset, "its index does not fit its data blocks") }
        return index
    }

    private func filter(_ handle: BlockHandle) throws(StorageError) -> TableFilter {
        let bytes = try raw(.filter, handle)
        guard let filter = bytes.withUnsafeBytes({ TableFilter(raw: $0) }) else {
            throw TableReader.damage(path, handle.offset, "its filter has an impossible shape")
        }
        return filter
    }

    private func rangeTombstones(_ handle: BlockHandle) throws(StorageError) -> RangeTombstoneSet {
        RangeTombstoneSet(
            try entries(.rangeTombstones, handle).map { RangeTombstone(start: $0.key, end: $0.value, lsn: $0.lsn) })
    }
}
