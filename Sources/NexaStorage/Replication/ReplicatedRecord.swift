import CSupport

/// A record as it travels between nodes: bytes 16 to the end of its payload, exactly as they lie in the leader's log, without the seal and
/// the padding, which belong to a place. Little-endian; records follow each other without a gap:
///
///      0  8  record hash   XXH3-64 of bytes 8..<40, seeded with the XXH3-64 of the stored payload
///      8  8  lsn              16  8  epoch
///     24  4  stored length    28  4  raw length    32  4  operation count
///     36  1  type    37  1  codec    38  2  flags
///     40     stored payload
///
/// The same eight bytes of hash are checked in the leader's log, here, and in the follower's log.
package struct ReplicatedRecord {
    package static let headerByteCount = RecordHeader.byteCount - RecordHeader.portableOffset

    /// Without a durable LSN, which does not travel.
    package let header: RecordHeader
    /// The whole record as it travels.
    package let bytes: UnsafeRawBufferPointer

    /// The payload as it is stored.
    package var stored: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[Self.headerByteCount...]) }
}

/// What is wrong with records that came from elsewhere. The connection that brought them is of no more use; nothing that is named here
/// was appended.
package enum ReplicationFault: Error, Equatable, Sendable {
    /// The engine does not follow, so it takes no foreign records.
    case notFollowing
    /// Bytes that are not a record, at this offset of the input.
    case malformed(offset: Int, reason: String)
    /// The record's bytes are not those that were hashed.
    case hashMismatch(lsn: LSN)
    /// A record of a newer format.
    case unsupported(lsn: LSN, reason: String)
    /// The record is not the next one.
    case gap(expected: LSN, found: LSN)
    /// The records continue another history.
    case chainMismatch(lsn: LSN)
    /// The epoch falls, or rises without an EPOCH_START, or the EPOCH_START does not follow what is here.
    case wrongEpoch(lsn: LSN, reason: String)
    /// The payload is not the batch that its header announces.
    case malformedBatch(lsn: LSN)
    case storage(StorageError)
}

/// Walks records as they travel. Judges form and hash, nothing else. Pure and total; copies nothing.
package struct ReplicatedRecordCursor {
    private let input: UnsafeRawBufferPointer
    package private(set) var offset = 0

    package init(_ input: UnsafeRawBufferPointer) { self.input = input }

    /// The next record, nil at the end.
    package mutating func next() throws(ReplicationFault) -> ReplicatedRecord? {
        guard offset < input.count else { return nil }
        let left = input.count - offset
        guard left >= ReplicatedRecord.headerByteCount, let base = input.baseAddress else { throw cutOff }
        let header = RecordHeader(loadingPortable: base + offset)
        guard header.storedByteCount <= RecordHeader.storedByteCountMax, header.rawByteCount <= RecordHeader.rawByteCountMax
        else {
            throw .malformed(offset: offset, reason: "a length is beyond the limit")
        }
        let byteCount = ReplicatedRecord.headerByteCount + Int(header.storedByteCount)
        guard left >= byteCount else { throw cutOff }
        let record = ReplicatedRecord(
            header: header, bytes: UnsafeRawBufferPointer(start: base + offset, count: byteCount))
        guard RecordHeader.portableHashMatches(base + offset, payload: record.stored) else {
            throw .hashMismatch(lsn: header.lsn)
        }
        offset += byteCount
        return record
    }

    private var cutOff: ReplicationFault { .malformed(offset: offset, reason: "the record is cut off") }
}

extension RecordHeader {
    /// Reads the part that travels. `pointer` covers 40 bytes.
    init(loadingPortable pointer: UnsafeRawPointer) {
        durableLSN = 0
        recordHash = ByteOrder.loadLE(pointer, at: 0)
        lsn = ByteOrder.loadLE(pointer, at: 8)
        epoch = ByteOrder.loadLE(pointer, at: 16)
        storedByteCount = ByteOrder.loadLE(pointer, at: 24)
        rawByteCount = ByteOrder.loadLE(pointer, at: 28)
        operationCount = ByteOrder.loadLE(pointer, at: 32)
        rawType = pointer.load(fromByteOffset: 36, as: UInt8.self)
        rawCodec = pointer.load(fromByteOffset: 37, as: UInt8.self)
        flags = ByteOrder.loadLE(pointer, at: 38)
    }

    /// Whether the hash at `pointer` fits the 32 bytes behind it and the payload.
    static func portableHashMatches(_ pointer: UnsafeRawPointer, payload: UnsafeRawBufferPointer) -> Bool {
        ByteOrder.loadLE(pointer, at: 0, as: UInt64.self) == nexa_xxh3(pointer + 8, 32, payloadHash(payload))
    }
}
