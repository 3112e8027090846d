// How fast writes may come in: by how far the commit point is behind, counting only voters that are there. A follower that is away, or one
// whose acknowledgements nobody needs, slows nobody; with fewer than a commit quorum at hand there is nothing to wait for, so writes
// that ask for less go on at full speed.

import NexaStorage

/// The lag that matters, and what follows from it.
enum FlowControl {
    /// The verdict for a lag of `byteCount` that began `age` ago. Steps of an eighth, so that it does not change with every record.
    static func verdict(byteCount: UInt64, age: Microseconds, options: ReplicationOptions) -> FlowVerdict {
        if byteCount >= options.flowHardByteCount || age >= options.flowHardAge { return .refuse }
        let byBytes = share(byteCount, from: options.flowSoftByteCount, to: options.flowHardByteCount)
        let byAge = share(age, from: options.flowSoftAge, to: options.flowHardAge)
        let eighths = max(byBytes, byAge)
        return eighths == 0 ? .open : .slow(options.flowDelayMax / 8 * eighths)
    }

    private static func share(_ value: UInt64, from soft: UInt64, to hard: UInt64) -> UInt64 {
        guard value > soft, hard > soft else { return 0 }
        return 1 + (value - soft) * 7 / (hard - soft)
    }

    /// The LSN that the live voters hold back: the position of the slowest one that a commit needs; nil when nobody is to be waited for.
    static func heldBackAt(_ point: CommitPoint, isLive: (VoterProgress) -> Bool) -> LSN? {
        let ownDurable = point.voters[point.own].durable
        var live = 1
        for (index, voter) in point.voters.enumerated() where index != point.own && isLive(voter) { live += 1 }
        guard live >= point.quorum, point.quorum > 1 else { return nil }
        // The quorum-th largest among the live ones, the leader counted as the first.
        var best: LSN = 0
        for (index, candidate) in point.voters.enumerated() where index != point.own && isLive(candidate) {
            var count = 1
            for (other, voter) in point.voters.enumerated()
            where other != point.own && isLive(voter) && voter.durable >= candidate.durable { count += 1 }
            if count >= point.quorum { best = max(best, candidate.durable) }
        }
        return min(best, ownDurable)
    }
}
