/// What an answer needs besides this node's disk before it may leave: other disks, in the leadership under which it was made.
///
/// Positions are compared, requests are not counted: a commit point that has passed an answer's LSN answers for all before it. What
/// makes that right is `generation`: it changes when the leadership ends, and then nothing that was promised under it can be told
/// from the positions any more, so the outcome is unknown.

import NexaDocuments
import NexaStorage
import NexaWire

package struct AnswerConcern: Equatable, Sendable {
    package enum Need: Equatable, Sendable {
        /// No later leader can lack it.
        case committed
        /// So many nodes have it on disk.
        case nodes(Int)
    }

    package enum Verdict: Equatable {
        case wait, met
        case failed(WireError)
    }

    package var need: Need
    package var lsn: LSN
    package var generation: UInt64
    /// In `MonotonicTime`; nil: waits as long as it takes.
    package var deadline: UInt64?
    package var requestID: UInt32?
    /// False for a read that must not show what a later leader may lack.
    package var isWrite: Bool
    package var epoch: Epoch
    /// When the answer was ready, in `MonotonicTime`.
    package var heldAt: UInt64

    package init(
        need: Need, lsn: LSN, generation: UInt64, deadline: UInt64?, requestID: UInt32?, isWrite: Bool, epoch: Epoch,
        heldAt: UInt64 = 0
    ) {
        self.need = need
        self.lsn = lsn
        self.generation = generation
        self.deadline = deadline
        self.requestID = requestID
        self.isWrite = isWrite
        self.epoch = epoch
        self.heldAt = heldAt
    }

    /// `reached` is the position that `need` has come to, read before `generation`.
    package func judge(reached: LSN, generation: UInt64, now: UInt64) -> Verdict {
        if self.generation != generation { return .failed(failure("the leadership changed before it was known")) }
        if reached >= lsn { return .met }
        if let deadline, now >= deadline { return .failed(failure("it was not reached in time")) }
        return .wait
    }

    private func failure(_ reason: String) -> WireError {
        guard isWrite else {
            return WireError(
                .staleRead, "What was read is not known to be committed: \(reason)",
                details: [.init("lsn", .uint(lsn)), .init("retryable", .bool(true))])
        }
        let what =
            switch need {
            case .committed: "majority"
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
