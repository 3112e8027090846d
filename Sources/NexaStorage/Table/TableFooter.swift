import CSupport

/// The last 128 bytes of a table: from here everything else is found, and every byte of the file is pinned.
///
///       0  8 magic "NXSST\r\n\x1a"        8  2 version 1     10 2 oldest reader that understands it, 1     12 4 128
///      16  8 file number                 24  8 file context: random, seeds the checksum of every block
///      32 16 UUID of the store that wrote it, big-endian
///      48  8 offset of the meta-index    56  4 its stored length      60 4 flags that a reader must know, 0
///      64  8 offset of the index         72  4 its stored length (0: no data blocks)
///      76  1 levels of the index, 1      77  1 codec used, 1 is LZ4   78 2 key order, 0 is bytewise
///      80  8 end of the data blocks      88  8 number of data blocks
///      96  8 digest: XXH3-64 over (offset u64, checksum u64) of every block in file order       104 8 zero
///     112  8 XXH3-64 of bytes 0-111, seed = byte count of the file: a cut or extended file fails
///     120  8 "NXSSTEND"
struct TableFooter: Equatable, Sendable {
    static let byteCount = 128
    static let magic: [UInt8] = Array("NXSST\r\n\u{1A}".utf8)
    static let endMagic: [UInt8] = Array("NXSSTEND".utf8)
    static let version: UInt16 = 1

    var fileNumber: UInt64 = 0
    var fileContext: UInt64 = 0
    var storeUUID = StoreUUID(high: 0, low: 0)
    var metaIndex = BlockHandle()
    var index = BlockHandle()
    var dataEnd: UInt64 = 0
    var dataBlockCount: UInt64 = 0
    var digest: UInt64 = 0

    func encode(fileByteCount: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: TableFooter.byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            let base = buffer.baseAddress!
            buffer.copyBytes(from: TableFooter.magic)
            ByteOrder.storeLE(TableFooter.version, to: base, at: 8)
            ByteOrder.storeLE(TableFooter.version, to: base, at: 10)
            ByteOrder.storeLE(UInt32(TableFooter.byteCount), to: base, at: 12)
            ByteOrder.storeLE(fileNumber, to: base, at: 16)
            ByteOrder.storeLE(fileContext, to: base, at: 24)
            ByteOrder.storeBE(storeUUID.high, to: base, at: 32)
            ByteOrder.storeBE(storeUUID.low, to: base, at: 40)
            ByteOrder.storeLE(metaIndex.offset, to: base, at: 48)
            ByteOrder.storeLE(metaIndex.byteCount, to: base, at: 56)
            ByteOrder.storeLE(index.offset, to: base, at: 64)
            ByteOrder.storeLE(index.byteCount, to: base, at: 72)
            ByteOrder.storeLE(UInt8(1), to: base, at: 76)
            ByteOrder.storeLE(UInt8(1), to: base, at: 77)
            ByteOrder.storeLE(dataEnd, to: base, at: 80)
            ByteOrder.storeLE(dataBlockCount, to: base, at: 88)
            ByteOrder.storeLE(digest, to: base, at: 96)
            ByteOrder.storeLE(nexa_xxh3(base, 112, fileByteCount), to: base, at: 112)
            (base + 120).copyMemory(from: TableFooter.endMagic, byteCount: 8)
        }
        return bytes
    }

    /// What is wrong with a footer.
    enum Problem: Error, Equatable {
        case damaged(String)
        case unsupported(String)
    }

    static func decode(_ bytes: UnsafeRawBufferPointer, fileByteCount: UInt64) throws(Problem) -> TableFooter {
        guard bytes.count == byteCount, let base = bytes.baseAddress else { throw .damaged("it is shorter than a footer") }
        guard bytes[120..<128].elementsEqual(endMagic), bytes[0..<8].elementsEqual(magic) else {
            throw .damaged("it does not end like a table")
        }
        guard ByteOrder.loadLE(base, at: 112, as: UInt64.self) == nexa_xxh3(base, 112, fileByteCount) else {
            throw .damaged("the footer's checksum does not fit its bytes and the length of the file")
        }
        // From here on the bytes are what somebody wrote; what this reader does not know it must not guess at.
        let oldestReader = ByteOrder.loadLE(base, at: 10, as: UInt16.self)
        guard oldestReader <= version else { throw .unsupported("it needs a reader of version \(oldestReader)") }
        guard ByteOrder.loadLE(base, at: 60, as: UInt32.self) == 0, ByteOrder.loadLE(base, at: 78, as: UInt16.self) == 0,
            bytes[76] == 1, ByteOrder.loadLE(base, at: 12, as: UInt32.self) == UInt32(byteCount),
            ByteOrder.loadLE(base, at: 104, as: UInt64.self) == 0
        else { throw .unsupported("it has flags, a key order or index levels that this version does not know") }
        var footer = TableFooter()
        footer.fileNumber = ByteOrder.loadLE(base, at: 16)
        footer.fileContext = ByteOrder.loadLE(base, at: 24)
        footer.storeUUID = StoreUUID(high: ByteOrder.loadBE(base, at: 32), low: ByteOrder.loadBE(base, at: 40))
        footer.metaIndex = BlockHandle(offset: ByteOrder.loadLE(base, at: 48), byteCount: ByteOrder.loadLE(base, at: 56))
        footer.index = BlockHandle(offset: ByteOrder.loadLE(base, at: 64), byteCount: ByteOrder.loadLE(base, at: 72))
        footer.dataEnd = ByteOrder.loadLE(base, at: 80)
        footer.dataBlockCount = ByteOrder.loadLE(base, at: 88)
        footer.digest = ByteOrder.loadLE(base, at: 96)
        guard footer.isPlausible(fileByteCount) else { throw .damaged("the footer points outside of the file") }
        return footer
    }

    private func isPlausible(_ fileByteCount: UInt64) -> Bool {
        let end = fileByteCount - UInt64(TableFooter.byteCount)
        guard dataEnd <= end, fileContext != 0, metaIndex.lies(from: dataEnd, to: end) else { return false }
        return index.byteCount == 0 ? dataBlockCount == 0 && dataEnd == 0 : index.lies(from: dataEnd, to: end)
    }
}

/// Where a stored block lies, its trailer included. On disk: u64 offset, u32 byte count.
struct BlockHandle: Equatable, Sendable {
    static let encodedByteCount = 12

    var offset: UInt64 = 0
    var byteCount: UInt32 = 0

    var end: UInt64 { offset + UInt64(byteCount) }

    func lies(from start: UInt64, to end: UInt64) -> Bool {
        offset >= start && offset <= end && UInt64(byteCount) <= end - offset && byteCount >= NEXA_TRAILER_BYTE_COUNT
    }

    func encode() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: BlockHandle.encodedByteCount)
        bytes.withUnsafeMutableBytes { buffer in
            ByteOrder.storeLE(offset, to: buffer.baseAddress!)
            ByteOrder.storeLE(byteCount, to: buffer.baseAddress!, at: 8)
        }
        return bytes
    }

    init(offset: UInt64 = 0, byteCount: UInt32 = 0) {
        self.offset = offset
        self.byteCount = byteCount
    }

    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == BlockHandle.encodedByteCount, let base = bytes.baseAddress else { return nil }
        offset = ByteOrder.loadLE(base)
        byteCount = ByteOrder.loadLE(base, at: 8)
    }
}
