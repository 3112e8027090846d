// What an upstream answers to a REPL_HELLO: a pure function, one test per row. The first row that applies wins.
//
//     cluster differs                                      refuse BAD_CLUSTER
//     the follower is this node, or comes through it       refuse LOOP
//     too long a chain                                     refuse TOO_DEEP
//     none of the formats is common                        refuse FORMAT
//     the follower promised a higher epoch                 step down, refuse STALE_EPOCH
//     this node's log belongs to no known leadership       wait
//     c = common point of both histories
//     all of this log is a beginning of the follower's     wait; a leader, in its own epoch: refuse AHEAD_OF_LEADER, alarm
//     follower ends behind c, and c is below its commit    refuse COMMITTED_TRUNCATION, alarm
//     the follower asks for a snapshot                     snapshot (requested)
//     chain at c differs                                   snapshot (chain), alarm
//     c + 1 is not in the log any more                     snapshot (retention)
//     follower ends behind c                               truncate to c
//     else                                                 stream from c + 1

import NexaStorage

/// An upstream's side of the decision.
package struct UpstreamView: Sendable {
    package var clusterID: ClusterID
    package var node: NodeID
    /// The leadership that the log is known to belong to; 0 for none.
    package var epoch: Epoch
    package var isLeader: Bool
    package var history: EpochHistory
    /// The log as far as it may be shipped: durable.
    package var end: LSN
    package var oldestLSN: LSN
    package var formatMin: Int
    package var formatMax: Int
    /// The nodes between this one and the leader, the nearest first.
    package var via: [NodeID]
    package var chainDepthMax: Int

    package init(
        clusterID: ClusterID, node: NodeID, epoch: Epoch, isLeader: Bool, history: EpochHistory, end: LSN, oldestLSN: LSN,
        formatMin: Int = 1, formatMax: Int = 1, via: [NodeID] = [], chainDepthMax: Int = 4
    ) {
        self.clusterID = clusterID
        self.node = node
        self.epoch = epoch
        self.isLeader = isLeader
        self.history = history
        self.end = end
        self.oldestLSN = oldestLSN
        self.formatMin = formatMin
        self.formatMax = formatMax
        self.via = via
        self.chainDepthMax = chainDepthMax
    }
}

/// The answer to a hello.
package enum HelloDecision: Equatable, Sendable {
    package enum SnapshotReason: String, Sendable { case requested, chain, retention }

    case stream(from: LSN)
    case truncate(to: LSN)
    case snapshot(SnapshotReason, commonPoint: LSN)
    case wait(reason: String)
    /// `alarm` where an operator has to look.
    case refuse(ReplicationStop.Code, reason: String, alarm: Alarm? = nil)
    /// The follower knows of a newer leadership: this node stops leading.
    case stepDown(Epoch)

    /// `chain` is the upstream's chain at the LSN that `question` names; nil when it is not known.
    package static func decide(_ view: UpstreamView, _ hello: Hello, chain: UInt64?) -> HelloDecision {
        if let refusal = refusal(view, hello) { return refusal }
        let last = hello.last.lsn
        let common = commonPoint(view, hello)
        if last > common && common == view.end {
            // All that is here is a beginning of what the follower has. On the way up that is a matter of time; a leader's own records
            // are nowhere before they are on its disk.
            guard view.isLeader && hello.last.epoch == view.epoch else { return .wait(reason: "the follower is ahead") }
            return .refuse(
                .aheadOfLeader, reason: "the follower has LSN \(last) of this leadership, the leader \(view.end)",
                alarm: .followerAheadOfLeader(hello.node, hello.last))
        }
        if last > common && common < hello.committed {
            return .refuse(
                .committedTruncation, reason: "common point \(common) is below the follower's commit point \(hello.committed)",
                alarm: .committedTruncationRefused(peer: hello.node, commonPoint: common, committed: hello.committed))
        }
        if hello.want == .snapshot { return .snapshot(.requested, commonPoint: common) }
        if last == common, let chain, chain != hello.chain { return .snapshot(.chain, commonPoint: common) }
        if common + 1 < view.oldestLSN { return .snapshot(.retention, commonPoint: common) }
        return last > common ? .truncate(to: common) : .stream(from: common + 1)
    }

    /// The LSN at which the chain should be known before `decide`; nil when no chain matters.
    package static func question(_ view: UpstreamView, _ hello: Hello) -> LSN? {
        guard refusal(view, hello) == nil else { return nil }
        let common = commonPoint(view, hello)
        return common > 0 && common + 1 >= view.oldestLSN ? common : nil
    }

    private static func commonPoint(_ view: UpstreamView, _ hello: Hello) -> LSN {
        view.history.commonPoint(end: view.end, other: hello.history, otherEnd: hello.last.lsn)
    }

    /// The rows that do not look at the logs.
    private static func refusal(_ view: UpstreamView, _ hello: Hello) -> HelloDecision? {
        if hello.clusterID != view.clusterID && !(hello.clusterID == .none && hello.last.lsn == 0) {
            return .refuse(.badCluster, reason: "this is another cluster")
        }
        if hello.node == view.node || hello.via.contains(view.node) || view.via.contains(hello.node) {
            return .refuse(.loop, reason: "the follower is upstream of this node")
        }
        if view.via.count + hello.depth > view.chainDepthMax {
            return .refuse(.tooDeep, reason: "more than \(view.chainDepthMax) nodes behind the leader")
        }
        if hello.formatMax < view.formatMin || hello.formatMin > view.formatMax {
            return .refuse(
                .format,
                reason: "the follower reads formats \(hello.formatMin) to \(hello.formatMax), this node has \(view.formatMax)")
        }
        let newest = max(hello.promised, hello.last.epoch)
        if view.epoch > 0 && newest > view.epoch { return .stepDown(newest) }
        if view.epoch == 0 { return .wait(reason: "this node knows no leader yet") }
        return nil
    }
}
