// Whether a batch continues this log: a pure function. Nothing is ever skipped, patched or re-ordered; what does not fit ends the
// connection, and the next handshake finds out why.

import NexaStorage

/// The verdict on a batch that arrived.
enum BatchVerdict: Equatable, Sendable {
    case accept
    case refuse(ReplicationStop.Code, String)

    /// `epoch` is the leadership of the session.
    static func check(_ batch: BatchArrival, log: LogState, epoch: Epoch, rules: SafetyRules) -> BatchVerdict {
        let header = batch.header
        guard header.stamp.epoch == epoch else {
            return .refuse(.staleEpoch, "the batch speaks for epoch \(header.stamp.epoch), the session for \(epoch)")
        }
        guard rules.contains(.checksContinuity) else { return .accept }
        guard header.first == log.end + 1 else {
            return .refuse(.outOfOrder, "LSN \(header.first) where \(log.end + 1) comes next")
        }
        guard header.previousChain == log.chain else {
            return .refuse(.chainMismatch, "the chain in front of LSN \(header.first) differs")
        }
        let lastEpoch = log.history.lastEpoch
        guard header.recordEpoch > 0, header.recordEpoch <= epoch, header.recordEpoch >= log.endPosition.epoch else {
            return .refuse(
                .outOfOrder, "records of epoch \(header.recordEpoch) behind epoch \(log.endPosition.epoch) for leader \(epoch)")
        }
        guard header.recordEpoch == lastEpoch || batch.beginsEpoch || log.end == 0 else {
            return .refuse(.outOfOrder, "epoch \(header.recordEpoch) begins without its first record")
        }
        return .accept
    }
}
