// News of the own log. What the disk says moves everything else: acknowledgements on a follower, the commit point on a leader, and what may
// be shipped on both.

import NexaStorage

extension ReplicaNode {
    mutating func noteAppended(_ end: LSN, _ byteCount: UInt64, into effects: inout [NodeEffect]) {
        guard role == .leader || role == .fenced, end > log.end else { return }
        log.end = end
        marks.append(lsn: end, byteCount: byteCount, at: now)
        if !setup.rules.contains(.shipsOnlyDurable) { pumpAll(into: &effects) }
    }

    /// The hot event of both roles; no allocation but for what `effects` needs to grow.
    mutating func noteDurable(_ lsn: LSN, _ generation: UInt64, into effects: inout [NodeEffect]) {
        guard generation == log.generation else { return }
        if role == .leader || role == .fenced { log.end = max(log.end, lsn) }
        let lsn = min(lsn, log.end)
        guard lsn > log.durable else { return }
        log.durable = lsn
        switch role {
        case .leader: leaderIsDurable(into: &effects)
        case .follower:
            following.staleness.shown(log.visible)
            settle(into: &effects)
            sendAck(into: &effects)
        case .candidate, .fenced, .failed: break
        }
        pumpAll(into: &effects)
    }

    mutating func noteApplied(_ lsn: LSN, _ generation: UInt64, into effects: inout [NodeEffect]) {
        guard generation == log.generation else { return }
        if role == .leader || role == .fenced { log.end = max(log.end, lsn) }
        log.applied = max(log.applied, min(lsn, log.end))
        following.staleness.shown(log.visible)
        settle(into: &effects)
    }

    mutating func noteTruncated(_ end: LSN, _ chain: UInt64, _ generation: UInt64, into effects: inout [NodeEffect]) {
        guard following.phase == .cutting, generation == log.generation else { return }
        precondition(end >= log.committed, "what is committed is never cut")
        log.history.truncate(to: end)
        log.end = end
        log.durable = end
        log.applied = end
        log.chain = chain
        marks.restart(at: end, byteCount: marks.byteCount(at: end), now: now)
        goOn(into: &effects)
    }

    mutating func noteInstalled(
        _ session: SessionID, _ cluster: ClusterID, _ history: EpochHistory, _ end: LSN, _ chain: UInt64, _ generation: UInt64,
        into effects: inout [NodeEffect]
    ) {
        guard following.phase == .installing, generation == log.generation + 1 else { return }
        log.generation = generation
        clusterID = cluster
        log.history = history
        log.history.truncate(to: end)
        log.end = end
        log.durable = end
        log.applied = end
        log.committed = min(log.committed, end)
        log.chain = chain
        log.oldestLSN = end + 1
        marks.restart(at: end, byteCount: marks.last.byteCount, now: now)
        following.wantsSnapshot = false
        goOn(into: &effects)
    }

    mutating func noteInstallFailed(_ reason: String, into effects: inout [NodeEffect]) {
        guard following.phase == .installing else { return }
        following.phase = .idle
        effects.append(.note(.upstreamLost(reason: reason)))
        if let session = following.session { effects.append(.close(session, .quiet)) }
        leaveUpstream()
    }

    mutating func noteChain(_ question: ChainQuestion, _ lsn: LSN, _ chain: UInt64?, into effects: inout [NodeEffect]) {
        switch question {
        case .hello(let session): answerHello(session, at: lsn, chain: chain, into: &effects)
        case .start(let session): answerStart(session, chain: chain, into: &effects)
        case .cut(let session): compareAndCut(session, lsn, chain, into: &effects)
        }
    }

    mutating func notePromise(_ persisted: Promise, into effects: inout [NodeEffect]) {
        guard let pending = pendingPromise, pending.promise == persisted else { return }
        pendingPromise = nil
        promise = persisted
        sawEpoch(persisted.epoch)
        if log.verifiedEpoch < persisted.epoch { log.verifiedEpoch = 0 }
        switch pending.purpose {
        case .welcome(let session): adopted(session, into: &effects)
        case .fence(let peer): replyFenced(to: peer, epoch: persisted.epoch, isGranted: true, into: &effects)
        case .candidacy: candidacyPersisted(into: &effects)
        case .standing: sendAck(into: &effects)
        }
    }

    /// A newcomer that has caught up counts from now on. A founder is a member like any other once the others could make a leader without it.
    mutating func settle(into effects: inout [NodeEffect]) {
        let isSettled: Bool
        switch promise.standing {
        case .member: return
        case .newcomer:
            isSettled =
                role == .follower && following.phase == .streaming && log.verifiedEpoch == promise.epoch
                && following.staleness.freshAt ?? 0 > bornAt
        case .founder: isSettled = !isIndispensable
        }
        guard isSettled, pendingPromise == nil else { return }
        _ = persist(Promise(epoch: promise.epoch, leader: promise.leader), for: .standing, into: &effects)
    }

    /// It founded the cluster, and as far as it knows the others are too few to make a leader without it.
    var isIndispensable: Bool {
        guard promise.standing == .founder else { return false }
        return leading.map { $0.commit.memberCount < setup.configuration.fenceQuorum } ?? true
    }

    /// Begins to write a promise. False while another one is being written.
    mutating func persist(_ promise: Promise, for purpose: PendingPromise.Purpose, into effects: inout [NodeEffect]) -> Bool {
        guard pendingPromise == nil else { return false }
        precondition(promise.epoch >= self.promise.epoch, "promises are kept")
        pendingPromise = PendingPromise(promise: promise, purpose: purpose)
        effects.append(.persistPromise(promise, clusterID))
        return true
    }
}
