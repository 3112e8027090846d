// The follower's side: one upstream connection, and what it may do to the local log.

import NexaStorage
import NexaWire

extension ReplicaNode {
    // MARK: - Coming and going

    /// Dials the upstream if there is one, nothing else is under way, and it is time.
    mutating func connect(into effects: inout [NodeEffect]) {
        guard role == .follower, following.phase == .idle, pendingPromise == nil, now >= following.retryAt,
            let address = following.address
        else { return }
        let session = nextSession()
        following.session = session
        following.phase = .connecting
        following.lastHeard = now
        effects.append(.connectUpstream(session, address: address))
    }

    mutating func follow(_ address: String?, into effects: inout [NodeEffect]) {
        guard role == .follower || role == .fenced else { return }
        following.address = address
        guard !following.isChangingLog else { return }
        dropUpstream(.quiet, into: &effects)
        following.retryAt = now
        connect(into: &effects)
    }

    /// Ends the upstream connection. A change of the log that is under way goes on without it.
    mutating func dropUpstream(_ reason: CloseReason, into effects: inout [NodeEffect]) {
        if let session = following.session { effects.append(.close(session, reason)) }
        failReads("the upstream is gone", into: &effects)
        leaveUpstream()
    }

    /// Forgets the connection, which has ended.
    mutating func leaveUpstream() {
        following.session = nil
        if !following.isChangingLog { following.phase = .idle }
        following.retryAt = now + setup.options.reconnectDelay
    }

    func isUpstream(_ session: SessionID) -> Bool { following.session == session }

    private mutating func stop(_ code: ReplicationStop.Code, _ reason: String, into effects: inout [NodeEffect]) {
        effects.append(.note(.upstreamLost(reason: reason)))
        dropUpstream(.stop(ReplicationStop(code, reason, epoch: promise.epoch)), into: &effects)
    }

    // MARK: - Handshake

    mutating func greet(_ session: SessionID, into effects: inout [NodeEffect]) {
        guard isUpstream(session), following.phase == .connecting else { return }
        guard let chain = log.chain else { return stop(.protocolError, "the own chain is unknown", into: &effects) }
        following.phase = .greeting
        following.lastHeard = now
        let hello = Hello(
            clusterID: clusterID, node: setup.id, name: setup.name, address: setup.address, formatMin: setup.formatMin,
            formatMax: setup.formatMax, promised: promise.epoch, history: log.history, last: log.endPosition, chain: chain,
            durable: log.durable, committed: min(log.committed, log.end), slot: setup.name,
            want: following.wantsSnapshot ? .snapshot : .stream, features: setup.features, via: [setup.id] + downstreamNodes,
            depth: 1 + (downstreams.map(\.depth).max() ?? 0),
            windowByteCount: setup.options.windowByteCount)
        effects.append(.send(session, .hello(hello)))
    }

    mutating func fromUpstream(_ session: SessionID, _ message: ReplicationMessage, into effects: inout [NodeEffect]) {
        guard isUpstream(session) else { return }
        following.lastHeard = now
        switch message {
        case .welcome(let welcome): take(welcome, session, into: &effects)
        case .heartbeat(let heartbeat): take(heartbeat, into: &effects)
        case .topology(let topology):
            guard following.phase == .streaming, topology.epoch == following.epoch else { return }
            leader = LeaderHint(node: topology.leader, address: topology.leaderAddress, epoch: topology.epoch)
        case .readIndexReply(let reply): take(reply, into: &effects)
        case .stop(let stop): take(stop, into: &effects)
        default: stop(.protocolError, "an upstream sent \(message.type.name)", into: &effects)
        }
    }

