// The leader's side: the commit point and who waits for it, read rounds, flow control, switchover, and stepping down.

import NexaStorage

/// What a node has as long as it leads.
struct LeaderState: Sendable {
    struct Handover: Sendable {
        var target: NodeID
        var deadline: Microseconds
        /// Where the log ends for good; nil until no local commit is under way.
        var finalLSN: LSN?
        var isHandedOver = false
        var nextTry: Microseconds = 0
    }

    let epoch: Epoch
    /// When the promises were there.
    let since: Microseconds
    /// The position of EPOCH_START; nil until the log has it.
    var firstLSN: LSN?
    /// EPOCH_START is on the own disk: local commits are taken.
    var isOpen = false
    var commit: CommitPoint
    var reads = ReadRounds()
    var flow = FlowVerdict.open
    var handover: Handover?
    var nextAnnouncement: Microseconds = 0
    /// Reused for counting nodes.
    var positions: [LSN] = []

    init(epoch: Epoch, since: Microseconds, commit: CommitPoint) {
        self.epoch = epoch
        self.since = since
        self.commit = commit
    }

    mutating func failReads(of session: SessionID) {
        _ = reads.take { if case .follower(session, _) = $0.asker { true } else { false } }
    }
}

extension ReplicaNode {
    // MARK: - Beginning

    /// Enough peers promised: take the log over.
    mutating func lead(_ epoch: Epoch, into effects: inout [NodeEffect]) {
        candidacy = nil
        leading = LeaderState(
            epoch: epoch, since: now,
            commit: CommitPoint(
                configuration: setup.configuration, own: setup.id, needsEpochStart: setup.rules.contains(.commitsFromEpochStart)))
        leader = LeaderHint(node: setup.id, address: setup.address, epoch: epoch)
        following.address = nil
        setRole(.leader, into: &effects)
        effects.append(.appendEpochStart(epoch))
    }

    mutating func noteEpochStart(_ epoch: Epoch, _ lsn: LSN, _ chain: UInt64, into effects: inout [NodeEffect]) {
        guard role == .leader || role == .fenced, epoch > log.history.lastEpoch else { return }
        log.history.begin(epoch, at: lsn)
        log.end = max(log.end, lsn)
        log.chain = nil
        marks.append(lsn: lsn, byteCount: marks.last.byteCount, at: now)
        guard role == .leader, leading?.epoch == epoch else { return }
        log.verifiedEpoch = epoch
        leading!.firstLSN = lsn
        leading!.commit.epochStart = lsn
        leaderIsDurable(into: &effects)
        if !setup.rules.contains(.shipsOnlyDurable) { pumpAll(into: &effects) }
    }

    /// The own disk has moved on.
    mutating func leaderIsDurable(into effects: inout [NodeEffect]) {
        guard let firstLSN = leading?.firstLSN else { return }
        if !leading!.isOpen && log.durable >= firstLSN {
            leading!.isOpen = true
            effects.append(.promoted(promise.epoch))
            effects.append(.gate(.open(promise.epoch)))
            announce(into: &effects)
        }
        leading!.commit.voters[leading!.commit.own].durable = log.durable
        positionsMoved(into: &effects)
    }

    /// Tells members that are not connected whom to follow.
    private mutating func announce(into effects: inout [NodeEffect]) {
        guard let firstLSN = leading?.firstLSN, now >= leading!.nextAnnouncement else { return }
        leading!.nextAnnouncement = now + setup.options.heartbeatInterval
        let promoted = Promoted(
            clusterID: clusterID, epoch: promise.epoch, firstLSN: firstLSN, leader: setup.id, address: setup.address)
        for member in setup.configuration.members
        where member.id != setup.id
            && !downstreams.contains(where: { $0.node == member.id || $0.relayed.contains { $0.node == member.id } })
        {
            effects.append(.sendPeer(member.id, .promoted(promoted)))
        }
    }

    // MARK: - Positions

    /// A follower has acknowledged.
    mutating func leaderHeard(_ index: Int, into effects: inout [NodeEffect]) {
        if !downstreams[index].isNewcomer {
            noteVoter(downstreams[index].node, durable: downstreams[index].durable, echoed: downstreams[index].echoed)
        }
        for position in downstreams[index].relayed {
            noteVoter(position.node, durable: min(position.durable, downstreams[index].durable), echoed: 0)
        }
        positionsMoved(into: &effects)
    }

