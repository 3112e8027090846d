// What requests need to know of replication, without asking its thread: whether writes are taken, whom to ask instead, how far the
// cluster is, what a token means.
//
// Written by the replication loop, read by all event loops and pool threads. The flags and positions are atomics; a standalone node's are
// never written. What is a record stands behind a lock that only refused writes and reads with conditions take.

import NexaDocuments
import NexaReplication
import NexaStorage
import NexaWire
import Synchronization

package final class ReplicationGate: Sendable {
    /// The largest number of nodes that a write can ask for.
    package static let nodeCountMax = 16

    /// What reads with conditions depend on.
    struct History: Sendable {
        var entries = EpochHistory()
        var end: LSN = 0
        var isLeader = true
        /// It leads, and a quorum was heard not long ago.
        var isConfirmed = true
        /// On this node's clock: everything that the leader had then is visible here; nil: unknown.
        var freshAt: Microseconds?
    }

    /// Why writes do not simply go on; see the bits below.
    private let refusals: Atomic<UInt8>
    /// Rises when the gate is parked, opened or closed: writes that wait for that look again.
    private let doorChangeCount = Atomic<UInt64>(0)
    /// How long flow control holds up one write, in nanoseconds.
    private let delay = Atomic<UInt64>(0)
    private let committed = Atomic<LSN>(0)
    /// The ledger's, for those who only compare.
    private let currentLeadership = Atomic<UInt64>(1)
    /// Rises with every news of this file: who looked before it was published looks again.
    private let changeCount = Atomic<UInt64>(0)
    /// Some write asked for a number of nodes: from then on these positions are kept.
    private let wantsNodeCounts = Atomic<Bool>(false)
    /// Index n: what n nodes have on disk. Atomics at a place of their own.
    nonisolated(unsafe) private let onNodes: UnsafeMutablePointer<Atomic<LSN>>
    private let isClustered: Bool
    private let lock = NexaLock()
    nonisolated(unsafe) private var leader: (address: String?, epoch: Epoch) = (nil, 0)  // guarded by `lock`
    nonisolated(unsafe) private var published: NodeStatus?  // guarded by `lock`
    nonisolated(unsafe) private var history = History()  // guarded by `lock`
    nonisolated(unsafe) private var leaderships = LeadershipLedger()  // guarded by `lock`

    package init(isClustered: Bool) {
        refusals = Atomic(isClustered ? Self.notLeading : 0)
        self.isClustered = isClustered
        onNodes = .allocate(capacity: Self.nodeCountMax + 1)
        for index in 0...Self.nodeCountMax { (onNodes + index).initialize(to: Atomic(0)) }
    }

    deinit {
        onNodes.deinitialize(count: Self.nodeCountMax + 1)
        onNodes.deallocate()
    }

    // MARK: - For requests

    /// One load; the branch that writes pay.
    @inline(__always)
    package var isClosed: Bool { refusals.load(ordering: .relaxed) != 0 }

    private static let notLeading: UInt8 = 1
    /// The followers that a commit needs are too far behind: writes are refused.
    private static let overloaded: UInt8 = 2
    /// Leadership is being handed over: writes wait.
    private static let parked: UInt8 = 4
    /// The followers that a commit needs lag: writes are held up.
    private static let slowing: UInt8 = 8

    /// The longest time that a write waits for a hand-over to end.
    package static let parkNanosecondsMax: UInt64 = 10_000_000_000

    package enum Admission: Equatable, Sendable {
        case admit, refuse
        /// Until the gate changes, or this time.
        case wait(deadline: UInt64)
        case delay(nanoseconds: UInt64)
    }

    /// What is to be done with a write.
    package func admit(_ state: WaitState, now: UInt64) -> Admission {
        let bits = refusals.load(ordering: .acquiring)
        if bits & Self.parked != 0 {
            let deadline = state.gateDeadline > 0 ? state.gateDeadline : now &+ Self.parkNanosecondsMax
            return now < deadline ? .wait(deadline: deadline) : .refuse
        }
        if bits & (Self.notLeading | Self.overloaded) != 0 { return .refuse }
        if bits & Self.slowing != 0, !state.isDelayed { return .delay(nanoseconds: delay.load(ordering: .relaxed)) }
        return .admit
    }

    package var doorChanges: UInt64 { doorChangeCount.load(ordering: .acquiring) }
    package var isParked: Bool { refusals.load(ordering: .relaxed) & Self.parked != 0 }
    @inline(__always)
    package var isSlowing: Bool { refusals.load(ordering: .relaxed) & Self.slowing != 0 }
    /// 0: writes go on, 1: they are held up, 2: they are refused because followers lag.
    package var flowStage: Int {
        let bits = refusals.load(ordering: .relaxed)
        return bits & Self.overloaded != 0 ? 2 : bits & Self.slowing != 0 ? 1 : 0
    }

    package var leads: Bool { refusals.load(ordering: .relaxed) & Self.notLeading == 0 }

    /// What no later leader can lack.
    package var committedLSN: LSN { committed.load(ordering: .acquiring) }
    /// The leadership under which a request is executed, as `LeadershipLedger` counts them.
    package var leadership: UInt64 { currentLeadership.load(ordering: .acquiring) }
    package var changes: UInt64 { changeCount.load(ordering: .acquiring) }

    /// Whom this node takes for the leader.
    package var leaderAddress: String? { lock.withLock { leader.address } }

    /// The node as it saw itself a moment ago.
    package var status: NodeStatus? { lock.withLock { published } }

    /// Whether an answer may leave. The position is read before the leadership: a position of a later one comes with its number.
    package func judge(_ concern: AnswerConcern, now: UInt64) -> AnswerConcern.Verdict {
        let reached: LSN
        switch concern.need {
        case .majority: reached = committedLSN
        case .nodes(let count):
            if !wantsNodeCounts.load(ordering: .relaxed) { wantsNodeCounts.store(true, ordering: .releasing) }
            reached = onNodes[count].load(ordering: .acquiring)
        }
        return concern.judge(reached: reached, current: leadership, now: now) { number in
            lock.withLock { leaderships.committed(in: number) }
        }
    }

    /// What a read's conditions are held against. A standalone node leads a cluster of one.
    func readView(_ engine: Engine, visible: LSN) -> ReadView {
        guard isClustered else {
            let history = EpochHistory(engine.epochHistory) ?? EpochHistory()
            return ReadView(
                history: history, end: visible, visible: visible, committed: visible, isLeader: true, staleness: 0)
        }
        let known = lock.withLock { history }
        let now = MonotonicTime.nanoseconds() / 1000
        return ReadView(
            history: known.entries, end: max(known.end, visible), visible: visible, committed: committedLSN,
            isLeader: known.isLeader, staleness: known.isConfirmed ? 0 : known.freshAt.map { now - min(now, $0) })
    }

    /// The position of the record at `lsn`, as answers tell it.
    func token(at lsn: LSN, _ engine: Engine) -> PositionToken {
        guard isClustered else { return PositionToken(epoch: engine.epoch, lsn: lsn) }
        let epoch = lock.withLock { history.entries.epoch(at: lsn) }
        return PositionToken(epoch: epoch ?? engine.epoch, lsn: lsn)
    }

    /// The refusal of a write.
    package var refusal: DocumentError {
        guard leads else { return notLeader }
        if isParked {
            return DocumentError(
                .overloaded, "Leadership is being handed over, and that takes longer than a write waits; try again",
                details: [.init("retryable", .bool(true))])
        }
        return DocumentError(
            .overloaded, "The followers that a commit needs are too far behind; try again later",
            details: [.init("retryable", .bool(true))])
    }

    /// On a node that does not lead.
    private var notLeader: DocumentError {
        let (address, epoch) = lock.withLock { leader }
        return DocumentError(
            .notLeader,
            address.map { "This node does not take writes; the leader is \($0)" }
                ?? "This node does not take writes, and knows no leader at the moment",
            details: [
                .init("leader", address.map { .string($0) } ?? .null), .init("epoch", .uint(epoch)),
                .init("retryable", .bool(true)),
            ])
    }

    // MARK: - For the replication loop

    package func open(_ epoch: Epoch, address: String) {
        lock.withLock { leader = (address, epoch) }
        refusals.bitwiseAnd(~(Self.notLeading | Self.parked), ordering: .releasing)
        doorChangeCount.add(1, ordering: .releasing)
    }

    /// Writes wait until the gate is opened or closed.
    package func park() {
        refusals.bitwiseOr(Self.parked, ordering: .releasing)
        doorChangeCount.add(1, ordering: .releasing)
    }

    /// The leadership has ended. With `keepsParked` what waits goes on waiting: who leads next will be known in a moment.
    package func close(leader address: String?, epoch: Epoch, keepsParked: Bool) {
        refusals.store(keepsParked ? Self.notLeading | Self.parked : Self.notLeading, ordering: .releasing)
        let current = lock.withLock {
            leader = (address, epoch)
            leaderships.end(committed: committedLSN)
            return leaderships.current
        }
        currentLeadership.store(current, ordering: .releasing)
        changeCount.add(1, ordering: .releasing)
        doorChangeCount.add(1, ordering: .releasing)
    }

    package func setFlow(_ verdict: FlowVerdict) {
        switch verdict {
        case .open: refusals.bitwiseAnd(~(Self.overloaded | Self.slowing), ordering: .releasing)
        case .slow(let microseconds):
            delay.store(microseconds * 1_000, ordering: .relaxed)
            refusals.bitwiseOr(Self.slowing, ordering: .releasing)
            refusals.bitwiseAnd(~Self.overloaded, ordering: .releasing)
        case .refuse: refusals.bitwiseOr(Self.overloaded, ordering: .releasing)
        }
    }

    package func note(committed lsn: LSN) {
        committed.store(lsn, ordering: .releasing)
        changeCount.add(1, ordering: .releasing)
    }

    var needsNodeCounts: Bool { wantsNodeCounts.load(ordering: .acquiring) }

    /// True when that is news.
    func note(_ lsn: LSN, onNodes count: Int) -> Bool {
        guard onNodes[count].load(ordering: .relaxed) != lsn else { return false }
        onNodes[count].store(lsn, ordering: .releasing)
        changeCount.add(1, ordering: .releasing)
        return true
    }

    func publish(_ status: NodeStatus) { lock.withLock { published = status } }
    func publish(_ history: History) { lock.withLock { self.history = history } }
}

extension MessageType {
    /// Requests that change documents or the catalog.
    package var isWrite: Bool {
        switch self {
        case .create, .update, .delete, .batchWrite, .importToon, .createCollection, .dropCollection, .createDatabase,
            .dropDatabase, .createIndex, .dropIndex, .createUser, .deleteUser, .changePassword, .alterUser:
            true
        default: false
        }
    }
}
