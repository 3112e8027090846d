// How far behind a follower can be, in time, by its own monotonic clock alone. Its ACK carries the own time t; the upstream's next frames echo
// t beside the leader's end as known then, and say how old that knowledge was. So: end was the leader's end at some moment not before
// t - end_age, and once the follower shows everything up to end, it is not staler than now - t + end_age.

import NexaStorage

/// Samples of the leader's end that the follower has not shown yet, and the newest one that it has.
struct Staleness: Sendable {
    private struct Sample {
        var end: LSN
        var since: Microseconds
    }

    static let sampleCountMax = 64

    private var pending: [Sample] = []
    /// Everything that the leader had at this moment is visible here.
    private(set) var freshAt: Microseconds?
    /// The last known end of the leader's log.
    private(set) var leaderEnd: LSN = 0
    private(set) var leaderEndAt: Microseconds?

    init() { pending.reserveCapacity(Staleness.sampleCountMax) }

    /// A frame told that the leader's end was `end` at a moment not before `since`. No allocation.
    mutating func note(end: LSN, since: Microseconds) {
        leaderEnd = max(leaderEnd, end)
        leaderEndAt = max(leaderEndAt ?? 0, since)
        if let last = pending.last {
            guard since > last.since else { return }
            if last.end == end {
                pending[pending.count - 1].since = since
                return
            }
        }
        // Full: two neighbours become the later one, which is the stricter: nothing is claimed too early.
        if pending.count == Staleness.sampleCountMax {
            for index in stride(from: 0, to: pending.count - 1, by: 2) { pending[index / 2] = pending[index + 1] }
            pending.removeSubrange((pending.count / 2)...)
        }
        pending.append(Sample(end: end, since: since))
    }

    /// Readers see everything up to `visible`.
    mutating func shown(_ visible: LSN) {
        var shown = 0
        while shown < pending.count, pending[shown].end <= visible {
            freshAt = max(freshAt ?? 0, pending[shown].since)
            shown += 1
        }
        if shown > 0 { pending.removeSubrange(..<shown) }
    }

    /// An upper bound; nil when nothing is known.
    func bound(now: Microseconds) -> Microseconds? { freshAt.map { now - min(now, $0) } }
}