    private mutating func noteVoter(_ node: NodeID, durable: LSN, echoed: Microseconds) {
        guard let voter = leading!.commit.index(of: node), voter != leading!.commit.own else { return }
        leading!.commit.voters[voter].durable = max(leading!.commit.voters[voter].durable, durable)
        leading!.commit.voters[voter].echoed = max(leading!.commit.voters[voter].echoed, echoed)
        leading!.commit.voters[voter].lastHeard = now
    }

    private mutating func positionsMoved(into effects: inout [NodeEffect]) {
        if let committed = leading!.commit.committed, committed > log.committed {
            log.committed = committed
            effects.append(.committed(committed))
            tellCommitted(into: &effects)
        }
        if !leading!.reads.isEmpty { answerReads(into: &effects) }
        if leading!.handover != nil { stepHandover(into: &effects) }
    }

    /// The highest LSN that `count` nodes, this one among them, have on disk.
    package mutating func durable(onNodes count: Int) -> LSN {
        guard leading != nil else { return 0 }
        leading!.positions.removeAll(keepingCapacity: true)
        for (index, downstream) in downstreams.enumerated() where downstream.phase == .streaming {
            leading!.positions.append(downstream.durable)
            for relayed in downstream.relayed
            where !downstreams.contains(where: { $0.node == relayed.node })
                && !downstreams[..<index].contains(where: { $0.relayed.contains { $0.node == relayed.node } })
            {
                leading!.positions.append(min(relayed.durable, downstream.durable))
            }
        }
        guard count > 1 else { return log.durable }
        guard leading!.positions.count >= count - 1 else { return 0 }
        leading!.positions.sort(by: >)
        return min(log.durable, leading!.positions[count - 2])
    }

    // MARK: - Stepping down

    /// A newer leadership exists, or may: nothing is acknowledged from here on, and the log is sealed. Where nobody is known to lead, this node
    /// asks around after `resumeAfter` and stands up again if nobody does: a promise to a candidate that failed must not end a leadership
    /// for good.
    mutating func stepDown(
        to hint: LeaderHint?, reason: String, resumeAfter: Microseconds? = nil, into effects: inout [NodeEffect]
    ) {
        guard role == .leader else { return }
        dropLeadership(reason: reason, into: &effects)
        closeDownstreams(ReplicationStop(.roleChanged, reason, epoch: highestEpochSeen), into: &effects)
        leader = hint
        following.address = hint?.address
        following.retryAt = now
        following.resumeAt = hint == nil ? resumeAfter.map { now + $0 } : nil
        setRole(.fenced, into: &effects)
        effects.append(.gate(.closed(leader: hint?.node, address: hint?.address, epoch: highestEpochSeen)))
        effects.append(.sealWrites)
    }

    /// Answers everybody who waits for this leadership.
    mutating func dropLeadership(reason: String, into effects: inout [NodeEffect]) {
        guard leading != nil else { return }
        for round in leading!.reads.take(where: { _ in true }) { answer(round.asker, nil, reason, into: &effects) }
        if let handover = leading!.handover {
            effects.append(
                .switchoverProgress(
                    SwitchoverProgress(
                        state: handover.isHandedOver ? .done : .aborted, lsn: handover.finalLSN ?? log.end, reason: reason)))
        }
        leading = nil
        log.verifiedEpoch = 0
    }

    mutating func noteSealed(_ end: LSN, _ chain: UInt64, into effects: inout [NodeEffect]) {
        guard role == .fenced else { return }
        log.end = max(log.end, end)
        log.chain = chain
        following.phase = .idle
        setRole(.follower, into: &effects)
        connect(into: &effects)
    }

    // MARK: - Switchover

