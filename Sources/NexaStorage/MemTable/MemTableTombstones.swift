import Synchronization

/// The range tombstones of a memtable: a list under a lock, cut into fragments when somebody reads after somebody wrote.
///
/// Range deletes are rare and reads of a table without any must not pay for them: `isEmpty` is one load.
final class MemTableTombstones: Sendable {
    /// More of them, and the table counts as full: cutting costs time proportional to their number at each change.
    static let countMax = 4096

    private struct State {
        var tombstones: [RangeTombstone] = []
        /// Of all `tombstones`; nil when one came since.
        var set: RangeTombstoneSet? = .empty
    }

    private let count = Atomic<Int>(0)
    private let bytes = Atomic<Int>(0)
    private let state = Mutex(State())

    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }
    var byteCount: Int { bytes.load(ordering: .relaxed) }

    func insert(_ tombstone: RangeTombstone) -> Bool {
        state.withLock { state in
            guard state.tombstones.count < MemTableTombstones.countMax else { return false }
            state.tombstones.append(tombstone)
            state.set = nil
            bytes.add(tombstone.start.count + tombstone.end.count + 64, ordering: .relaxed)
            count.add(1, ordering: .releasing)
            return true
        }
    }

    var set: RangeTombstoneSet {
        state.withLock { state in
            if let set = state.set { return set }
            let set = RangeTombstoneSet(state.tombstones)
            state.set = set
            return set
        }
    }
}
