// A node of a cluster as a pure state machine: (state, event, now) -> effects. No I/O, no clock, no lock, no task; the same events give the
// same effects, which is what the simulator lives on.
//
//              promote, vacant, start without upstream            fence quorum promised
//     follower ---------------------------------------> candidate ---------------------> leader
//        ^  ^                                               |                              |
//        |  +--------------(refused, outvoted, timeout)-----+                              | a higher epoch was seen
//        +------------------(log sealed)------------------ fenced <------------------------+
//
// One file per concern: +Log (news of the disk), +Following, +Serving, +Shipping and +Slots (followers of this node), +Leading, +Candidacy,
// +Reads, +Peers, +Status.

import NexaStorage

/// What a node is told at start and cannot learn otherwise.
package struct NodeSetup: Sendable {
    package var id: NodeID
    package var name: String
    package var address: String
    package var configuration: ClusterConfiguration
    package var options: ReplicationOptions
    /// Whom to follow at start; nil for the node that is to lead.
    package var follow: String?
    /// The local data has to be replaced: the first hello asks for a snapshot.
    package var wantsSnapshot = false
    /// Formats of log and tables that this program reads.
    package var formatMin = 1
    package var formatMax = 1
    package var features: [String] = []
    /// Always `.all`, but in the tests of the tests.
    package var rules = SafetyRules.all

    package init(
        name: String, address: String, configuration: ClusterConfiguration, options: ReplicationOptions = ReplicationOptions(),
        follow: String? = nil
    ) {
        id = NodeID(name: name)
        self.name = name
        self.address = address
        self.configuration = configuration
        self.options = options
        self.follow = follow
    }
}

/// Whom a node takes for the leader.
package struct LeaderHint: Hashable, Sendable {
    package var node: NodeID
    package var address: String
    package var epoch: Epoch
}

