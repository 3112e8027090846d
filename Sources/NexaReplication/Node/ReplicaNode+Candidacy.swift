// Standing up: an epoch, the own promise, the promises of a fence quorum, and only then EPOCH_START.
//
//     asking (a node that comes up without an upstream: is anybody leading?) --> acquiring --> promising --> fencing --> leader
//
// A candidate that meets a peer with more than it has gives up and names the peer: that one is to be promoted. Newcomers (`Standing`) stand
// up only when they are forced, and their promises count for a founder alone: what an empty disk promises may be the opposite of what the
// disk in whose place it came had acknowledged.

import NexaStorage

/// What a candidate has gathered.
struct Candidacy: Sendable {
    enum Stage: Sendable { case asking, acquiring, promising, fencing }

    var stage: Stage
    var force: PromotionForce
    /// The node stands up by itself after a start, not because somebody said so: it gives way to any living leader and tries again.
    var isResume: Bool
    /// What it will be when it leads.
    var standing: Standing
    var epoch: Epoch = 0
    /// Peers that answered in this stage; voters among them count.
    var answered: [NodeID] = []
    /// The founder of the cluster, when it was asked and does not make way.
    var founder: NodeID?
    var deadline: Microseconds
    var nextTry: Microseconds
}

extension ReplicaNode {
    /// A node without an upstream comes up: perhaps it led before, perhaps somebody leads by now.
    mutating func beginResume(into effects: inout [NodeEffect]) {
        guard role == .follower, following.phase == .idle, pendingPromise == nil, setup.configuration.isVoter(setup.id),
            clusterID != .none, promise.standing != .newcomer
        else { return }
        setRole(.candidate, into: &effects)
        candidacy = Candidacy(
            stage: .asking, force: .none, isResume: true, standing: promise.standing, deadline: now + setup.options.askTimeout,
            nextTry: now)
        stepCandidacy(into: &effects)
    }

    mutating func beginCandidacy(force: PromotionForce, isHeir: Bool = false, into effects: inout [NodeEffect]) {
        // A node that belongs to no cluster yet would begin one of its own.
        guard setup.configuration.isVoter(setup.id), clusterID != .none else {
            effects.append(.promotionFailed(.notMember))
            return
        }
        guard promise.standing != .newcomer || force == .acceptLoss || isHeir else {
            effects.append(.promotionFailed(.newcomer))
            return
        }
        if role == .candidate, candidacy?.isResume == true { candidacy = nil }
        guard role == .follower || (role == .candidate && candidacy == nil), pendingPromise == nil, !following.isChangingLog
        else {
            if role == .candidate && candidacy == nil { setRole(.follower, into: &effects) }
            effects.append(.promotionFailed(.busy))
            return
        }
        dropUpstream(.quiet, into: &effects)
        closeDownstreams(ReplicationStop(.roleChanged, "a promotion is under way"), into: &effects)
        setRole(.candidate, into: &effects)
        effects.append(.gate(.closed(leader: nil, address: nil, epoch: promise.epoch)))
        candidacy = Candidacy(
            stage: .acquiring, force: force, isResume: false, standing: promise.standing == .founder ? .founder : .member,
            deadline: now + setup.options.fenceTimeout, nextTry: now + setup.options.fenceRetry)
        acquire(into: &effects)
    }

    private mutating func acquire(into effects: inout [NodeEffect]) {
        candidacy!.stage = .acquiring
        candidacy!.answered = []
        candidacy!.deadline = now + setup.options.fenceTimeout
        effects.append(.coordinate(.acquire(setup.id, floor: max(promise.epoch, highestEpochSeen, log.history.lastEpoch))))
    }

    mutating func coordinate(_ event: CoordinationEvent, into effects: inout [NodeEffect]) {
        switch event {
        case .acquired(let epoch):
            guard candidacy?.stage == .acquiring else { return }
            guard epoch > promise.epoch, epoch > log.history.lastEpoch, epoch < .tooHigh else {
                return giveUp(.refusedByStore("epoch \(epoch) is not above \(promise.epoch), or too high"), into: &effects)
            }
            candidacy!.epoch = epoch
            candidacy!.stage = .promising
            let own = Promise(epoch: epoch, leader: setup.id, standing: candidacy!.standing)
            if !persist(own, for: .candidacy, into: &effects) {
                giveUp(.busy, into: &effects)
            }
        case .refused(let reason):
            if candidacy?.stage == .acquiring { giveUp(.refusedByStore(reason), into: &effects) }
        case .lost(let epoch):
            if leading?.epoch == epoch {
                stepDown(to: nil, reason: "the coordination store gave the leadership up", into: &effects)
            }
        case .vacant: if role == .follower { beginCandidacy(force: .none, into: &effects) }
        }
    }

