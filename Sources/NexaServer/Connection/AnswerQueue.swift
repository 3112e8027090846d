/// The answers of one connection on their way out, in the order in which they may leave.
///
///     bytes   | answers that may leave | answer of a write | answers behind it ... |
///                                      ^ Mark(offset, lsn): from here on nothing leaves before `lsn` is acknowledged
///
/// Invariants: offsets count from the connection's first answer byte and only grow; marks are in the order of their offsets and
/// their LSNs do not fall, so the first unacknowledged mark ends what may leave. Answers of reads need no mark of their own:
/// a read behind an unacknowledged write of its connection reads at that write's position and stands behind its answer.
///
/// A mark with a concern stands for one answer that needs more than this disk: `settle` lets it leave, or puts an ERROR in its place.

import NexaStorage
import NexaWire

package struct AnswerQueue: ~Copyable {
    /// From `offset` on nothing may leave before `lsn` is acknowledged.
    private struct Mark {
        var offset: UInt64
        var lsn: LSN
        /// When the requests arrived that the mark stands for, and how many are timed as what when it is passed.
        var arrival: UInt64
        var latencyClass: LatencyClass?
        var requestCount: Int
        /// More that the answer needs; its bytes end at `end`.
        var concern: AnswerConcern?
        var end: UInt64 = 0
    }

    /// Whole frames, appended by commands.
    package let bytes: OutputBytes
    /// Offset of the first byte in `bytes`.
    private var start: UInt64 = 0
    private var marks: [Mark] = []
    private var firstMark = 0
    /// Marks with a concern that is not settled.
    package private(set) var concernCount = 0

    package init(bytes: OutputBytes = OutputBytes(capacity: 64)) { self.bytes = bytes }

    /// Bytes that have not been handed to the socket.
    package var byteCount: Int { bytes.byteCount }
    /// Bytes that have been handed to the socket since the connection began.
    package var sentByteCount: UInt64 { start }
    /// Whether some answer waits for the log.
    package var isHeld: Bool { firstMark < marks.count }
    /// The newest position that an answer waits for, 0 when none does.
    package var heldLSN: LSN { isHeld ? marks[marks.count - 1].lsn : 0 }

    /// The answer from `byteOffset` in `bytes` on waits for `lsn`. When it may leave, its request is timed as `latencyClass`; nil: it has
    /// other answers to come.
    package mutating func hold(from byteOffset: Int, until lsn: LSN, arrival: UInt64, _ latencyClass: LatencyClass?) {
        let requestCount = latencyClass == nil ? 0 : 1
        if isHeld {
            let last = marks.count - 1
            if latencyClass == nil || latencyClass == marks[last].latencyClass {
                if marks[last].lsn >= lsn {
                    // Already behind a mark that is acknowledged later.
                    marks[last].requestCount += requestCount
                    return
                }
                if marks[last].arrival == arrival && marks[last].concern == nil {
                    // Requests of one read are committed in one round: one mark with the last position serves them all.
                    marks[last].lsn = lsn
                    marks[last].requestCount += requestCount
                    return
                }
            }
        }
        marks.append(
            Mark(
                offset: start + UInt64(byteOffset), lsn: max(lsn, heldLSN), arrival: arrival, latencyClass: latencyClass,
                requestCount: requestCount))
    }

    /// The same for one that waits for `concern` as well; it reaches to the end of `bytes`.
    package mutating func hold(
        from byteOffset: Int, until lsn: LSN, arrival: UInt64, _ latencyClass: LatencyClass?, concern: AnswerConcern
    ) {
        concernCount += 1
        marks.append(
            Mark(
                offset: start + UInt64(byteOffset), lsn: max(lsn, heldLSN), arrival: arrival, latencyClass: latencyClass,
                requestCount: latencyClass == nil ? 0 : 1, concern: concern, end: start + UInt64(bytes.byteCount)))
    }

    /// When the first concern that is not settled runs out of time; nil: none does.
    package var earliestConcernDeadline: UInt64? {
        guard concernCount > 0 else { return nil }
        return marks[firstMark...].lazy.compactMap { $0.concern?.deadline }.min()
    }

    /// Looks at every answer with a concern: those that have what they need may leave as far as it is up to that, those that never will
    /// are replaced.
    package mutating func settle(_ judge: (AnswerConcern) -> AnswerConcern.Verdict) {
        guard concernCount > 0 else { return }
        for index in firstMark..<marks.count {
            guard let concern = marks[index].concern else { continue }
            switch judge(concern) {
            case .wait: continue
            case .met: break
            case .failed(let error): replace(index, requestID: concern.requestID, error)
            }
            marks[index].concern = nil
            concernCount -= 1
        }
    }

    /// Puts an ERROR in the place of the answer at a mark.
    private mutating func replace(_ index: Int, requestID: UInt32?, _ error: WireError) {
        let from = Int(marks[index].offset - start)
        let to = Int(marks[index].end - start)
        let behind = Array(bytes.bytes[to...])
        bytes.truncate(to: from)
        bytes.writeErrorFrame(error, requestID: requestID)
        let change = bytes.byteCount - to
        bytes.append(behind)
        for later in marks.indices[(index + 1)...] {
            marks[later].offset = UInt64(Int(marks[later].offset) + change)
            marks[later].end = UInt64(max(0, Int(marks[later].end) + change))
        }
    }

    /// How many bytes may leave when everything up to `acknowledged` is. Drops the marks that are passed, and reports the
    /// requests that are timed with them.
    package mutating func release(
        _ acknowledged: LSN, passed: (_ arrival: UInt64, _ latencyClass: LatencyClass, _ requestCount: Int) -> Void
    ) -> Int {
        while firstMark < marks.count, marks[firstMark].lsn <= acknowledged, marks[firstMark].concern == nil {
            if let latencyClass = marks[firstMark].latencyClass {
                passed(marks[firstMark].arrival, latencyClass, marks[firstMark].requestCount)
            }
            firstMark += 1
        }
        if firstMark == marks.count {
            marks.removeAll(keepingCapacity: marks.capacity <= 64)
            firstMark = 0
            return bytes.byteCount
        }
        if firstMark >= 32 {
            marks.removeFirst(firstMark)
            firstMark = 0
        }
        return Int(marks[firstMark].offset - start)
    }

    /// The first `count` bytes were handed to the socket.
    package mutating func consume(_ count: Int) {
        bytes.removeFirst(count)
        start += UInt64(count)
    }

    /// Forgets everything behind the first unacknowledged mark: what was promised there will not come true.
    package mutating func dropHeld() {
        guard isHeld else { return }
        bytes.truncate(to: Int(marks[firstMark].offset - start))
        marks.removeAll()
        firstMark = 0
        concernCount = 0
    }

    /// Gives memory back when nothing is queued; for idle connections.
    package mutating func shrink() {
        if bytes.isEmpty { bytes.removeAll(keepingCapacity: false) }
        if !isHeld { marks = [] }
    }
}
