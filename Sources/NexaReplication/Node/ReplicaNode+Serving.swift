// The side that feeds followers, the same on a leader and on a follower that others follow: how they come and go. A node serves only a log that
// is known to be a beginning of its leader's (`verifiedEpoch`), and only what is durable of it.

import NexaStorage
import NexaWire

extension ReplicaNode {
    /// The leadership in whose name this node may feed followers; 0 for none.
    var servingEpoch: Epoch {
        switch role {
        case .leader: leading?.firstLSN == nil ? 0 : promise.epoch
        case .follower: log.verifiedEpoch == promise.epoch && !following.isChangingLog ? log.verifiedEpoch : 0
        case .candidate, .fenced, .failed: 0
        }
    }

    /// The last record that may be shipped.
    var shipLimit: LSN { setup.rules.contains(.shipsOnlyDurable) ? log.durable : log.end }

    private var view: UpstreamView {
        UpstreamView(
            clusterID: clusterID, node: setup.id, epoch: servingEpoch, isLeader: role == .leader, history: log.history,
            end: shipLimit,
            oldestLSN: log.oldestLSN, formatMin: setup.formatMin, formatMax: setup.formatMax,
            via: role == .leader ? [] : following.via, chainDepthMax: setup.options.chainDepthMax)
    }

    /// Everybody behind this node, as far as it knows.
    var downstreamNodes: [NodeID] {
        downstreams.flatMap { [$0.node] + $0.relayed.map(\.node) }.prefix(Ack.downstreamCountMax).map { $0 }
    }

    func index(of session: SessionID) -> Int? { downstreams.firstIndex { $0.session == session } }

    // MARK: - Handshake

    mutating func fromDownstream(_ session: SessionID, _ message: ReplicationMessage, into effects: inout [NodeEffect]) {
        if case .hello(let hello) = message { return receive(hello, session, into: &effects) }
        guard let index = index(of: session) else { return }
        downstreams[index].lastHeard = now
        switch message {
        case .ack(let ack): take(ack, index, into: &effects)
        case .streamStartAt(let start): receive(start, index, into: &effects)
        case .stop(let stop):
            effects.append(.note(.downstreamLost(downstreams[index].node, reason: "\(stop.code.rawValue): \(stop.message)")))
            sawEpoch(stop.epoch)
            remove(index, .quiet, into: &effects)
        // The shells carry snapshots out between themselves; to the core they only say that the follower is alive.
        case .snapshotBegin, .snapshotGet, .snapshotDone: break
        default: close(index, .protocolError, "a follower sent \(message.type.name)", into: &effects)
        }
    }

    private mutating func receive(_ hello: Hello, _ session: SessionID, into effects: inout [NodeEffect]) {
        guard index(of: session) == nil else {
            return close(index(of: session)!, .protocolError, "a second hello", into: &effects)
        }
        let newest = max(hello.promised, hello.last.epoch)
        guard isReachable(newest) else {
            return refuse(session, ReplicationStop(.protocolError, "nobody can have promised epoch \(newest)"), into: &effects)
        }
        sawEpoch(hello.promised)
        if let former = downstreams.firstIndex(where: { $0.node == hello.node }) {
            // The same node by a new connection, or another one of that name.
            guard downstreams[former].address == hello.address || now - downstreams[former].lastHeard > setup.options.deadAfter
            else {
                return refuse(session, ReplicationStop(.duplicateName, "a node of this name is connected"), into: &effects)
            }
            remove(former, .quiet, into: &effects)
        }
        guard downstreams.count < room(for: hello.node, of: setup.options.downstreamCountMax) else {
            return refuse(session, ReplicationStop(.tooMany, "too many followers"), into: &effects)
        }
        downstreams.append(
            Downstream(session: session, hello: hello, windowByteCount: window(asked: hello.windowByteCount), now: now))
        if let lsn = HelloDecision.question(view, hello) {
            effects.append(.readChain(.hello(session), lsn: lsn))
        } else {
            answerHello(session, at: 0, chain: nil, into: &effects)
        }
    }

