// From LSN to bytes and time, roughly: what lag, slots and flow control are measured with. A sorted run of marks that thins itself: when it
// is full, every other mark goes, so recent stretches are fine and old ones coarse, and memory is fixed.

import NexaStorage

/// Sparse marks along the log.
package struct LogMarks: Sendable {
    package struct Mark: Hashable, Sendable {
        package var lsn: LSN
        /// The counter of stored bytes up to and including `lsn`.
        package var byteCount: UInt64
        /// When the log got there.
        package var at: Microseconds
    }

    package static let markCountMax = 512
    /// Marks closer than this in time and bytes are merged.
    static let byteStep: UInt64 = 256 << 10
    static let timeStep: Microseconds = 10_000

    package private(set) var marks: [Mark] = []

    package init(lsn: LSN, byteCount: UInt64, at now: Microseconds) {
        marks.reserveCapacity(LogMarks.markCountMax)
        marks.append(Mark(lsn: lsn, byteCount: byteCount, at: now))
    }

    package var last: Mark { marks[marks.count - 1] }

    /// Notes that the log has grown. O(1) amortised, no allocation.
    package mutating func append(lsn: LSN, byteCount: UInt64, at now: Microseconds) {
        guard lsn > last.lsn else { return }
        let mark = Mark(lsn: lsn, byteCount: max(byteCount, last.byteCount), at: now)
        if marks.count >= 2 {
            let previous = marks[marks.count - 2]
            if mark.byteCount - previous.byteCount < LogMarks.byteStep && now &- previous.at < LogMarks.timeStep {
                marks[marks.count - 1] = mark
                return
            }
        }
        if marks.count == LogMarks.markCountMax { thin() }
        marks.append(mark)
    }

    /// The log was cut back, or begins anew.
    package mutating func restart(at lsn: LSN, byteCount: UInt64, now: Microseconds) {
        marks.removeAll(keepingCapacity: true)
        marks.append(Mark(lsn: lsn, byteCount: byteCount, at: now))
    }

    /// The counter of bytes at `lsn`, from the nearest mark that is not behind it: bytes behind `lsn` are never under-estimated by more than
    /// one step. O(log n).
    package func byteCount(at lsn: LSN) -> UInt64 { marks[index(notAfter: lsn)].byteCount }

    /// When the log went beyond `lsn`; nil while `lsn` is its end.
    package func passed(_ lsn: LSN) -> Microseconds? {
        guard lsn < last.lsn else { return nil }
        let index = index(notAfter: lsn)
        return marks[min(index + 1, marks.count - 1)].at
    }

    private func index(notAfter lsn: LSN) -> Int {
        var low = 0
        var high = marks.count
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].lsn <= lsn { low = middle + 1 } else { high = middle }
        }
        return max(0, low - 1)
    }

    private mutating func thin() {
        var kept = 0
        for index in stride(from: 0, to: marks.count, by: 2) {
            marks[kept] = marks[index]
            kept += 1
        }
        let last = marks[marks.count - 1]
        marks.removeSubrange(kept...)
        if marks[kept - 1] != last { marks.append(last) }
    }
}
