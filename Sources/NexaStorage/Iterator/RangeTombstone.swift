/// One range delete: hides every entry whose key is in `[start, end)` and whose LSN is below `lsn`.
package struct RangeTombstone: Sendable, Equatable {
    package var start: [UInt8]
    package var end: [UInt8]
    package var lsn: LSN

    package init(start: [UInt8], end: [UInt8], lsn: LSN) {
        self.start = start
        self.end = end
        self.lsn = lsn
    }
}

/// An immutable set of range tombstones, cut at every start and end into disjoint fragments, so that a look-up is one binary search.
///
///     tombstones   |-------- 9 --------|            fragments   |- 9 -|- 9 7 -|- 9 -|- 7 -|
///                        |--- 7 ------------|       (LSNs descend; neighbours with the same LSNs are joined)
package final class RangeTombstoneSet: Sendable {
    /// No tombstones.
    package static let empty = RangeTombstoneSet([])

    struct Fragment: Sendable, Equatable {
        var start: [UInt8]
        var end: [UInt8]
        /// Of the tombstones that cover it; descending, distinct.
        var lsns: [LSN]
    }

    /// The tombstones as they were given.
    package let tombstones: [RangeTombstone]
    /// In key order.
    let fragments: [Fragment]
    /// The highest LSN of all.
    package let lsnMax: LSN

    package var isEmpty: Bool { tombstones.isEmpty }

    /// Bytes that the set holds, estimated: arrays of their own for the keys of each tombstone and each fragment.
    var residentByteCount: Int {
        let arrayByteCount = 32
        func size(_ start: [UInt8], _ end: [UInt8]) -> Int { start.count + end.count + 2 * arrayByteCount }
        return tombstones.reduce(0) { $0 + size($1.start, $1.end) + MemoryLayout<RangeTombstone>.stride }
            + fragments.reduce(0) {
                $0 + size($1.start, $1.end) + arrayByteCount + 8 * $1.lsns.count + MemoryLayout<Fragment>.stride
            }
    }

    /// Costs n log n, plus the number of tombstones that overlap at each cut.
    package init(_ tombstones: [RangeTombstone]) {
        self.tombstones = tombstones
        self.lsnMax = tombstones.reduce(0) { max($0, $1.lsn) }
        self.fragments = RangeTombstoneSet.cut(tombstones)
    }

    private static func cut(_ tombstones: [RangeTombstone]) -> [Fragment] {
        let sorted = tombstones.filter { isBelow($0.start, $0.end) }.sorted { isBelow($0.start, $1.start) }
        guard !sorted.isEmpty else { return [] }
        var cuts = sorted.flatMap { [$0.start, $0.end] }
        cuts.sort(by: isBelow)
        var fragments: [Fragment] = []
        var active: [RangeTombstone] = []
        var upcoming = 0
        for index in cuts.indices.dropLast() where cuts[index] != cuts[index + 1] {
            let (start, end) = (cuts[index], cuts[index + 1])
            active.removeAll { !isBelow(start, $0.end) }
            while upcoming < sorted.count, sorted[upcoming].start == start {
                active.append(sorted[upcoming])
                upcoming += 1
            }
            guard !active.isEmpty else { continue }
            var lsns = active.map(\.lsn).sorted(by: >)
            var last: LSN?
            lsns.removeAll { lsn in
                defer { last = lsn }
                return lsn == last
            }
            if let before = fragments.last, before.end == start, before.lsns == lsns {
                fragments[fragments.count - 1].end = end
            } else {
                fragments.append(Fragment(start: start, end: end, lsns: lsns))
            }
        }
        return fragments
    }

    /// The newest tombstone with an LSN of at most `lsn` that covers `key`; 0 when none does.
    package func covering(_ key: UnsafeRawBufferPointer, at lsn: LSN) -> LSN {
        let index = indexOfFragment(endingAfter: key)
        guard index < fragments.count, !isBelow(key, fragments[index].start) else { return 0 }
        return fragments[index].newest(at: lsn)
    }

    /// The first fragment whose end is above `key`; `fragments.count` where there is none.
    func indexOfFragment(endingAfter key: UnsafeRawBufferPointer) -> Int {
        fragments.partitioningIndex { isBelow(key, $0.end) }
    }

    /// The fragments that meet `lowerBound..<upperBound`.
    func fragmentRange(lowerBound: [UInt8]?, upperBound: [UInt8]?) -> Range<Int> {
        let first = lowerBound.map { bound in fragments.partitioningIndex { isBelow(bound, $0.end) } } ?? 0
        let end = upperBound.map { bound in fragments.partitioningIndex { !isBelow($0.start, bound) } } ?? fragments.count
        return first..<max(first, end)
    }

    func meets(lowerBound: [UInt8]?, upperBound: [UInt8]?) -> Bool {
        !fragmentRange(lowerBound: lowerBound, upperBound: upperBound).isEmpty
    }
}

extension RangeTombstoneSet.Fragment {
    /// The highest LSN of at most `lsn`; 0 when all are above it.
    func newest(at lsn: LSN) -> LSN {
        for candidate in lsns where candidate <= lsn { return candidate }
        return 0
    }
}

extension Array {
    /// The first index from which on `isReached` holds; the elements for which it does come last.
    fileprivate func partitioningIndex(_ isReached: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if isReached(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// Bytewise order of keys.
func isBelow(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.withUnsafeBytes { left in right.withUnsafeBytes { right in compareKeys(left, right) < 0 } }
}

func isBelow(_ left: UnsafeRawBufferPointer, _ right: [UInt8]) -> Bool {
    right.withUnsafeBytes { compareKeys(left, $0) < 0 }
}

func isBelow(_ left: [UInt8], _ right: UnsafeRawBufferPointer) -> Bool {
    left.withUnsafeBytes { compareKeys($0, right) < 0 }
}
