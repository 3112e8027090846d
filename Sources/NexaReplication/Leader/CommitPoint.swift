// When a record counts as committed: when `commitQuorum` voters have it on disk, the leader among them, and the leader's own EPOCH_START is
// among what they have. The second half is what keeps a leader from counting copies of an older leader's records that a third one may
// still overwrite.

import NexaStorage

/// What one voter is known to have on disk. Newcomers are not heard (`Standing`).
struct VoterProgress: Sendable {
    let node: NodeID
    var durable: LSN = 0
    /// A frame of ours that it answered, and when it was heard: it had promised nobody else then.
    var echoed: Microseconds = 0
    var lastHeard: Microseconds = 0
}

/// The commit point of one leadership.
struct CommitPoint: Sendable {
    let quorum: Int
    /// The position of the own EPOCH_START; nil until it is in the log.
    var epochStart: LSN?
    let needsEpochStart: Bool
    var voters: [VoterProgress]
    /// The index of the leader itself.
    let own: Int

    init(configuration: ClusterConfiguration, own id: NodeID, needsEpochStart: Bool) {
        quorum = configuration.commitQuorum
        voters = configuration.members.filter(\.isVoter).map { VoterProgress(node: $0.id) }
        own = voters.firstIndex { $0.node == id } ?? -1
        self.needsEpochStart = needsEpochStart
    }

    func index(of node: NodeID) -> Int? { voters.firstIndex { $0.node == node } }

    /// The highest LSN that a quorum has on disk, whatever its epoch; the leader's own disk is always part of it. No allocation; voters are few.
    var quorumDurable: LSN {
        let ownDurable = voters[own].durable
        var best: LSN = 0
        for candidate in voters {
            let lsn = min(candidate.durable, ownDurable)
            guard lsn > best else { continue }
            var count = 0
            for voter in voters where voter.durable >= lsn { count += 1 }
            if count >= quorum { best = lsn }
        }
        return best
    }

    /// The highest LSN that is committed by this leadership; nil while nothing is.
    var committed: LSN? {
        let lsn = quorumDurable
        guard needsEpochStart else { return lsn }
        guard let epochStart, lsn >= epochStart else { return nil }
        return lsn
    }

    /// Voters that are known to be members, the leader itself included.
    var memberCount: Int {
        var count = 0
        for (index, voter) in voters.enumerated() where index == own || voter.lastHeard > 0 { count += 1 }
        return count
    }

    /// How many voters answered a frame that was sent at `stamp` or later, the leader itself included.
    func confirmations(since stamp: Microseconds) -> Int {
        var count = 0
        for (index, voter) in voters.enumerated() where index == own || voter.echoed >= stamp { count += 1 }
        return count
    }
}
