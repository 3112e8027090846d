/// What an answer needs besides this node's disk before it may leave: other disks, in the leadership under which it was made. The rule is
/// `Acknowledgement`, the same that the simulator plays; here are its deadline and its words.

import NexaDocuments
import NexaReplication
import NexaStorage
import NexaWire

package struct AnswerConcern: Equatable, Sendable {
    package enum Verdict: Equatable {
        case wait, met
        case failed(WireError)
    }

    package var need: WriteConcern
    package var lsn: LSN
    /// Of `LeadershipLedger`.
    package var leadership: UInt64
    /// In `MonotonicTime`; nil: waits as long as it takes.
    package var deadline: UInt64?
    package var requestID: UInt32?
    /// False for a read that must not show what a later leader may lack.
    package var isWrite: Bool
    package var epoch: Epoch
    /// When the answer was ready, in `MonotonicTime`.
    package var heldAt: UInt64

    package init(
        need: WriteConcern, lsn: LSN, leadership: UInt64, deadline: UInt64?, requestID: UInt32?, isWrite: Bool, epoch: Epoch,
        heldAt: UInt64 = 0
    ) {
        self.need = need
        self.lsn = lsn
        self.leadership = leadership
        self.deadline = deadline
        self.requestID = requestID
        self.isWrite = isWrite
        self.epoch = epoch
        self.heldAt = heldAt
    }

    /// `reached` is the position that `need` has come to, read before `current`.
    package func judge(reached: LSN, current: UInt64, now: UInt64, atEnd: (UInt64) -> LSN = { _ in 0 }) -> Verdict {
        switch Acknowledgement(of: lsn, in: leadership, for: need, reached: reached, current: current, atEnd: atEnd) {
        case .acknowledged: return .met
        case .unknown: return .failed(failure("the leadership changed before it was known"))
        case .wait:
            if let deadline, now >= deadline { return .failed(failure("it was not reached in time")) }
            return .wait
        }
    }

    private func failure(_ reason: String) -> WireError {
        guard isWrite else {
            return WireError(
                .staleRead, "What was read is not known to be committed: \(reason)",
                details: [.init("lsn", .uint(lsn)), .init("retryable", .bool(true))])
        }
        let what =
            switch need {
            case .majority: "majority"
            case .nodes(let count): "\(count) nodes"
            }
        return WireError(
            .writeConcernTimeout,
            "The write is on the leader's disk, but whether it is on that of \(what) is unknown: \(reason). It may or may not survive "
                + "the loss of the leader",
            details: [
                .init("applied", .bool(true)), .init("epoch", .uint(epoch)), .init("lsn", .uint(lsn)),
                .init("outcome", .string("unknown")),
            ])
    }
}
