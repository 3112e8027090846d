/// Why bytes are not a record.
package enum RecordFault: Equatable, Sendable {
    /// The 56 bytes are zero: nothing was ever written here.
    case zeros
    /// Not a header of this file at this offset: garbage, damage, or an older use of the file.
    case headerChecksum
    /// The bytes end before the record does, though its header is whole.
    case truncated
    /// The header is whole and the payload is not.
    case payloadHash
    /// Header and payload are whole, and the bytes up to the next multiple of 8 are not zero.
    case padding
    /// Whole, and yet against the rules of the format.
    case inconsistent(String)
}

/// What lies at a place in a log file.
package enum DecodedRecord: Equatable, Sendable {
    case record(RecordHeader)
    /// A whole record that this version cannot understand and must not ignore.
    case unsupported(RecordHeader, reason: String)
    /// The header is whole; this many bytes from its start are needed to judge the record.
    case needsBytes(RecordHeader, Int)
    /// `header` is there when the header itself is whole, so that its durable LSN counts as evidence.
    case fault(RecordFault, header: RecordHeader?)
}

/// Judges bytes as a record. Pure and total: any bytes give an answer, none are copied, and nothing outside of them is read.
package enum LogRecordDecoder {
    /// `bytes` begin at `offset` of the file with this id. They may end anywhere; more bytes than the record has are ignored.
    package static func decode(_ bytes: UnsafeRawBufferPointer, fileID: UInt64, offset: UInt64) -> DecodedRecord {
        guard bytes.count >= RecordHeader.byteCount, let start = bytes.baseAddress else { return .fault(.truncated, header: nil) }
        guard let header = sealedHeader(start, fileID: fileID, offset: offset) else {
            return .fault(isZero(start, RecordHeader.byteCount) ? .zeros : .headerChecksum, header: nil)
        }
        if let reason = inconsistency(of: header) { return .fault(.inconsistent(reason), header: header) }
        let byteCount = header.recordByteCount
        guard bytes.count >= byteCount else { return .needsBytes(header, byteCount) }
        let end = RecordHeader.byteCount + Int(header.storedByteCount)
        guard RecordHeader.hashMatches(start, payload: UnsafeRawBufferPointer(rebasing: bytes[RecordHeader.byteCount..<end]))
        else {
            return .fault(.payloadHash, header: header)
        }
        guard isZero(start + end, byteCount - end) else { return .fault(.padding, header: header) }
        if header.type == nil && header.rawType & RecordType.skippableBit == 0 {
            return .unsupported(header, reason: "record type \(header.rawType)")
        }
        if header.type != nil && header.codec == nil { return .unsupported(header, reason: "record codec \(header.rawCodec)") }
        return .record(header)
    }

    /// The header at `start`, if its checksum fits this file and offset. `start` covers 56 bytes.
    static func sealedHeader(_ start: UnsafeRawPointer, fileID: UInt64, offset: UInt64) -> RecordHeader? {
        // Most of what is no header is told from its lengths, without hashing: scans of damaged files stay fast.
        guard ByteOrder.loadLE(start, at: 40, as: UInt32.self) <= RecordHeader.storedByteCountMax,
            start.load(fromByteOffset: 52, as: UInt8.self) != 0,
            RecordHeader.sealMatches(start, fileID: fileID, offset: offset)
        else { return nil }
        return RecordHeader(loading: start)
    }

    private static func inconsistency(of header: RecordHeader) -> String? {
        if header.rawByteCount > RecordHeader.rawByteCountMax { return "raw length \(header.rawByteCount) is beyond the limit" }
        if header.codec == .raw && header.rawByteCount != header.storedByteCount { return "lengths of a raw payload differ" }
        if header.durableLSN > header.lsn { return "durable LSN \(header.durableLSN) lies beyond the record's own" }
        return nil
    }

    static func isZero(_ start: UnsafeRawPointer, _ byteCount: Int) -> Bool {
        for index in 0..<byteCount where start.load(fromByteOffset: index, as: UInt8.self) != 0 { return false }
        return true
    }
}
