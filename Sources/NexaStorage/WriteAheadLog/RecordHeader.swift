import CSupport

/// What a record of a log is for. The high bit marks types that an older reader may step over.
package enum RecordType: UInt8, Sendable {
    /// An atomic batch of operations.
    case batch = 1
    /// A batch that also changes what collections there are.
    case ddl = 2
    /// The first record of a new leadership; consumes an LSN like a batch.
    case epochStart = 3
    /// Written when the log falls idle: proves what was durable and which chain led here. Consumes no LSN.
    case mark = 4
    /// One edit of a manifest; never in a write-ahead log.
    case manifestEdit = 16
    /// Nothing follows in this file. Consumes no LSN.
    case end = 127

    /// Whether the record takes an LSN of its own, counts in the chain and is shipped to followers.
    package var consumesLSN: Bool { self != .mark && self != .end }

    /// Unknown types with this bit may be stepped over.
    package static let skippableBit: UInt8 = 0x80
}

/// How a record's payload is stored.
package enum RecordCodec: UInt8, Sendable {
    case raw = 0
    case lz4 = 1
}

/// The 56 bytes in front of every log and manifest record, little-endian, at an offset that is a multiple of 8:
///
///      0  8  header checksum   XXH3-64 of bytes 8..<56, seeded with the file's id and the record's offset
///      8  8  durable LSN       everything up to here was on disk when this record was sealed
///     16  8  record hash       XXH3-64 of bytes 24..<56, seeded with the XXH3-64 of the stored payload
///     24  8  lsn
///     32  8  epoch
///     40  4  stored length     of the payload that follows        44  4  raw length   after decompression
///     48  4  operation count   of the payload                     52  1  type   53  1  codec   54  2  flags
///     56     payload, then zeros up to a multiple of 8
///
/// The first 16 bytes belong to the place: whoever writes the record there *seals* it. The rest is the same in the committer's memory, in
/// every segment, on the wire and on every follower, and the record hash is checked on each of these ways.
package struct RecordHeader: Equatable, Sendable {
    package static let byteCount = 56
    /// Where the part that travels begins.
    package static let portableOffset = 16
    package static let alignment = 8
    package static let storedByteCountMax = 64 << 20
    package static let rawByteCountMax = 256 << 20

    package var durableLSN: LSN
    package var recordHash: UInt64
    package var lsn: LSN
    package var epoch: Epoch
    package var storedByteCount: UInt32
    package var rawByteCount: UInt32
    package var operationCount: UInt32
    package var rawType: UInt8
    package var rawCodec: UInt8
    package var flags: UInt16

    package var type: RecordType? { RecordType(rawValue: rawType) }
    package var codec: RecordCodec? { RecordCodec(rawValue: rawCodec) }

    /// Bytes that a record with this payload takes in the log.
    @inlinable
    package static func recordByteCount(storedByteCount: Int) -> Int {
        (byteCount + storedByteCount + alignment - 1) & ~(alignment - 1)
    }

    package var recordByteCount: Int { RecordHeader.recordByteCount(storedByteCount: Int(storedByteCount)) }

    /// Reads the fields without checking anything. `pointer` covers 56 bytes.
    package init(loading pointer: UnsafeRawPointer) {
        durableLSN = ByteOrder.loadLE(pointer, at: 8)
        recordHash = ByteOrder.loadLE(pointer, at: 16)
        lsn = ByteOrder.loadLE(pointer, at: 24)
        epoch = ByteOrder.loadLE(pointer, at: 32)
        storedByteCount = ByteOrder.loadLE(pointer, at: 40)
        rawByteCount = ByteOrder.loadLE(pointer, at: 44)
        operationCount = ByteOrder.loadLE(pointer, at: 48)
        rawType = pointer.load(fromByteOffset: 52, as: UInt8.self)
        rawCodec = pointer.load(fromByteOffset: 53, as: UInt8.self)
        flags = ByteOrder.loadLE(pointer, at: 54)
    }
}

