/// The range tombstones of everything that an iterator reads, as a reader at one LSN sees them: disjoint, one LSN each.
///
/// Remembers the fragment of the last look-up: neighbours are asked one after the other. Confined to the iterator's thread.
final class VisibleTombstones {
    struct Fragment {
        let start: [UInt8]
        let end: [UInt8]
        let lsn: LSN
    }

    private let fragments: [Fragment]
    private var position = 0

    /// Nil: there is none to see, the usual case.
    init?(_ sets: [RangeTombstoneSet], at lsn: LSN) {
        let filled = sets.filter { !$0.isEmpty }
        guard let first = filled.first else { return nil }
        let joined = filled.count == 1 ? first : RangeTombstoneSet(joining: filled)
        fragments = joined.fragments.compactMap { fragment in
            let newest = fragment.newest(at: lsn)
            return newest > 0 ? Fragment(start: fragment.start, end: fragment.end, lsn: newest) : nil
        }
        guard !fragments.isEmpty else { return nil }
    }

    /// An entry of `key` with that LSN is deleted by a range tombstone; `current` is then the fragment that does it.
    func hides(_ key: UnsafeRawBufferPointer, _ lsn: LSN) -> Bool {
        move(to: key)
        guard let current, !isBelow(key, current.start) else { return false }
        return lsn < current.lsn
    }

    /// The first fragment that ends above the key of the last `hides`.
    var current: Fragment? { position < fragments.count ? fragments[position] : nil }

    private func move(to key: UnsafeRawBufferPointer) {
        let endsAbove = position < fragments.count && isBelow(key, fragments[position].end)
        let startsBelow = position == 0 || !isBelow(key, fragments[position - 1].end)
        if endsAbove && startsBelow { return }
        var low = 0
        var high = fragments.count
        while low < high {
            let middle = (low + high) / 2
            if isBelow(key, fragments[middle].end) { high = middle } else { low = middle + 1 }
        }
        position = low
    }
}
