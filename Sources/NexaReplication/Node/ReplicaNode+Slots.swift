// What of the log is kept for whom, and what only time tells about followers.

import NexaStorage

extension ReplicaNode {
    /// How many of `countMax` places `node` may find taken: the last ones are for members, so that nobody else keeps them out.
    func room(for node: NodeID, of countMax: Int) -> Int {
        setup.configuration.member(node) != nil ? countMax : countMax - setup.configuration.members.count
    }

    /// False when there are too many slots; the follower is gone then.
    mutating func reserve(_ index: Int, from lsn: LSN, into effects: inout [NodeEffect]) -> Bool {
        let node = downstreams[index].node
        let isReserved = slots.reserve(
            downstreams[index].slot, node: node, from: lsn, byteCount: marks.byteCount(at: lsn), isActive: true, now: now,
            countMax: room(for: node, of: setup.options.slotCountMax))
        if isReserved {
            tellRetain(into: &effects)
        } else {
            close(index, .tooMany, "too many slots", into: &effects)
        }
        return isReserved
    }

    /// A follower goes on behind the copy that it is given, which may be older than what there was when it came.
    mutating func noteSnapshotOffered(_ session: SessionID, through lsn: LSN, into effects: inout [NodeEffect]) {
        guard let index = index(of: session), downstreams[index].phase == .preparing else { return }
        _ = reserve(index, from: lsn + 1, into: &effects)
    }

    mutating func tickServing(into effects: inout [NodeEffect]) {
        for index in downstreams.indices.reversed() {
            let silenceMax =
                downstreams[index].phase == .preparing ? setup.options.preparingSilenceMax : setup.options.deadAfter
            if now - downstreams[index].lastHeard > silenceMax {
                close(index, .silent, "nothing was heard for \(silenceMax / 1000) ms", into: &effects)
            } else if downstreams[index].inFlight.byteCount > 0, now - downstreams[index].lastProgress > setup.options.stuckAfter
            {
                close(index, .silent, "nothing of what was sent has arrived", into: &effects)
            } else if now - downstreams[index].lastSent >= setup.options.heartbeatInterval {
                sendHeartbeat(index, into: &effects)
                pump(index, into: &effects)
            }
        }
        for lost in slots.enforce(endByteCount: marks.last.byteCount, options: setup.options, now: now) {
            effects.append(.alarm(.slotLost(lost.name, reason: lost.reason)))
        }
        if role == .follower, following.phase == .streaming {
            let configuration = setup.configuration
            slots.forget(awayFor: setup.options.formerSlotAgeMax, now: now) { configuration.member($0) != nil }
        }
        tellRetain(into: &effects)
    }

    /// Says from where the log has to be kept, when that has changed.
    mutating func tellRetain(into effects: inout [NodeEffect]) {
        var from = slots.retainFrom ?? .max
        // Where the log is going to be cut it has to be there until it is.
        if following.phase == .comparing || following.phase == .cutting, let welcome = following.welcome {
            from = min(from, welcome.truncateTo + 1)
        }
        guard from != toldRetain else { return }
        toldRetain = from
        effects.append(.retain(from: from))
    }

    mutating func administer(_ request: SlotAdmin, into effects: inout [NodeEffect]) {
        var isDone = true
        switch request.action {
        case .list: break
        case .create:
            let lsn = log.durable + 1
            // One that is there keeps its place.
            isDone =
                !slots.contains(request.name ?? "")
                && slots.reserve(
                    request.name ?? "", node: nil, from: lsn, byteCount: marks.byteCount(at: lsn), isActive: false, now: now,
                    countMax: setup.options.slotCountMax - setup.configuration.members.count)
        case .drop: isDone = slots.drop(request.name ?? "")
        }
        tellRetain(into: &effects)
        answerSlots(isDone: isDone, into: &effects)
    }

    func answerSlots(isDone: Bool, into effects: inout [NodeEffect]) {
        let statuses = slots.statuses(endByteCount: marks.last.byteCount, options: setup.options, now: now)
        effects.append(.slots(SlotAdminReply(isDone: isDone, slots: statuses)))
    }
}
