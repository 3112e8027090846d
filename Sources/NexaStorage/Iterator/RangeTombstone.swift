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

/// An immutable set of range tombstones, cut into disjoint fragments so that a look-up is one binary search.
package final class RangeTombstoneSet: Sendable {
    package static let empty = RangeTombstoneSet([])
    /// The tombstones as they were given.
    package let tombstones: [RangeTombstone]
    package var isEmpty: Bool { tombstones.isEmpty }

    package init(_ tombstones: [RangeTombstone]) { self.tombstones = tombstones }

    /// The newest tombstone with an LSN of at most `lsn` that covers `key`; 0 when there is none.
    package func covering(_ key: UnsafeRawBufferPointer, at lsn: LSN) -> LSN { fatalError("not built yet") }
}