    private mutating func take(_ stop: ReplicationStop, into effects: inout [NodeEffect]) {
        effects.append(.note(.upstreamLost(reason: "\(stop.code.rawValue): \(stop.message)")))
        sawEpoch(stop.epoch)
        switch stop.code {
        case .committedTruncation:
            effects.append(
                .alarm(.committedTruncationRefused(peer: leader?.node ?? setup.id, commonPoint: 0, committed: log.committed)))
        case .chainMismatch where following.phase == .streaming: following.wantsSnapshot = true
        case .notLeader:
            if let address = stop.leaderAddress, stop.epoch >= promise.epoch, stop.leader != setup.id {
                following.address = address
            }
        default: break
        }
        dropUpstream(.quiet, into: &effects)
        following.retryAt = now + max(setup.options.reconnectDelay, min(stop.retryAfter, setup.options.deadAfter))
    }

    private mutating func take(_ welcome: Welcome, _ session: SessionID, into effects: inout [NodeEffect]) {
        guard following.phase == .greeting else { return stop(.protocolError, "a second welcome", into: &effects) }
        effects.append(.note(.handshake(peer: welcome.node, decision: welcome.decision.rawValue, reason: welcome.reason)))
        guard clusterID == welcome.clusterID || (clusterID == .none && log.end == 0) else {
            return stop(.badCluster, "the upstream is of another cluster", into: &effects)
        }
        guard welcome.epoch > 0, welcome.epoch < .tooHigh, welcome.history.lastEpoch <= welcome.epoch else {
            return stop(.protocolError, "a welcome without a leadership", into: &effects)
        }
        sawEpoch(welcome.epoch)
        guard welcome.epoch >= promise.epoch else {
            return stop(.staleEpoch, "epoch \(welcome.epoch) is below the promised \(promise.epoch)", into: &effects)
        }
        if welcome.epoch == promise.epoch, let promised = promise.leader, promised != welcome.leader {
            effects.append(.alarm(.duplicateEpoch(welcome.epoch)))
            return stop(.staleEpoch, "epoch \(welcome.epoch) was promised to another leader", into: &effects)
        }
        let isNew = clusterID != welcome.clusterID
        clusterID = welcome.clusterID
        following.welcome = welcome
        following.phase = .adopting
        let wanted = Promise(epoch: welcome.epoch, leader: welcome.leader, standing: standingUnderAnother)
        if promise == wanted && !isNew { return adopted(session, into: &effects) }
        if welcome.epoch > promise.epoch { closeDownstreams(ReplicationStop(.roleChanged), into: &effects) }
        guard persist(wanted, for: .welcome(session), into: &effects) else {
            return stop(.protocolError, "another promise is being written", into: &effects)
        }
    }

    /// The welcome's epoch is promised: do what it says.
    mutating func adopted(_ session: SessionID, into effects: inout [NodeEffect]) {
        guard role == .follower, isUpstream(session), following.phase == .adopting, let welcome = following.welcome else {
            return
        }
        guard welcome.epoch == promise.epoch else { return stop(.staleEpoch, "a newer promise was made", into: &effects) }
        // What an earlier leader had says nothing about how far behind this one's a reader is.
        if following.epoch != welcome.epoch { following.staleness = Staleness() }
        following.epoch = welcome.epoch
        following.via = [welcome.node] + welcome.via
        leader = LeaderHint(node: welcome.leader, address: welcome.leaderAddress, epoch: welcome.epoch)
        switch welcome.decision {
        case .wait:
            dropUpstream(.quiet, into: &effects)
            following.retryAt = now + max(setup.options.reconnectDelay, min(welcome.retryAfter, setup.options.deadAfter))
        case .stream:
            guard welcome.from == log.end + 1 else {
                return stop(.outOfOrder, "offered LSN \(welcome.from) where \(log.end + 1) comes next", into: &effects)
            }
            if let chain = welcome.chain, chain != log.chain { return mismatch(welcome, at: log.end, into: &effects) }
            beginStreaming(into: &effects)
        case .truncate:
            guard welcome.truncateTo < log.end else { return stop(.protocolError, "a cut that cuts nothing", into: &effects) }
            guard welcome.truncateTo >= log.committed else { return refuseCut(welcome, at: welcome.truncateTo, into: &effects) }
            following.phase = .comparing
            tellRetain(into: &effects)
            effects.append(.readChain(.cut(session), lsn: welcome.truncateTo))
        case .snapshot:
            let common = log.history.commonPoint(end: log.end, other: welcome.history, otherEnd: welcome.end)
            guard common >= log.committed else { return refuseCut(welcome, at: common, into: &effects) }
            beginChange(.installing, into: &effects)
            effects.append(.installSnapshot(session, generation: log.generation + 1))
        }
    }

