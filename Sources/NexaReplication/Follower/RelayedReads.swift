// Linearizable reads that a follower passed on to its upstream and that are not answered yet. Their ids rise, so an answer finds its question by
// halving; what is answered leaves a gap, and gaps go together. Every walk is in the order of the ids: the same events give the same effects.

import NexaStorage

/// The questions of one follower.
struct RelayedReads: Sendable {
    private struct Read {
        let id: UInt64
        let deadline: Microseconds
        /// Nil once it is answered.
        var asker: ReadAsker?
    }

    private var reads: [Read] = []
    private var nextID: UInt64 = 1
    /// How many wait.
    private(set) var count = 0

    /// The id under which the upstream is asked.
    mutating func add(_ asker: ReadAsker, deadline: Microseconds) -> UInt64 {
        defer { nextID += 1 }
        reads.append(Read(id: nextID, deadline: deadline, asker: asker))
        count += 1
        return nextID
    }

    /// Who asked under `id`, once. O(log n), amortised.
    mutating func take(_ id: UInt64) -> ReadAsker? {
        var (low, high) = (0, reads.count)
        while low < high {
            let middle = (low + high) / 2
            if reads[middle].id < id { low = middle + 1 } else { high = middle }
        }
        guard low < reads.count, reads[low].id == id, let asker = reads[low].asker else { return nil }
        reads[low].asker = nil
        count -= 1
        if count * 2 < reads.count { reads.removeAll { $0.asker == nil } }
        return asker
    }

    /// Everybody whose time is up. O(n).
    mutating func takeExpired(now: Microseconds) -> [ReadAsker] { take { $0.deadline <= now } }

    mutating func takeAll() -> [ReadAsker] { take { _ in true } }

    /// Nobody is there any more to be told.
    mutating func forget(_ session: SessionID) {
        _ = take { if case .follower(session, _)? = $0.asker { true } else { false } }
    }

    /// When the first of them gives up; nil when nobody waits. O(n).
    var earliestDeadline: Microseconds? { reads.lazy.filter { $0.asker != nil }.map(\.deadline).min() }

    private mutating func take(where matches: (Read) -> Bool) -> [ReadAsker] {
        guard count > 0 else { return [] }
        let taken = reads.filter(matches).compactMap(\.asker)
        reads.removeAll { $0.asker == nil || matches($0) }
        count = reads.count
        return taken
    }
}