    mutating func answerHello(_ session: SessionID, at lsn: LSN, chain: UInt64?, into effects: inout [NodeEffect]) {
        guard let index = index(of: session), case .asked(let hello) = downstreams[index].phase else { return }
        let view = view
        // Nothing before the first record: its chain is known without looking.
        let common = view.history.commonPoint(end: view.end, other: hello.history, otherEnd: hello.last.lsn)
        let chain = common == 0 ? LogChain.start : common == lsn ? chain : nil
        let decision = HelloDecision.decide(view, hello, chain: chain)
        switch decision {
        case .stream(let from):
            guard reserve(index, from: from, into: &effects) else { return }
            welcome(index, .stream, reason: "", from: from, chain: chain, into: &effects)
            beginStream(index, from: from, into: &effects)
        case .truncate(let lsn):
            guard reserve(index, from: lsn + 1, into: &effects) else { return }
            downstreams[index].phase = .preparing
            welcome(index, .truncate, reason: "diverged", truncateTo: lsn, chain: chain, into: &effects)
        case .snapshot(let reason, let common):
            if reason == .chain { effects.append(.alarm(.chainMismatch(hello.node, lsn: common))) }
            guard reserve(index, from: log.durable + 1, into: &effects) else { return }
            downstreams[index].phase = .preparing
            welcome(index, .snapshot, reason: reason.rawValue, into: &effects)
        case .wait(let reason):
            if view.epoch == 0 { return refuseWithHint(index, reason, into: &effects) }
            welcome(index, .wait, reason: reason, into: &effects)
            remove(index, .quiet, into: &effects)
        case .refuse(let code, let reason, let alarm):
            if let alarm { effects.append(.alarm(alarm)) }
            close(index, code, reason, into: &effects)
        case .stepDown(let epoch):
            sawEpoch(epoch)
            close(index, .staleEpoch, "epoch \(epoch) was promised", into: &effects)
            if role == .leader { stepDown(to: nil, reason: "a follower promised epoch \(epoch)", resumeAfter: 0, into: &effects) }
        }
    }

    private mutating func refuseWithHint(_ index: Int, _ reason: String, into effects: inout [NodeEffect]) {
        var stop = ReplicationStop(.notLeader, reason, epoch: promise.epoch, retryAfter: setup.options.reconnectDelay)
        if let leader, leader.node != setup.id, leader.epoch == promise.epoch {
            stop.leader = leader.node
            stop.leaderAddress = leader.address
        }
        remove(index, .stop(stop), into: &effects)
    }

    private mutating func welcome(
        _ index: Int, _ decision: Welcome.Decision, reason: String, from: LSN = 0, truncateTo: LSN = 0, chain: UInt64? = nil,
        into effects: inout [NodeEffect]
    ) {
        let downstream = downstreams[index]
        effects.append(.note(.handshake(peer: downstream.node, decision: decision.rawValue, reason: reason)))
        var end = log.durable
        var history = log.history
        if decision == .truncate || decision == .stream { end = shipLimit }
        history.truncate(to: end)
        effects.append(
            .send(
                downstream.session,
                .welcome(
                    Welcome(
                        decision: decision, reason: reason, clusterID: clusterID, node: setup.id, epoch: servingEpoch,
                        leader: leader?.node ?? setup.id, leaderAddress: leader?.address ?? setup.address, history: history,
                        from: from,
                        truncateTo: truncateTo, chain: chain, end: end, committed: log.committed,
                        windowByteCount: downstream.windowByteCount, heartbeatInterval: setup.options.heartbeatInterval,
                        retryAfter: setup.options.reconnectDelay, features: setup.features,
                        via: role == .leader ? [] : following.via))))
    }

