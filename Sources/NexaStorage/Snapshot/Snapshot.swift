// Pinned positions. Flushes and compactions may drop a version of a key only when no pinned position and no later reader
// can see it; `SnapshotList` is where both sides agree, under one lock:
//
//     makeSnapshot:   lock { lsn = visible, or above it; pin(lsn) }
//     a compaction:   lock { boundary = visible; copy of the pinned positions }
//
// so a snapshot is either in the copy, or its position is at or after the boundary, above which nothing is dropped.

import Synchronization

/// A consistent view of the engine at one LSN, until `release()` or the end of its life.
package final class Snapshot: Sendable {
    /// What a reader passes to see this state.
    package let lsn: LSN
    private let list: SnapshotList
    private let isReleased = Atomic<Bool>(false)

    init(lsn: LSN, list: SnapshotList) {
        self.lsn = lsn
        self.list = list
    }

    deinit { release() }

    /// Lets compactions drop what only this snapshot needed. Calling it again changes nothing.
    package func release() {
        if !isReleased.exchange(true, ordering: .acquiringAndReleasing) { list.unpin(lsn) }
    }
}

/// What a flush or a compaction must keep: for every boundary the newest version at or below it, and everything above
/// the last one.
struct RetentionBoundaries: Sendable, Equatable {
    /// Pinned positions below `visible`, ascending and distinct, then `visible` itself.
    let positions: [LSN]

    /// The position up to which unpinned history may be collapsed.
    var visible: LSN { positions[positions.count - 1] }

    init(pinned: [LSN], visible: LSN) {
        var ascending: [LSN] = []
        for lsn in pinned.sorted() where lsn < visible && ascending.last != lsn { ascending.append(lsn) }
        ascending.append(visible)
        positions = ascending
    }

    /// The stripe of an entry: versions of a key in one stripe hide each other from every observer. Entries above the
    /// last boundary are in stripes of their own.
    @inline(__always)
    func stripe(of lsn: LSN) -> Int {
        var low = 0
        var high = positions.count
        while low < high {
            let middle = (low + high) / 2
            if positions[middle] < lsn { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// No observer can tell this entry from one that never was, if nothing lies under it.
    @inline(__always)
    func isOldestStripe(_ lsn: LSN) -> Bool { lsn <= positions[0] }

    /// Above the last boundary every version is kept.
    @inline(__always)
    func isAboveAll(_ stripe: Int) -> Bool { stripe == positions.count }
}

/// The pinned positions of one engine.
final class SnapshotList: Sendable {
    private let lock = NexaLock()
    /// Guarded by `lock`: position and how many snapshots hold it.
    nonisolated(unsafe) private var pins: [LSN: Int] = [:]
    /// Guarded by `lock`: up to here unpinned history may have been collapsed.
    nonisolated(unsafe) private var collapsed: LSN

    /// `lsn` is where the engine starts: what lies before may have been collapsed by an earlier one.
    init(from lsn: LSN) { collapsed = lsn }

    /// Pins the position that `visible` reads, or `least` where that is above it.
    func pin(atLeast least: LSN, visible: () -> LSN) -> LSN {
        lock.withLock {
            let lsn = max(visible(), least)
            pins[lsn, default: 0] += 1
            return lsn
        }
    }

    /// Pins `lsn` itself. False when it is not visible, or when nothing has kept what it showed.
    func pin(exactly lsn: LSN, visible: () -> LSN) -> Bool {
        lock.withLock {
            guard lsn <= visible(), lsn >= collapsed || pins[lsn] != nil else { return false }
            pins[lsn, default: 0] += 1
            return true
        }
    }

    func unpin(_ lsn: LSN) {
        lock.withLock {
            guard let count = pins[lsn] else { preconditionFailure("unpinned twice") }
            pins[lsn] = count == 1 ? nil : count - 1
        }
    }

    func isPinned(_ lsn: LSN) -> Bool { lock.withLock { pins[lsn] != nil } }

    /// Snapshots that are held.
    var count: Int { lock.withLock { pins.values.reduce(0, +) } }

    /// The oldest pinned position.
    var oldest: LSN? { lock.withLock { pins.keys.min() } }

    func boundaries(visible: () -> LSN) -> RetentionBoundaries {
        lock.withLock {
            let boundaries = RetentionBoundaries(pinned: Array(pins.keys), visible: visible())
            collapsed = max(collapsed, boundaries.visible)
            return boundaries
        }
    }
}
