/// A remembered place in the log: one for every 4,096 records, so that neither a reader that begins in the middle of a segment nor the
/// question for the chain at some LSN has to read the segment from its beginning. In memory only: recovery makes them anew for the log
/// that is there, and the ones of segments that were given up since stay as long as there is room.
package struct LogMark: Equatable, Sendable {
    /// Records between two marks.
    package static let interval: LSN = 4096
    /// Marks that are kept; the oldest ones make room.
    static let countMax = 16_384

    package var lsn: LSN
    /// Up to and with the record `lsn`.
    package var chain: UInt64
    package var segmentID: UInt64
    /// Where that record ends.
    package var offset: UInt64
}

/// Marks in LSN order. Guarded by its owner.
struct LogMarks {
    private var marks: [LogMark] = []

    mutating func append(_ mark: LogMark) {
        if marks.count >= LogMark.countMax { marks.removeFirst(LogMark.countMax / 4) }
        precondition(marks.last.map { $0.lsn < mark.lsn } ?? true, "marks are made in LSN order")
        marks.append(mark)
    }

    /// Forgets the marks of records that do not count any more.
    mutating func removeAll(above lsn: LSN) { marks.removeLast(marks.count - count(upTo: lsn)) }

    /// The last mark at or before `lsn`.
    func last(upTo lsn: LSN) -> LogMark? {
        let count = count(upTo: lsn)
        return count > 0 ? marks[count - 1] : nil
    }

    private func count(upTo lsn: LSN) -> Int {
        var low = 0
        var high = marks.count
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].lsn <= lsn { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
