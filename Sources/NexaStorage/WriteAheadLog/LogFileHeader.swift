import CSupport

/// The identity of a store: 16 random bytes, the same in all its files and on all nodes that hold a copy of it.
package struct StoreUUID: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random() -> StoreUUID {
        StoreUUID(high: .random(in: 1 ... .max), low: .random(in: 1 ... .max))
    }
}

extension StoreUUID: CustomStringConvertible {
    package var description: String { Hex.string(high) + Hex.string(low) }
}

/// Where a segment ended, as the next one remembers it.
package struct SegmentEnd: Equatable, Sendable {
    /// 0: the segment that holds this does not continue another one.
    package var segmentID: UInt64
    package var offset: UInt64
    package var lsn: LSN
    package var chain: UInt64

    package init(segmentID: UInt64, offset: UInt64, lsn: LSN, chain: UInt64) {
        self.segmentID = segmentID
        self.offset = offset
        self.lsn = lsn
        self.chain = chain
    }

    package static let none = SegmentEnd(segmentID: 0, offset: 0, lsn: 0, chain: LogChain.start)
}

/// The first block of a log segment or manifest, 128 bytes of 4,096, little-endian; behind it only the witness slot of `LogNote`, and zeros,
/// so that rewriting the header of a recycled file can never tear a record:
///
///       0  8  magic "NXWAL\r\n\x1a" or "NXMAN\r\n\x1a"
///       8  2  version             10  2  lowest reader version          12  4  length of this header = 128
///      16  8  file id             24  8  first LSN (in a manifest: first edit number)
///      32 16  store uuid, big-endian
///      48  8  previous segment    56  8  its last LSN      64  8  its end offset      72  8  the chain there
///      80  8  epoch               88  8  created, nanoseconds since 1970
///      96  4  incompatible flags (unknown: refuse)        100  4  compatible flags (unknown: ignore)
///     104  8  length of the file when it was begun: it was durable before this header was, so a shorter file was cut
///     112  8  zero               120  8  XXH3-64 of bytes 0..<120
package struct LogFileHeader: Equatable, Sendable {
    package enum Kind: Sendable {
        case segment
        case manifest

        var magic: UInt64 {
            switch self {
            case .segment: 0x1A0A_0D4C_4157_584E
            case .manifest: 0x1A0A_0D4E_414D_584E
            }
        }
    }

    package static let byteCount = 128
    /// Records begin here.
    package static let blockByteCount = 4096
    package static let version: UInt16 = 1

    package var kind: Kind
    package var fileID: UInt64
    package var firstLSN: LSN
    package var storeUUID: StoreUUID
    package var previous: SegmentEnd
    package var epoch: Epoch
    package var createdNanoseconds: UInt64
    package var fileByteCount: UInt64

    package init(
        kind: Kind, fileID: UInt64, firstLSN: LSN, storeUUID: StoreUUID, previous: SegmentEnd = .none, epoch: Epoch = 0,
        createdNanoseconds: UInt64 = 0, fileByteCount: UInt64 = 0
    ) {
        self.kind = kind
        self.fileID = fileID
        self.firstLSN = firstLSN
        self.storeUUID = storeUUID
        self.previous = previous
        self.epoch = epoch
        self.createdNanoseconds = createdNanoseconds
        self.fileByteCount = fileByteCount
    }

    /// The whole header block.
    package func encodedBlock() -> [UInt8] {
        var block = [UInt8](repeating: 0, count: LogFileHeader.blockByteCount)
        block.withUnsafeMutableBytes { bytes in
            let start = bytes.baseAddress!
            ByteOrder.storeLE(kind.magic, to: start, at: 0)
            ByteOrder.storeLE(LogFileHeader.version, to: start, at: 8)
            ByteOrder.storeLE(LogFileHeader.version, to: start, at: 10)
            ByteOrder.storeLE(UInt32(LogFileHeader.byteCount), to: start, at: 12)
            ByteOrder.storeLE(fileID, to: start, at: 16)
            ByteOrder.storeLE(firstLSN, to: start, at: 24)
            ByteOrder.storeBE(storeUUID.high, to: start, at: 32)
            ByteOrder.storeBE(storeUUID.low, to: start, at: 40)
            ByteOrder.storeLE(previous.segmentID, to: start, at: 48)
            ByteOrder.storeLE(previous.lsn, to: start, at: 56)
            ByteOrder.storeLE(previous.offset, to: start, at: 64)
            ByteOrder.storeLE(previous.chain, to: start, at: 72)
            ByteOrder.storeLE(epoch, to: start, at: 80)
            ByteOrder.storeLE(createdNanoseconds, to: start, at: 88)
            ByteOrder.storeLE(fileByteCount, to: start, at: 104)
            ByteOrder.storeLE(nexa_xxh3(start, 120, 0), to: start, at: 120)
        }
        return block
    }

    package enum Decoded: Equatable, Sendable {
        case header(LogFileHeader)
        /// Whole, and written by a program that says this one must not read it.
        case unsupported(String)
        /// No header of this kind of file with this id.
        case invalid(String)
    }

    /// Judges the beginning of a file. Pure and total.
    package static func decode(_ bytes: UnsafeRawBufferPointer, kind: Kind, fileID: UInt64) -> Decoded {
        guard bytes.count >= byteCount, let start = bytes.baseAddress else {
            return .invalid("the file is shorter than its header")
        }
        guard ByteOrder.loadLE(start, at: 0) == kind.magic else { return .invalid("the magic number is missing") }
        guard ByteOrder.loadLE(start, at: 120) == nexa_xxh3(start, 120, 0) else {
            return .invalid("the header checksum does not fit")
        }
        let readerVersion = ByteOrder.loadLE(start, at: 10, as: UInt16.self)
        guard readerVersion <= version else {
            return .unsupported("it needs reader version \(readerVersion), this one is \(version)")
        }
        let flags = ByteOrder.loadLE(start, at: 96, as: UInt32.self)
        guard flags == 0 else { return .unsupported("it has incompatible features \(Hex.string(UInt64(flags)))") }
        let foundID = ByteOrder.loadLE(start, at: 16, as: UInt64.self)
        guard foundID == fileID else { return .invalid("it is the header of file \(Hex.string(foundID))") }
        return .header(
            LogFileHeader(
                kind: kind, fileID: fileID, firstLSN: ByteOrder.loadLE(start, at: 24),
                storeUUID: StoreUUID(high: ByteOrder.loadBE(start, at: 32), low: ByteOrder.loadBE(start, at: 40)),
                previous: SegmentEnd(
                    segmentID: ByteOrder.loadLE(start, at: 48), offset: ByteOrder.loadLE(start, at: 64),
                    lsn: ByteOrder.loadLE(start, at: 56), chain: ByteOrder.loadLE(start, at: 72)),
                epoch: ByteOrder.loadLE(start, at: 80), createdNanoseconds: ByteOrder.loadLE(start, at: 88),
                fileByteCount: ByteOrder.loadLE(start, at: 104)))
    }

    /// Judges the beginning of an open file.
    package static func read(from file: any File, kind: Kind, fileID: UInt64) throws(StorageError) -> Decoded {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        let count = try bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(StorageError) in try file.read(into: buffer, at: 0) }
        }.get()
        return bytes.withUnsafeBytes { decode(UnsafeRawBufferPointer(rebasing: $0[..<count]), kind: kind, fileID: fileID) }
    }
}