/// The replication core of one node. Confined to whatever drives it.
package struct ReplicaNode: Sendable {
    /// Sessions that the node opens have this bit; those that the shell names must not.
    package static let ownSessionBit: UInt64 = 1 << 63

    package let setup: NodeSetup
    package internal(set) var role = NodeRole.follower
    package internal(set) var clusterID: ClusterID
    package internal(set) var log: LogState
    package internal(set) var promise: Promise
    package internal(set) var leader: LeaderHint?

    var now: Microseconds
    var marks: LogMarks
    var pendingPromise: PendingPromise?
    var highestEpochSeen: Epoch
    var following = FollowerState()
    var candidacy: Candidacy?
    /// It is a candidate because it led before, not because somebody said so.
    package var standsUpByItself: Bool { candidacy?.isResume == true }
    var leading: LeaderState?
    var downstreams: [Downstream] = []
    var slots = SlotTable()
    var toldRetain: LSN = .max
    var lastStamp: Microseconds = 0
    /// When this life of the node began.
    let bornAt: Microseconds
    /// When time was last looked at.
    var tickedAt: Microseconds
    private var sessionCount: UInt64 = 0

    /// A promise that is being written.
    struct PendingPromise: Sendable {
        enum Purpose: Sendable {
            case welcome(SessionID)
            case fence(NodeID)
            case candidacy
            /// The same promise, of a node that counts now.
            case standing
        }

        var promise: Promise
        var purpose: Purpose
    }

    /// A node as it comes up with what its disk kept. Follow with `start`.
    package init(_ setup: NodeSetup, _ state: DurableState, now: Microseconds) {
        self.setup = setup
        self.now = now
        bornAt = now
        tickedAt = now
        clusterID = state.clusterID
        log = LogState(state)
        let written = state.history.position(at: state.end).epoch
        promise =
            state.promise.epoch >= written
            ? state.promise : Promise(epoch: written, leader: nil, standing: state.promise.standing)
        if clusterID == .none && setup.rules.contains(.countsNoNewcomers) { promise.standing = .newcomer }
        highestEpochSeen = promise.epoch
        marks = LogMarks(lsn: state.end, byteCount: state.byteCount, at: now)
        slots = SlotTable(state.slots, endByteCount: state.byteCount, oldestLSN: state.oldestLSN, now: now)
    }

    /// The first event of a node's life: a node with an upstream dials it, one without stands up for its old place.
    package mutating func start(now: Microseconds, into effects: inout [NodeEffect]) {
        self.now = max(self.now, now)
        effects.append(.gate(.closed(leader: nil, address: nil, epoch: promise.epoch)))
        tellRetain(into: &effects)
        if let address = setup.follow {
            following.address = address
            following.wantsSnapshot = setup.wantsSnapshot
            connect(into: &effects)
        } else {
            beginResume(into: &effects)
        }
    }

    /// Takes one event and appends what follows from it. Events about connections and log generations that are over have no effect.
    package mutating func handle(_ event: NodeEvent, now: Microseconds, into effects: inout [NodeEffect]) {
        self.now = max(self.now, now)
        guard role != .failed else { return refuseAll(event, into: &effects) }
        switch event {
        case .tick: tick(into: &effects)

        case .appended(let end, let byteCount): noteAppended(end, byteCount, into: &effects)
        case .durable(let lsn, let generation): noteDurable(lsn, generation, into: &effects)
        case .applied(let lsn, let generation): noteApplied(lsn, generation, into: &effects)
        case .epochStartAppended(let epoch, let lsn, let chain): noteEpochStart(epoch, lsn, chain, into: &effects)
        case .writesSealed(let end, let chain): noteSealed(end, chain, into: &effects)
        case .writesParked(let end): noteParked(end, into: &effects)
        case .promisePersisted(let promise): notePromise(promise, into: &effects)
        case .truncated(let end, let chain, let generation): noteTruncated(end, chain, generation, into: &effects)
        case .snapshotInstalled(let session, let cluster, let history, let end, let chain, let generation):
            noteInstalled(session, cluster, history, end, chain, generation, into: &effects)
        case .snapshotFailed(_, let reason): noteInstallFailed(reason, into: &effects)
        case .snapshotOffered(let session, let lsn): noteSnapshotOffered(session, through: lsn, into: &effects)
        case .logRetained(let oldest): log.oldestLSN = max(log.oldestLSN, oldest)
        case .chainRead(let question, let lsn, let chain): noteChain(question, lsn, chain, into: &effects)
        case .logFailed(let reason): fail(reason, into: &effects)

        case .upstreamConnected(let session): greet(session, into: &effects)
        case .closed(let session): noteClosed(session, into: &effects)
        case .upstream(let session, let message): fromUpstream(session, message, into: &effects)
        case .batch(let session, let batch): take(batch, session, into: &effects)
        case .damagedBatch(let session, let reason): refuseDamaged(session, reason, into: &effects)
        case .downstream(let session, let message): fromDownstream(session, message, into: &effects)
        case .shipped(let session, let last, let byteCount): noteShipped(session, last, byteCount, into: &effects)
        case .shipGone(let session, let oldest): noteShipGone(session, oldest, into: &effects)
        case .peer(let node, let message): fromPeer(node, message, into: &effects)

        case .awaitReadIndex(let id, let visible, let deadline): readIndex(for: .local(id), visible, deadline, into: &effects)
        case .readIndex(let session, let message, let visible): relayReadIndex(session, message, visible, into: &effects)

        case .promote(let force): beginCandidacy(force: force, into: &effects)
        case .switchover(let target, let timeout): beginSwitchover(target, timeout, into: &effects)
        case .slotAdmin(let request): administer(request, into: &effects)
        case .coordination(let event): coordinate(event, into: &effects)
        case .stop: shutDown(ReplicationStop(.shutdown), into: &effects)
        }
    }

    mutating func nextSession() -> SessionID {
        sessionCount += 1
        return SessionID(ReplicaNode.ownSessionBit | sessionCount)
    }

    /// A stamp that no frame had before: an answer to it is an answer to something sent from now on.
    mutating func nextStamp() -> Microseconds {
        lastStamp = max(now, lastStamp + 1)
        return lastStamp
    }

    mutating func setRole(_ role: NodeRole, into effects: inout [NodeEffect]) {
        guard self.role != role else { return }
        self.role = role
        effects.append(.note(.roleChanged(role, epoch: promise.epoch)))
    }

    mutating func sawEpoch(_ epoch: Epoch) {
        if isReachable(epoch) { highestEpochSeen = max(highestEpochSeen, epoch) }
    }

    /// No epoch that was made up (`Epoch.leapMax`). A node that belongs to no cluster yet has nothing to compare with.
    func isReachable(_ epoch: Epoch) -> Bool {
        epoch < .tooHigh && (clusterID == .none || epoch < max(promise.epoch, log.history.lastEpoch) + Epoch.leapMax)
    }

    // MARK: - The end

    private mutating func fail(_ reason: String, into effects: inout [NodeEffect]) {
        effects.append(.alarm(.logFailed(reason)))
        shutDown(ReplicationStop(.roleChanged, "the log failed"), into: &effects)
    }

    private mutating func shutDown(_ stop: ReplicationStop, into effects: inout [NodeEffect]) {
        if candidacy != nil { effects.append(.promotionFailed(.logFailed)) }
        candidacy = nil
        dropLeadership(reason: "the node stops", into: &effects)
        dropUpstream(.stop(stop), into: &effects)
        closeDownstreams(stop, into: &effects)
        effects.append(.gate(.closed(leader: nil, address: nil, epoch: promise.epoch)))
        setRole(.failed, into: &effects)
    }

    /// A node that takes part in nothing still answers who asks.
    private mutating func refuseAll(_ event: NodeEvent, into effects: inout [NodeEffect]) {
        switch event {
        case .awaitReadIndex(let id, _, _): effects.append(.completeReadIndex(id, .failed(reason: "the node stops")))
        case .downstream(let session, .hello): effects.append(.close(session, .stop(ReplicationStop(.shutdown))))
        case .promote: effects.append(.promotionFailed(.logFailed))
        case .switchover:
            effects.append(.switchoverProgress(SwitchoverProgress(state: .aborted, lsn: log.end, reason: "the node stops")))
        case .slotAdmin(let request): answerSlots(isDone: request.action == .list, into: &effects)
        default: break
        }
    }
}