    private mutating func mismatch(_ welcome: Welcome, at lsn: LSN, into effects: inout [NodeEffect]) {
        effects.append(.alarm(.chainMismatch(welcome.node, lsn: lsn)))
        following.wantsSnapshot = true
        stop(.chainMismatch, "the chains at LSN \(lsn) differ", into: &effects)
    }

    private mutating func refuseCut(_ welcome: Welcome, at lsn: LSN, into effects: inout [NodeEffect]) {
        effects.append(.alarm(.committedTruncationRefused(peer: welcome.node, commonPoint: lsn, committed: log.committed)))
        stop(.committedTruncation, "LSN \(log.committed) is committed, the common point is \(lsn)", into: &effects)
        following.retryAt = now + setup.options.deadAfter
    }

    mutating func compareAndCut(_ session: SessionID, _ lsn: LSN, _ chain: UInt64?, into effects: inout [NodeEffect]) {
        guard isUpstream(session), following.phase == .comparing, let welcome = following.welcome, welcome.truncateTo == lsn
        else { return }
        // Unknown here means: the cut lies behind what the log still has, so the data itself would have to go back.
        guard let chain, lsn + 1 >= log.oldestLSN else {
            following.wantsSnapshot = true
            return stop(.chainMismatch, "the log does not reach back to LSN \(lsn)", into: &effects)
        }
        if let theirs = welcome.chain, theirs != chain { return mismatch(welcome, at: lsn, into: &effects) }
        effects.append(.note(.truncating(from: log.end, to: lsn)))
        beginChange(.cutting, into: &effects)
        log.generation += 1
        effects.append(.truncate(to: lsn, generation: log.generation))
    }

    /// The log is going to change under the same LSNs: nobody may go on reading it as it was.
    private mutating func beginChange(_ phase: FollowerState.Phase, into effects: inout [NodeEffect]) {
        closeDownstreams(ReplicationStop(.roleChanged, "the log is being cut"), into: &effects)
        log.verifiedEpoch = 0
        following.phase = phase
    }

    /// The log was changed as the welcome said: ask for the rest, if the connection is still the one.
    mutating func goOn(into effects: inout [NodeEffect]) {
        following.staleness = Staleness()
        following.phase = .idle
        guard let session = following.session, role == .follower, following.epoch == promise.epoch, let chain = log.chain else {
            return connect(into: &effects)
        }
        following.phase = .streaming
        let start = StreamStartAt(
            slot: setup.name, epoch: following.epoch, from: log.end + 1, chain: chain,
            windowByteCount: setup.options.windowByteCount)
        effects.append(.send(session, .streamStartAt(start)))
        beginStreaming(into: &effects)
    }

    private mutating func beginStreaming(into effects: inout [NodeEffect]) {
        following.phase = .streaming
        following.lastHeard = now
        log.verifiedEpoch = following.epoch
        effects.append(
            .gate(.closed(leader: leader?.node, address: leader?.address, epoch: promise.epoch)))
        if let welcome = following.welcome { learnCommitted(welcome.committed, into: &effects) }
        sendAck(into: &effects)
    }

    // MARK: - The stream

