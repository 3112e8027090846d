/// The payload of EPOCH_START, the first record of a leadership, little-endian:
///
///     0  8  epoch of the record before        8  8  its LSN        16  the leader's node id, up to 256 bytes
///
/// The record itself carries the new epoch and consumes an LSN, so that a log's last position tells the leadership even when nothing was
/// written under it yet. Invariant: no record's epoch is above that of the record before it unless it is an EPOCH_START.
package struct EpochStartRecord: Equatable, Sendable {
    package static let nodeIDByteCountMax = 256
    static let fixedByteCount = 16

    package var previousEpoch: Epoch
    package var previousLSN: LSN
    package var nodeID: [UInt8]

    package init(previousEpoch: Epoch, previousLSN: LSN, nodeID: [UInt8]) {
        self.previousEpoch = previousEpoch
        self.previousLSN = previousLSN
        self.nodeID = nodeID
    }

    /// Nil when the bytes are not such a payload. Pure and total.
    package init?(_ payload: UnsafeRawBufferPointer) {
        guard payload.count >= Self.fixedByteCount, payload.count <= Self.fixedByteCount + Self.nodeIDByteCountMax,
            let start = payload.baseAddress
        else { return nil }
        previousEpoch = ByteOrder.loadLE(start, at: 0)
        previousLSN = ByteOrder.loadLE(start, at: 8)
        nodeID = Array(payload[Self.fixedByteCount...])
    }

    package var byteCount: Int { Self.fixedByteCount + nodeID.count }

    /// Fills a record but its seal; `record` covers its bytes with padding.
    func fill(_ record: UnsafeMutableRawPointer, lsn: LSN, epoch: Epoch) {
        let payload = record + RecordHeader.byteCount
        ByteOrder.storeLE(previousEpoch, to: payload, at: 0)
        ByteOrder.storeLE(previousLSN, to: payload, at: 8)
        nodeID.withUnsafeBytes {
            UnsafeMutableRawBufferPointer(start: payload + Self.fixedByteCount, count: $0.count).copyMemory(from: $0)
        }
        let hash = RecordHeader.payloadHash(UnsafeRawBufferPointer(start: payload, count: byteCount))
        RecordHeader.fill(
            record, type: .epochStart, lsn: lsn, epoch: epoch, operationCount: 0, storedByteCount: byteCount,
            rawByteCount: byteCount, payloadHash: hash)
    }
}
