// FENCE, PROMOTED, SWITCHOVER from peers: messages that may come late or twice. What makes them safe is that each names its epoch and that
// a promise is on disk before it is spoken.

import NexaStorage

extension ReplicaNode {
    mutating func fromPeer(_ peer: NodeID, _ message: ReplicationMessage, into effects: inout [NodeEffect]) {
        switch message {
        case .fence(let fence): take(fence, from: peer, into: &effects)
        case .fenced(let reply): take(reply, from: peer, into: &effects)
        case .promoted(let promoted): take(promoted, from: peer, into: &effects)
        case .switchover(let handover): take(handover, from: peer, into: &effects)
        default: break
        }
    }

    // MARK: - FENCE

    private mutating func take(_ fence: Fence, from peer: NodeID, into effects: inout [NodeEffect]) {
        guard fence.clusterID != .none, fence.clusterID == clusterID || clusterID == .none, fence.candidate == peer,
            setup.configuration.isVoter(fence.candidate), fence.candidate != setup.id, isReachable(fence.epoch)
        else { return }
        sawEpoch(fence.epoch)
        if fence.isDry { return replyFenced(to: peer, epoch: fence.epoch, isGranted: false, isDry: true, into: &effects) }
        // While the log changes its end means nothing; while another promise is written the answer is not known. The candidate asks again.
        guard !following.isChangingLog, pendingPromise == nil else { return }
        if fence.epoch < promise.epoch || (fence.epoch == promise.epoch && promise.leader != fence.candidate) {
            return replyFenced(to: peer, epoch: fence.epoch, isGranted: false, into: &effects)
        }
        if fence.epoch == promise.epoch { return replyFenced(to: peer, epoch: fence.epoch, isGranted: true, into: &effects) }
        // Newcomers make it a leader as long as it founded the cluster, and nobody else: promised to one who cannot win, it leaves no leader.
        if isIndispensable { return replyFenced(to: peer, epoch: fence.epoch, isGranted: false, into: &effects) }

        effects.append(.note(.fenced(by: peer, epoch: fence.epoch)))
        switch role {
        case .leader:
            stepDown(
                to: nil, reason: "fenced by epoch \(fence.epoch)", resumeAfter: 2 * setup.options.fenceTimeout, into: &effects)
        case .candidate: giveUp(.outvoted(promised: fence.epoch), into: &effects)
        case .follower:
            dropUpstream(
                .stop(ReplicationStop(.staleEpoch, "epoch \(fence.epoch) was promised", epoch: fence.epoch)), into: &effects)
            closeDownstreams(ReplicationStop(.roleChanged, epoch: fence.epoch), into: &effects)
        case .fenced, .failed: break
        }
        if clusterID == .none { clusterID = fence.clusterID }
        if following.resumeAt != nil { following.resumeAt = now + 2 * setup.options.fenceTimeout }
        _ = persist(
            Promise(epoch: fence.epoch, leader: fence.candidate, standing: standingUnderAnother), for: .fence(peer),
            into: &effects)
    }

    func replyFenced(to peer: NodeID, epoch: Epoch, isGranted: Bool, isDry: Bool = false, into effects: inout [NodeEffect]) {
        var living: LeaderHint?
        if role == .leader && leading?.isOpen == true { living = leader }
        if role == .follower && following.phase == .streaming { living = leader }
        effects.append(
            .sendPeer(
                peer,
                .fenced(
                    Fenced(
                        node: setup.id, epoch: epoch, isGranted: isGranted, isDry: isDry, promised: promise.epoch,
                        last: log.durablePosition, committed: log.committed, leader: living?.node,
                        leaderEpoch: living?.epoch ?? 0,
                        isNewcomer: promise.standing == .newcomer))))
    }

    /// What this node is once it has promised itself to another: it founded nothing.
    var standingUnderAnother: Standing { promise.standing == .founder ? .member : promise.standing }

    // MARK: - PROMOTED and SWITCHOVER

    private mutating func take(_ promoted: Promoted, from peer: NodeID, into effects: inout [NodeEffect]) {
        guard promoted.leader == peer, promoted.leader != setup.id, promoted.clusterID == clusterID || clusterID == .none,
            isReachable(promoted.epoch)
        else { return }
        sawEpoch(promoted.epoch)
        // A promise above a leader that a quorum follows: from a candidacy that failed. The leader has to know, or this node stays outside.
        guard promoted.epoch >= promise.epoch else {
            if role == .follower { replyFenced(to: peer, epoch: promoted.epoch, isGranted: false, into: &effects) }
            return
        }
        let hint = LeaderHint(node: promoted.leader, address: promoted.address, epoch: promoted.epoch)
        switch role {
        case .leader:
            guard promoted.epoch > promise.epoch else { return }
            stepDown(to: hint, reason: "node \(peer) leads epoch \(promoted.epoch)", into: &effects)
        case .candidate:
            guard promoted.epoch > promise.epoch || candidacy?.isResume == true || promise.leader == promoted.leader else {
                return
            }
            guard pendingPromise == nil else { return }
            giveUp(.leaderAlive(promoted.leader, promoted.epoch), into: &effects)
            follow(promoted.address, into: &effects)
        case .follower:
            following.resumeAt = nil
            // Already on the way to it, or to somebody who follows it.
            if following.session != nil && following.phase != .connecting && following.phase != .greeting
                && following.epoch >= promoted.epoch
            {
                return
            }
            if following.session != nil && following.address == promoted.address { return }
            follow(promoted.address, into: &effects)
        case .fenced:
            leader = hint
            following.address = promoted.address
        case .failed: break
        }
    }

    private mutating func take(_ handover: Switchover, from peer: NodeID, into effects: inout [NodeEffect]) {
        guard role == .follower, handover.target == setup.id, let epoch = handover.epoch, epoch == promise.epoch,
            promise.leader == peer, let final = handover.finalLSN, log.durable >= final
        else { return }
        // It has everything that the leader sealed: whatever it was, it is a member.
        beginCandidacy(force: .none, isHeir: true, into: &effects)
    }
}
