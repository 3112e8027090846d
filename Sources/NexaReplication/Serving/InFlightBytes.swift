// How much is on its way to one follower: stored bytes shipped and not yet acknowledged as written. A ring of fixed size; when it is full,
// two neighbours become one, so the credit comes back a little later, never too early.

import NexaStorage

/// The window of one stream.
struct InFlightBytes: Sendable {
    private struct Run {
        var last: LSN
        var byteCount: UInt64
    }

    static let runCountMax = 64

    private var runs: [Run] = []
    private var head = 0
    private(set) var byteCount: UInt64 = 0

    init() { runs.reserveCapacity(InFlightBytes.runCountMax * 2) }

    mutating func shipped(last: LSN, byteCount count: UInt64) {
        byteCount += count
        if runs.count - head >= InFlightBytes.runCountMax {
            runs[runs.count - 1].last = last
            runs[runs.count - 1].byteCount += count
            return
        }
        if runs.count >= InFlightBytes.runCountMax * 2 {
            runs.removeSubrange(..<head)
            head = 0
        }
        runs.append(Run(last: last, byteCount: count))
    }

    mutating func acknowledged(_ lsn: LSN) {
        while head < runs.count, runs[head].last <= lsn {
            byteCount -= runs[head].byteCount
            head += 1
        }
        if head == runs.count {
            runs.removeAll(keepingCapacity: true)
            head = 0
        }
    }
}