    private mutating func receive(_ start: StreamStartAt, _ index: Int, into effects: inout [NodeEffect]) {
        guard downstreams[index].phase == .preparing else {
            return close(index, .protocolError, "nothing was to be prepared", into: &effects)
        }
        guard start.epoch == servingEpoch else { return close(index, .staleEpoch, "the leadership changed", into: &effects) }
        guard start.from <= shipLimit + 1, start.from >= log.oldestLSN else {
            return close(index, .slotLost, "LSN \(start.from) is not in the log", into: &effects)
        }
        downstreams[index].phase = .starting(start)
        if start.from == 1 {
            answerStart(downstreams[index].session, chain: LogChain.start, into: &effects)
        } else {
            effects.append(.readChain(.start(downstreams[index].session), lsn: start.from - 1))
        }
    }

    mutating func answerStart(_ session: SessionID, chain: UInt64?, into effects: inout [NodeEffect]) {
        guard let index = index(of: session), case .starting(let start) = downstreams[index].phase else { return }
        guard let chain else { return close(index, .slotLost, "LSN \(start.from) is not in the log", into: &effects) }
        guard chain == start.chain else {
            effects.append(.alarm(.chainMismatch(downstreams[index].node, lsn: start.from - 1)))
            return close(index, .chainMismatch, "the chains in front of LSN \(start.from) differ", into: &effects)
        }
        downstreams[index].windowByteCount = window(asked: start.windowByteCount)
        guard reserve(index, from: start.from, into: &effects) else { return }
        beginStream(index, from: start.from, into: &effects)
    }

    private mutating func beginStream(_ index: Int, from: LSN, into effects: inout [NodeEffect]) {
        downstreams[index].phase = .streaming
        downstreams[index].sentThrough = from - 1
        downstreams[index].written = from - 1
        if let leader, role != .candidate {
            let configuration = setup.configuration
            effects.append(
                .send(
                    downstreams[index].session,
                    .topology(
                        Topology(
                            epoch: servingEpoch, leader: leader.node, leaderAddress: leader.address,
                            version: configuration.version,
                            members: configuration.members, commitQuorum: configuration.commitQuorum))))
        }
        sendHeartbeat(index, into: &effects)
        pump(index, into: &effects)
    }

    /// A follower says how much it wants on its way; 0 leaves it to this node.
    private func window(asked: UInt64) -> UInt64 {
        asked == 0 ? setup.options.windowByteCount : min(asked, setup.options.windowByteCount)
    }

    // MARK: - Going

    func refuse(_ session: SessionID, _ stop: ReplicationStop, into effects: inout [NodeEffect]) {
        effects.append(.close(session, .stop(stop)))
    }

    mutating func close(_ index: Int, _ code: ReplicationStop.Code, _ reason: String, into effects: inout [NodeEffect]) {
        effects.append(.note(.downstreamLost(downstreams[index].node, reason: "\(code.rawValue): \(reason)")))
        remove(
            index, .stop(ReplicationStop(code, reason, epoch: promise.epoch, retryAfter: setup.options.reconnectDelay)),
            into: &effects)
    }

    mutating func remove(_ index: Int, _ reason: CloseReason, into effects: inout [NodeEffect]) {
        let downstream = downstreams.remove(at: index)
        slots.release(downstream.slot, now: now)
        leading?.failReads(of: downstream.session)
        following.reads.forget(downstream.session)
        effects.append(.close(downstream.session, reason))
    }

    mutating func closeDownstreams(_ stop: ReplicationStop, into effects: inout [NodeEffect]) {
        while !downstreams.isEmpty { remove(downstreams.count - 1, .stop(stop), into: &effects) }
    }

    mutating func noteClosed(_ session: SessionID, into effects: inout [NodeEffect]) {
        if isUpstream(session) {
            effects.append(.note(.upstreamLost(reason: "the connection ended")))
            failReads("the upstream is gone", into: &effects)
            leaveUpstream()
        } else if let index = index(of: session) {
            effects.append(.note(.downstreamLost(downstreams[index].node, reason: "the connection ended")))
            remove(index, .quiet, into: &effects)
        }
    }
}
