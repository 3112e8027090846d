// Time, and what a node says about itself.

import NexaStorage

extension ReplicaNode {
    mutating func tick(into effects: inout [NodeEffect]) {
        tickedAt = now
        settle(into: &effects)
        switch role {
        case .follower:
            if let resumeAt = following.resumeAt, now >= resumeAt, following.address == nil {
                following.resumeAt = nil
                beginResume(into: &effects)
                return
            }
            tickFollower(into: &effects)
        case .candidate: stepCandidacy(into: &effects)
        case .leader: tickLeader(into: &effects)
        case .fenced, .failed: break
        }
        tickServing(into: &effects)
    }

    /// When the next `tick` is due at the latest. Counted from the last one, not from the last event: news of the log come all the time
    /// under load, and what only time tells must come, too.
    package var nextDeadline: Microseconds {
        var due = tickedAt + setup.options.heartbeatInterval
        switch role {
        case .candidate: due = min(due, candidacy?.nextTry ?? due, candidacy?.deadline ?? due)
        case .follower:
            if following.phase == .idle && following.address != nil { due = min(due, max(now, following.retryAt)) }
            if let resumeAt = following.resumeAt { due = min(due, max(now, resumeAt)) }
            due = min(due, following.reads.earliestDeadline ?? due)
        case .leader:
            due = min(due, leading?.reads.earliestDeadline ?? due)
            if let handover = leading?.handover { due = min(due, handover.deadline, max(now, handover.nextTry)) }
        case .fenced, .failed: break
        }
        for downstream in downstreams { due = min(due, downstream.lastSent + setup.options.heartbeatInterval) }
        return max(due, now + 1)
    }

    /// An upper bound of how stale a read of this node is at `now`; nil when it cannot tell. A leader that has not heard a commit quorum for
    /// `deadAfter` may be none any more, and says so from then on.
    package func staleness(now: Microseconds) -> Microseconds? {
        guard role == .leader else { return following.staleness.bound(now: now) }
        let unheard = unheard(now: now)
        return unheard > setup.options.deadAfter ? unheard : 0
    }

    /// The node as tools see it.
    package func status() -> NodeStatus {
        let end = marks.last.byteCount
        let peers = downstreams.map { downstream in
            let lag = end - min(end, marks.byteCount(at: downstream.durable))
            return NodeStatus.Peer(
                node: downstream.node, name: downstream.name, state: downstream.stateName, written: downstream.written,
                durable: downstream.durable, applied: downstream.applied, lagByteCount: downstream.durable >= log.end ? 0 : lag,
                lag: marks.passed(downstream.durable).map { now - min(now, $0) } ?? 0,
                isVoter: setup.configuration.isVoter(downstream.node))
        }
        return NodeStatus(
            node: setup.id, name: setup.name, role: role.rawValue, clusterID: clusterID, promised: promise.epoch,
            history: log.history,
            end: log.end, durable: log.durable, applied: log.applied, committed: log.committed, oldest: log.oldestLSN,
            leader: leader?.node, leaderAddress: leader?.address, staleness: staleness(now: now), isDegraded: isDegraded,
            peers: peers,
            slots: slots.statuses(endByteCount: end, options: setup.options, now: now))
    }
}

extension Downstream {
    /// For status and metric labels.
    var stateName: String {
        switch phase {
        case .asked: "asking"
        case .preparing: "preparing"
        case .starting: "starting"
        case .streaming: "streaming"
        }
    }
}

extension ReplicaNode {
    /// In words, for traces.
    package var situation: String {
        "upstream \(following.address ?? "-") \(following.phase) downstreams \(downstreams.map { "\($0.name):\($0.stateName)" })"
    }
}
