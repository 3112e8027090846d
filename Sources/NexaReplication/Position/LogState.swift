// What the core knows of its own log: positions only, never bytes.
//
//     committed <= durable <= end         applied <= durable         visible = min(applied, durable)
//
// `generation` counts how often LSNs were taken back (truncation, snapshot). News of the disk carries the generation it belongs to, so a
// sync that was on its way while the log was cut is not taken for a sync of the new records under the same numbers.

import NexaStorage

/// What a node's word is worth when leaders are made.
package enum Standing: UInt8, Hashable, Sendable {
    /// It remembers what it acknowledged and promised.
    case member = 0
    /// It came with an empty disk, perhaps in the place of one that acknowledged and promised: until it has shown everything that its leader
    /// had at some moment since it came, its promise makes nobody a leader and its disk commits nothing.
    case newcomer = 1
    /// It founded the cluster, and there are not enough members yet to make another leader: newcomers may make it one.
    case founder = 2
}

/// The promise of a node not to listen to any leader older than `epoch`, and in that epoch to `leader` alone.
package struct Promise: Hashable, Sendable {
    package var epoch: Epoch
    package var leader: NodeID?
    package var standing: Standing

    package init(epoch: Epoch, leader: NodeID?, standing: Standing = .member) {
        self.epoch = epoch
        self.leader = leader
        self.standing = standing
    }
}

/// What a node remembers over a crash, and what the shell finds at start.
package struct DurableState: Hashable, Sendable {
    package var clusterID: ClusterID
    package var promise: Promise
    package var history: EpochHistory
    /// The last record that survived, and the chain up to it.
    package var end: LSN
    package var chain: UInt64
    /// A snapshot holds what came before; the first record that the log still has (`end + 1` when it has none).
    package var oldestLSN: LSN
    /// A committed LSN that was once known (`LogState.commitHint`): a hint that may lag, never one that runs ahead.
    package var commitHint: LSN
    /// Stored bytes of the log so far, a counter that never falls; for lag in bytes.
    package var byteCount: UInt64
    /// What this node keeps of its log for followers.
    package var slots: [KeptSlot] = []

    package init(
        clusterID: ClusterID = .none, promise: Promise = Promise(epoch: 0, leader: nil), history: EpochHistory = EpochHistory(),
        end: LSN = 0, chain: UInt64 = LogChain.start, oldestLSN: LSN = 1, commitHint: LSN = 0, byteCount: UInt64 = 0
    ) {
        self.clusterID = clusterID
        self.promise = promise
        self.history = history
        self.end = end
        self.chain = chain
        self.oldestLSN = oldestLSN
        self.commitHint = commitHint
        self.byteCount = byteCount
    }
}

/// The node's own log as the state machine sees it.
package struct LogState: Sendable {
    package internal(set) var history: EpochHistory
    /// Handed to the log; a crash may take back what is behind `durable`.
    package internal(set) var end: LSN
    package internal(set) var durable: LSN
    package internal(set) var applied: LSN
    /// Known to be on a commit quorum; never cut.
    package internal(set) var committed: LSN
    /// The chain up to `end`; known while the node follows, not while it leads (the engine advances it then).
    package internal(set) var chain: UInt64?
    package internal(set) var oldestLSN: LSN
    package internal(set) var generation: UInt64 = 0
    /// The epoch whose leader's log is known to begin with this whole log: set by a completed handshake and by leading. Only then may the
    /// node acknowledge, serve followers and learn a commit point in that epoch.
    package internal(set) var verifiedEpoch: Epoch = 0

    package init(_ state: DurableState) {
        // A leadership may have been noted whose first record did not survive.
        history = state.history
        history.truncate(to: state.end)
        end = state.end
        durable = state.end
        applied = state.end
        committed = min(state.commitHint, state.end)
        chain = state.chain
        oldestLSN = state.oldestLSN
    }

    /// What readers see without regard to commitment.
    package var visible: LSN { min(applied, durable) }
    /// What may be remembered of the commit point over a crash. To be written with every promise: a later epoch may put other records in the
    /// place of those that an earlier one had committed, when machines were lost and a leader was forced.
    package var commitHint: LSN { min(committed, durable) }
    package var endPosition: LogPosition { history.position(at: end) }
    package var durablePosition: LogPosition { history.position(at: durable) }
}
