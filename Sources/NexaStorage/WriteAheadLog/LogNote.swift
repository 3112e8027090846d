/// The payload of MARK and END, 16 bytes: the chain up to the last record (8) and, in an END that another segment follows, the length of
/// that segment's file (8), which was durable before END was written; else 0.
///
/// The record's LSN and epoch repeat those of the last record in front of it.
///
/// A MARK is also written to the *witness slot*, a sector of its own in the header block, over the one before: should the log's last sector
/// be lost with the last records and the MARK behind them, the slot still knows how far the log was durable.
struct LogNote: Equatable {
    static let byteCount = 16
    static let witnessOffset: UInt64 = 512

    var chain: UInt64
    var nextFileByteCount: UInt64

    init(chain: UInt64, nextFileByteCount: UInt64 = 0) {
        self.chain = chain
        self.nextFileByteCount = nextFileByteCount
    }

    init?(_ payload: UnsafeRawBufferPointer) {
        guard payload.count == LogNote.byteCount, let start = payload.baseAddress else { return nil }
        chain = ByteOrder.loadLE(start, at: 0)
        nextFileByteCount = ByteOrder.loadLE(start, at: 8)
    }

    /// Writes the whole record but its seal. `record` has exactly the bytes of such a record.
    func fill(_ record: UnsafeMutableRawBufferPointer, type: RecordType, lsn: LSN, epoch: Epoch) {
        precondition(record.count == RecordHeader.recordByteCount(storedByteCount: LogNote.byteCount), "a note has a fixed size")
        let start = record.baseAddress!
        ByteOrder.storeLE(chain, to: start, at: RecordHeader.byteCount)
        ByteOrder.storeLE(nextFileByteCount, to: start, at: RecordHeader.byteCount + 8)
        let payload = UnsafeRawBufferPointer(start: start + RecordHeader.byteCount, count: LogNote.byteCount)
        RecordHeader.fill(
            start, type: type, lsn: lsn, epoch: epoch, operationCount: 0, storedByteCount: LogNote.byteCount,
            rawByteCount: LogNote.byteCount, payloadHash: RecordHeader.payloadHash(payload))
    }
}
