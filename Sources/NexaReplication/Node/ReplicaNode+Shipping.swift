// The stream to one follower: what is ordered of the log, what comes back, and what goes with every frame. One order at a time, as long as the
// follower's window has room; see `Downstream`.

import NexaStorage

extension ReplicaNode {
    // MARK: - The stream

    mutating func pumpAll(into effects: inout [NodeEffect]) {
        for index in downstreams.indices { pump(index, into: &effects) }
    }

    /// Orders the next stretch of the log for one follower, if there is something durable and its window has room.
    mutating func pump(_ index: Int, into effects: inout [NodeEffect]) {
        guard downstreams[index].phase == .streaming, !downstreams[index].isShipping, downstreams[index].sentThrough < shipLimit,
            downstreams[index].hasRoom, servingEpoch != 0
        else { return }
        let room =
            downstreams[index].windowByteCount - min(downstreams[index].windowByteCount, downstreams[index].inFlight.byteCount)
        downstreams[index].isShipping = true
        downstreams[index].toldCommitted = log.committed
        let order = ShipOrder(
            first: downstreams[index].sentThrough + 1, limit: shipLimit,
            byteCountMax: Int(min(UInt64(setup.options.shipByteCountMax), max(1, room))), stamp: stamp(for: index))
        effects.append(.ship(downstreams[index].session, order))
    }

    mutating func noteShipped(_ session: SessionID, _ last: LSN, _ byteCount: UInt64, into effects: inout [NodeEffect]) {
        guard let index = index(of: session), downstreams[index].isShipping else { return }
        downstreams[index].isShipping = false
        guard last > downstreams[index].sentThrough, last <= shipLimit else { return }
        downstreams[index].sentThrough = last
        downstreams[index].lastSent = now
        if downstreams[index].inFlight.byteCount == 0 { downstreams[index].lastProgress = now }
        downstreams[index].inFlight.shipped(last: last, byteCount: byteCount)
        pump(index, into: &effects)
        if downstreams[index].toldCommitted < log.committed { tellCommitted(index, into: &effects) }
    }

    mutating func noteShipGone(_ session: SessionID, _ oldest: LSN, into effects: inout [NodeEffect]) {
        log.oldestLSN = max(log.oldestLSN, oldest)
        guard let index = index(of: session) else { return }
        close(index, .slotLost, "the log begins with LSN \(oldest)", into: &effects)
    }

    mutating func take(_ ack: Ack, _ index: Int, into effects: inout [NodeEffect]) {
        // A follower acknowledges while it prepares, too: that it is there.
        guard downstreams[index].phase == .streaming else { return }
        guard ack.epoch == servingEpoch else {
            return close(index, .staleEpoch, "an acknowledgement for epoch \(ack.epoch)", into: &effects)
        }
        guard ack.durable <= ack.written, ack.written <= shipLimit || !setup.rules.contains(.shipsOnlyDurable) else {
            effects.append(
                .alarm(.followerAheadOfLeader(downstreams[index].node, LogPosition(epoch: ack.epoch, lsn: ack.written))))
            return close(index, .aheadOfLeader, "LSN \(ack.written) was never sent", into: &effects)
        }
        if ack.written > downstreams[index].written { downstreams[index].lastProgress = now }
        downstreams[index].written = max(downstreams[index].written, ack.written)
        downstreams[index].durable = max(downstreams[index].durable, ack.durable)
        downstreams[index].applied = max(downstreams[index].applied, ack.applied)
        downstreams[index].isNewcomer = ack.isNewcomer
        downstreams[index].theirClock = max(downstreams[index].theirClock, ack.sentAt)
        downstreams[index].echoed = max(downstreams[index].echoed, min(ack.echo, lastStamp))
        if !(ack.downstream.isEmpty && downstreams[index].relayed.isEmpty) { downstreams[index].relayed = ack.downstream }
        downstreams[index].inFlight.acknowledged(ack.written)
        slots.advance(
            downstreams[index].slot, to: ack.durable + 1, byteCount: marks.byteCount(at: ack.durable), now: now)
        // A newcomer that has everything learns so at once: only then it counts.
        if ack.isNewcomer && ack.durable >= shipLimit { sendHeartbeat(index, into: &effects) }
        if role == .leader {
            leaderHeard(index, into: &effects)
        } else {
            sendAck(into: &effects)
        }
        // What the leader does with an acknowledgement can end its leadership of the followers, never change their order.
        if index < downstreams.count { pump(index, into: &effects) }
    }

    /// What is durable on the members behind this one: its own upstream counts it.
    var relayedPositions: [Ack.Downstream] {
        guard !downstreams.isEmpty else { return [] }
        var positions: [Ack.Downstream] = []
        for downstream in downstreams where downstream.phase == .streaming {
            if !downstream.isNewcomer { positions.append(Ack.Downstream(node: downstream.node, durable: downstream.durable)) }
            positions += downstream.relayed.map { Ack.Downstream(node: $0.node, durable: min($0.durable, log.durable)) }
        }
        return positions.count > Ack.downstreamCountMax ? Array(positions.prefix(Ack.downstreamCountMax)) : positions
    }

    // MARK: - What goes with every frame

    private mutating func stamp(for index: Int) -> FrameStamp {
        let isLeader = role == .leader
        let heardAt = following.staleness.leaderEndAt
        return FrameStamp(
            epoch: servingEpoch, committed: log.committed, end: isLeader ? log.end : max(log.end, following.staleness.leaderEnd),
            endAge: isLeader ? 0 : now - min(now, heardAt ?? 0), sentAt: nextStamp(),
            echo: isLeader || heardAt != nil ? downstreams[index].theirClock : 0)
    }

    mutating func sendHeartbeat(_ index: Int, into effects: inout [NodeEffect]) {
        guard downstreams[index].phase == .streaming, servingEpoch != 0, let leader else { return }
        downstreams[index].lastSent = now
        downstreams[index].toldCommitted = log.committed
        let heartbeat = Heartbeat(
            stamp: stamp(for: index), leader: leader.node, topologyVersion: setup.configuration.version)
        effects.append(.send(downstreams[index].session, .heartbeat(heartbeat)))
    }

    /// A moved commit point travels with the next records; a follower that has them all is told at once.
    mutating func tellCommitted(into effects: inout [NodeEffect]) {
        for index in downstreams.indices { tellCommitted(index, into: &effects) }
    }

    private mutating func tellCommitted(_ index: Int, into effects: inout [NodeEffect]) {
        guard downstreams[index].phase == .streaming, downstreams[index].toldCommitted < log.committed,
            !downstreams[index].isShipping
        else { return }
        sendHeartbeat(index, into: &effects)
    }
}
