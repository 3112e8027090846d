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

    /// Those that meet `lowerBound..<upperBound`. Nil: there is none to see, the usual case; told without a look at each tombstone.
    init?(_ sets: [RangeTombstoneSet], at lsn: LSN, lowerBound: [UInt8]? = nil, upperBound: [UInt8]? = nil) {
        let met = sets.filter { $0.meets(lowerBound: lowerBound, upperBound: upperBound) }
        guard let first = met.first else { return nil }
        let joined =
            met.count == 1
            ? first.fragments[first.fragmentRange(lowerBound: lowerBound, upperBound: upperBound)]
            : RangeTombstoneSet(
                met.flatMap { set in
                    set.tombstones.filter { tombstone in
                        (lowerBound.map { isBelow($0, tombstone.end) } ?? true)
                            && (upperBound.map { isBelow(tombstone.start, $0) } ?? true)
                    }
                }
            ).fragments[...]
        fragments = joined.compactMap { fragment in
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