// MARK: - The part that travels

extension RecordHeader {
    /// The hash of a stored payload. It needs neither LSN nor place, so committers compute it before they take the lock.
    package static func payloadHash(_ payload: UnsafeRawBufferPointer) -> UInt64 {
        nexa_xxh3(payload.baseAddress, payload.count, 0)
    }

    /// Fills bytes 16..<56 and the padding of a record whose payload already lies at `record + 56`.
    ///
    /// `record` covers `recordByteCount(storedByteCount:)` bytes. No allocation.
    package static func fill(
        _ record: UnsafeMutableRawPointer, type: RecordType, codec: RecordCodec = .raw, flags: UInt16 = 0, lsn: LSN, epoch: Epoch,
        operationCount: UInt32, storedByteCount: Int, rawByteCount: Int, payloadHash: UInt64
    ) {
        ByteOrder.storeLE(lsn, to: record, at: 24)
        ByteOrder.storeLE(epoch, to: record, at: 32)
        ByteOrder.storeLE(UInt32(storedByteCount), to: record, at: 40)
        ByteOrder.storeLE(UInt32(rawByteCount), to: record, at: 44)
        ByteOrder.storeLE(operationCount, to: record, at: 48)
        record.storeBytes(of: type.rawValue, toByteOffset: 52, as: UInt8.self)
        record.storeBytes(of: codec.rawValue, toByteOffset: 53, as: UInt8.self)
        ByteOrder.storeLE(flags, to: record, at: 54)
        ByteOrder.storeLE(nexa_xxh3(record + 24, 32, payloadHash), to: record, at: 16)
        let end = byteCount + storedByteCount
        let padding = recordByteCount(storedByteCount: storedByteCount) - end
        if padding > 0 { (record + end).initializeMemory(as: UInt8.self, repeating: 0, count: padding) }
    }

    /// Whether the record hash at `record + 16` fits the header fields behind it and the payload.
    package static func hashMatches(_ record: UnsafeRawPointer, payload: UnsafeRawBufferPointer) -> Bool {
        ByteOrder.loadLE(record, at: 16, as: UInt64.self) == nexa_xxh3(record + 24, 32, payloadHash(payload))
    }
}

// MARK: - The part that belongs to the place

extension RecordHeader {
    /// Seed of the header checksum: a good record at another offset or in another file does not fit.
    static func placeSeed(fileID: UInt64, offset: UInt64) -> UInt64 {
        (fileID &* 0x9E37_79B9_7F4A_7C15) ^ offset
    }

    /// Writes bytes 0..<16. Called by whoever writes the record at this place.
    static func seal(_ record: UnsafeMutableRawPointer, fileID: UInt64, offset: UInt64, durableLSN: LSN) {
        ByteOrder.storeLE(durableLSN, to: record, at: 8)
        let checksum = nexa_xxh3(record + 8, byteCount - 8, placeSeed(fileID: fileID, offset: offset))
        ByteOrder.storeLE(checksum, to: record, at: 0)
    }

    static func sealMatches(_ record: UnsafeRawPointer, fileID: UInt64, offset: UInt64) -> Bool {
        ByteOrder.loadLE(record, at: 0, as: UInt64.self)
            == nexa_xxh3(record + 8, byteCount - 8, placeSeed(fileID: fileID, offset: offset))
    }
}

/// The history of a log in eight bytes: two nodes that show the same chain at the same LSN have the same records up to there.
package enum LogChain {
    package static let start: UInt64 = 0

    package static func advanced(_ chain: UInt64, by recordHash: UInt64) -> UInt64 {
        withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { bytes in
            ByteOrder.storeLE(chain, to: bytes.baseAddress!, at: 0)
            ByteOrder.storeLE(recordHash, to: bytes.baseAddress!, at: 8)
            return nexa_xxh3(bytes.baseAddress, 16, 0)
        }
    }
}