    mutating func take(_ batch: BatchArrival, _ session: SessionID, into effects: inout [NodeEffect]) {
        guard isUpstream(session) else { return }
        following.lastHeard = now
        guard following.phase == .streaming, following.epoch == promise.epoch, log.verifiedEpoch == following.epoch else {
            return stop(.protocolError, "records before the stream began", into: &effects)
        }
        switch BatchVerdict.check(batch, log: log, epoch: following.epoch, rules: setup.rules) {
        case .refuse(let code, let reason):
            if code == .chainMismatch { effects.append(.alarm(.chainMismatch(leader?.node ?? setup.id, lsn: log.end))) }
            stop(code, reason, into: &effects)
        case .accept:
            let header = batch.header
            effects.append(.append(session, first: header.first, last: header.last))
            if header.recordEpoch > log.history.lastEpoch { log.history.begin(header.recordEpoch, at: header.first) }
            log.end = header.last
            log.chain = batch.lastChain
            marks.append(lsn: header.last, byteCount: marks.last.byteCount + batch.byteCount, at: now)
            take(header.stamp, into: &effects)
            if !setup.rules.contains(.acknowledgesOnlyDurable) { sendAck(into: &effects) }
        }
    }

    mutating func refuseDamaged(_ session: SessionID, _ reason: String, into effects: inout [NodeEffect]) {
        guard isUpstream(session) else { return }
        effects.append(.alarm(.damagedRecord(reason)))
        stop(.damagedRecord, reason, into: &effects)
    }

    private mutating func take(_ heartbeat: Heartbeat, into effects: inout [NodeEffect]) {
        guard following.phase == .streaming else { return }
        guard heartbeat.stamp.epoch == following.epoch, heartbeat.stamp.epoch == promise.epoch else {
            return stop(.staleEpoch, "a heartbeat of epoch \(heartbeat.stamp.epoch)", into: &effects)
        }
        take(heartbeat.stamp, into: &effects)
        sendAck(into: &effects)
    }

    private mutating func take(_ stamp: FrameStamp, into effects: inout [NodeEffect]) {
        following.theirClock = stamp.sentAt
        if stamp.echo > 0 {
            following.staleness.note(end: stamp.end, since: stamp.echo - min(stamp.echo, stamp.endAge))
            following.staleness.shown(log.visible)
            settle(into: &effects)
        }
        learnCommitted(stamp.committed, into: &effects)
    }

    private mutating func learnCommitted(_ committed: LSN, into effects: inout [NodeEffect]) {
        let known = min(committed, log.end)
        guard known > log.committed else { return }
        log.committed = known
        effects.append(.committed(known))
        tellCommitted(into: &effects)
    }

    /// Tells the upstream what is on this disk. Only in a leadership whose log this one is known to be part of.
    mutating func sendAck(into effects: inout [NodeEffect]) {
        guard role == .follower, following.phase == .streaming, let session = following.session,
            following.epoch == promise.epoch, log.verifiedEpoch == promise.epoch, pendingPromise == nil
        else { return }
        following.lastAck = now
        let durable = setup.rules.contains(.acknowledgesOnlyDurable) ? log.durable : log.end
        effects.append(
            .send(
                session,
                .ack(
                    Ack(
                        epoch: promise.epoch, written: log.end, durable: durable, applied: log.applied, sentAt: max(1, now),
                        echo: following.theirClock, downstream: relayedPositions,
                        isNewcomer: promise.standing == .newcomer))))
    }

    // MARK: - Time

    mutating func tickFollower(into effects: inout [NodeEffect]) {
        expireReads(into: &effects)
        if following.session != nil, now - following.lastHeard > setup.options.deadAfter, !following.isChangingLog {
            return stop(.silent, "nothing was heard for \(setup.options.deadAfter / 1000) ms", into: &effects)
        }
        if following.phase == .streaming, now - following.lastAck >= setup.options.heartbeatInterval { sendAck(into: &effects) }
        connect(into: &effects)
    }
}