    mutating func candidacyPersisted(into effects: inout [NodeEffect]) {
        guard candidacy?.stage == .promising, candidacy?.epoch == promise.epoch else { return }
        candidacy!.stage = .fencing
        candidacy!.nextTry = now
        stepCandidacy(into: &effects)
    }

    /// Asks again, counts, and ends what is decided.
    mutating func stepCandidacy(into effects: inout [NodeEffect]) {
        guard let state = candidacy else { return }
        switch state.stage {
        case .asking, .fencing:
            // Who only asks waits for everybody, as long as there is time: one who was away must not push a living leader aside.
            let isDecided =
                state.stage == .asking
                ? state.answered.count + 1 >= setup.configuration.members.count || now >= state.deadline : true
            if isDecided && count(state) >= needed(state) {
                return state.stage == .asking ? acquire(into: &effects) : lead(state.epoch, into: &effects)
            }
            if now >= state.deadline { return timeIsUp(state, into: &effects) }
            guard now >= state.nextTry else { return }
            candidacy!.nextTry = now + setup.options.fenceRetry
            let fence = Fence(
                clusterID: clusterID, epoch: state.stage == .asking ? promise.epoch : state.epoch, candidate: setup.id,
                isDry: state.stage == .asking)
            for member in setup.configuration.members where member.id != setup.id && !state.answered.contains(member.id) {
                effects.append(.sendPeer(member.id, .fence(fence)))
            }
        case .acquiring, .promising:
            if now >= state.deadline, pendingPromise == nil { giveUp(.busy, into: &effects) }
        }
    }

    private func needed(_ state: Candidacy) -> Int {
        state.stage == .fencing && !setup.rules.contains(.fencesBeforePromotion) ? 1 : setup.configuration.fenceQuorum
    }

    /// Voters that answered, this node included.
    private func count(_ state: Candidacy) -> Int { 1 + state.answered.count { setup.configuration.isVoter($0) } }

    private mutating func timeIsUp(_ state: Candidacy, into effects: inout [NodeEffect]) {
        if state.stage == .fencing && state.force == .acceptLoss { return lead(state.epoch, into: &effects) }
        giveUp(
            state.founder.map { .founderStays($0) } ?? .noQuorum(promises: count(state), needed: needed(state)), into: &effects)
    }

    /// Back to being a follower; a node that stood up by itself tries again.
    mutating func giveUp(_ failure: PromotionFailure, into effects: inout [NodeEffect]) {
        guard let state = candidacy else { return }
        candidacy = nil
        if state.stage != .asking && state.epoch > 0 { effects.append(.coordinate(.release(setup.id, state.epoch))) }
        setRole(.follower, into: &effects)
        following.phase = .idle
        if state.isResume {
            // Somebody has more: that is for a person to decide, or for whoever is promoted.
            if case .behind = failure {} else { following.resumeAt = now + setup.options.fenceRetry }
        } else {
            effects.append(.promotionFailed(failure))
        }
        following.retryAt = now + setup.options.reconnectDelay
    }

    // MARK: - Answers

    mutating func take(_ reply: Fenced, from peer: NodeID, into effects: inout [NodeEffect]) {
        guard isReachable(reply.promised) else { return }
        sawEpoch(reply.promised)
        if role == .leader, reply.promised > promise.epoch, reply.node == peer, setup.configuration.member(peer) != nil {
            return stepDown(to: nil, reason: "\(peer) promised epoch \(reply.promised)", resumeAfter: 0, into: &effects)
        }
        guard let state = candidacy, reply.node == peer, setup.configuration.member(peer) != nil else { return }
        switch state.stage {
        case .asking:
            guard reply.isDry else { return }
            if let living = reply.leader, living != setup.id, reply.leaderEpoch >= promise.epoch {
                giveUp(.leaderAlive(living, reply.leaderEpoch), into: &effects)
                if let member = setup.configuration.member(living) { follow(member.address, into: &effects) }
                return
            }
            note(reply)
        case .fencing:
            guard !reply.isDry, reply.epoch == state.epoch else { return }
            guard reply.isGranted else {
                if reply.promised >= state.epoch { return giveUp(.outvoted(promised: reply.promised), into: &effects) }
                // Enough others may promise, and the founder makes way as soon as it has heard of enough members.
                candidacy!.founder = peer
                return
            }
            if isAhead(reply.last), state.force == .none { return giveUp(.behind(peer, reply.last), into: &effects) }
            note(reply)
        case .acquiring, .promising: return
        }
        stepCandidacy(into: &effects)
    }

    private mutating func note(_ reply: Fenced) {
        guard !reply.isNewcomer || candidacy?.standing == .founder else { return }
        if candidacy?.answered.contains(reply.node) == false { candidacy!.answered.append(reply.node) }
    }

    private func isAhead(_ last: LogPosition) -> Bool {
        setup.rules.contains(.comparesEpochs) ? last > log.endPosition : last.lsn > log.end
    }
}
