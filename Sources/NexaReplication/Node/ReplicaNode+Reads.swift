// Linearizable reads, on the leader and through any number of followers. See `ReadRounds` for why the answer holds.

import NexaStorage

extension ReplicaNode {
    /// Somebody wants to know where a linearizable read may read. `visible` is what readers of this node can have seen when it asked.
    mutating func readIndex(for asker: ReadAsker, _ visible: LSN, _ deadline: Microseconds, into effects: inout [NodeEffect]) {
        switch role {
        case .leader where leading?.isOpen == true:
            guard leading!.reads.rounds.count < setup.options.waiterCountMax else {
                return answer(asker, nil, "too many reads wait", into: &effects)
            }
            let round = ReadRounds.Round(
                asker: asker, lsn: max(visible, log.committed, leading!.firstLSN ?? 0), stamp: nextStamp(), deadline: deadline)
            // Where the leader is a quorum by itself.
            if let committed = leading!.commit.committed, leading!.commit.confirms(round, committed: committed) {
                return answer(asker, round.lsn, "", into: &effects)
            }
            leading!.reads.add(round)
            for index in downstreams.indices where setup.configuration.isVoter(downstreams[index].node) {
                sendHeartbeat(index, into: &effects)
            }
        case .follower where following.phase == .streaming:
            guard following.reads.count < setup.options.waiterCountMax, let session = following.session else {
                return answer(asker, nil, "too many reads wait", into: &effects)
            }
            let id = following.reads.add(asker, deadline: deadline)
            effects.append(.send(session, .readIndex(ReadIndex(id: id, epoch: following.epoch))))
        default: answer(asker, nil, "no leader is known", into: &effects)
        }
    }

    mutating func relayReadIndex(_ session: SessionID, _ message: ReadIndex, _ visible: LSN, into effects: inout [NodeEffect]) {
        guard let index = index(of: session), downstreams[index].phase == .streaming else { return }
        downstreams[index].lastHeard = now
        let asker = ReadAsker.follower(session, id: message.id)
        guard message.epoch == servingEpoch else { return answer(asker, nil, "the leadership changed", into: &effects) }
        readIndex(for: asker, visible, now + setup.options.deadAfter, into: &effects)
    }

    mutating func take(_ reply: ReadIndexReply, into effects: inout [NodeEffect]) {
        guard let asker = following.reads.take(reply.id) else { return }
        answer(asker, reply.epoch == following.epoch ? reply.lsn : nil, "the leader could not confirm", into: &effects)
    }

    /// Answers what a quorum has confirmed and the commit point has reached.
    mutating func answerReads(into effects: inout [NodeEffect]) {
        guard let commit = leading?.commit, let committed = commit.committed else { return }
        for round in leading!.reads.take(where: { commit.confirms($0, committed: committed) }) {
            answer(round.asker, round.lsn, "", into: &effects)
        }
    }

    mutating func expireReads(into effects: inout [NodeEffect]) {
        if leading != nil {
            let now = now
            for round in leading!.reads.take(where: { $0.deadline <= now }) {
                answer(round.asker, nil, "no quorum answered in time", into: &effects)
            }
        }
        for asker in following.reads.takeExpired(now: now) {
            answer(asker, nil, "the leader did not answer in time", into: &effects)
        }
    }

    mutating func failReads(_ reason: String, into effects: inout [NodeEffect]) {
        for asker in following.reads.takeAll() { answer(asker, nil, reason, into: &effects) }
    }

    func answer(_ asker: ReadAsker, _ lsn: LSN?, _ reason: String, into effects: inout [NodeEffect]) {
        switch asker {
        case .local(let id): effects.append(.completeReadIndex(id, lsn.map { .read(at: $0) } ?? .failed(reason: reason)))
        case .follower(let session, let id):
            guard index(of: session) != nil else { return }
            effects.append(.send(session, .readIndexReply(ReadIndexReply(id: id, epoch: servingEpoch, lsn: lsn))))
        }
    }

    /// What a read on this node depends on. `visible` comes from the engine, which is ahead of what the core was told.
    package func readView(visible: LSN, now: Microseconds) -> ReadView {
        ReadView(
            history: log.history, end: max(log.end, visible), visible: visible, committed: log.committed,
            isLeader: role == .leader,
            staleness: staleness(now: now))
    }
}