    mutating func beginSwitchover(_ target: NodeID, _ timeout: Microseconds, into effects: inout [NodeEffect]) {
        var refusal: String?
        if role != .leader || leading?.isOpen != true { refusal = "this node does not lead" }
        if leading?.handover != nil { refusal = "a switchover is under way" }
        if target == setup.id || !setup.configuration.isVoter(target) { refusal = "the target is not another voter" }
        if durable(on: target) == nil { refusal = "the target does not follow this node" }
        if let refusal {
            effects.append(.switchoverProgress(SwitchoverProgress(state: .aborted, lsn: log.end, reason: refusal)))
            return
        }
        leading!.handover = LeaderState.Handover(target: target, deadline: now + min(timeout, setup.options.switchoverTimeoutMax))
        effects.append(.gate(.parked))
        effects.append(.switchoverProgress(SwitchoverProgress(state: .draining, lsn: log.end)))
    }

    mutating func noteParked(_ end: LSN, into effects: inout [NodeEffect]) {
        guard role == .leader, leading?.handover != nil else { return }
        log.end = max(log.end, end)
        leading!.handover!.finalLSN = log.end
        stepHandover(into: &effects)
    }

    /// What a node has on disk that follows this one, or somebody who does; nil when it does not.
    private func durable(on node: NodeID) -> LSN? {
        var found: LSN?
        for downstream in downstreams where downstream.phase == .streaming {
            if downstream.node == node { found = max(found ?? 0, downstream.durable) }
            for relayed in downstream.relayed where relayed.node == node {
                found = max(found ?? 0, min(relayed.durable, downstream.durable))
            }
        }
        return found
    }

    private mutating func stepHandover(into effects: inout [NodeEffect]) {
        guard let handover = leading?.handover else { return }
        if now >= handover.deadline {
            // The target may still take over: that is what epochs are for.
            leading!.handover = nil
            let reason = isIndispensable ? "too few nodes have caught up with the founder of the cluster" : "the time is up"
            effects.append(.switchoverProgress(SwitchoverProgress(state: .aborted, lsn: log.end, reason: reason)))
            effects.append(.gate(.open(promise.epoch)))
            return
        }
        guard let final = handover.finalLSN, now >= handover.nextTry, let reached = durable(on: handover.target),
            reached >= final, !isIndispensable
        else { return }
        if !handover.isHandedOver { effects.append(.switchoverProgress(SwitchoverProgress(state: .handedOver, lsn: final))) }
        leading!.handover!.isHandedOver = true
        leading!.handover!.nextTry = now + setup.options.fenceRetry
        effects.append(
            .sendPeer(
                handover.target,
                .switchover(
                    Switchover(target: handover.target, timeout: handover.deadline - now, epoch: promise.epoch, finalLSN: final)))
        )
    }

    // MARK: - Time

    mutating func tickLeader(into effects: inout [NodeEffect]) {
        guard leading?.firstLSN != nil else { return }
        expireReads(into: &effects)
        if leading!.isOpen { announce(into: &effects) }
        stepHandover(into: &effects)
        let verdict = flowVerdict
        if verdict != leading!.flow {
            leading!.flow = verdict
            effects.append(.flow(verdict))
        }
    }

    private var flowVerdict: FlowVerdict {
        guard let leading else { return .open }
        let held = FlowControl.heldBackAt(leading.commit) { now - $0.lastHeard <= setup.options.deadAfter && $0.lastHeard > 0 }
        guard let held, let since = marks.passed(held) else { return .open }
        return FlowControl.verdict(
            byteCount: marks.last.byteCount - min(marks.last.byteCount, marks.byteCount(at: held)), age: now - since,
            options: setup.options)
    }

    /// How long ago a commit quorum was last heard: nobody of it had promised a newer leader then. Nothing is subtracted for the way, and a
    /// leadership begins with its promises, so up to `deadAfter` this says nothing.
    func unheard(now: Microseconds) -> Microseconds {
        guard let leading else { return 0 }
        let heard = leading.commit.voters.enumerated().map { $0.offset == leading.commit.own ? now : $0.element.lastHeard }
        return now - min(now, max(leading.since, heard.sorted(by: >)[leading.commit.quorum - 1]))
    }

    /// Fewer voters are there than a commit needs.
    var isDegraded: Bool {
        guard let leading else { return false }
        let live = leading.commit.voters.enumerated().count {
            $0.offset == leading.commit.own || ($0.element.lastHeard > 0 && now - $0.element.lastHeard <= setup.options.deadAfter)
        }
        return live < leading.commit.quorum
    }
}
