// Whether a write that lies on its leader's disk may be acknowledged as lying on more, and a read that must not show what a later leader
// may lack be answered.
//
// Positions are compared, requests are not counted: a position that has passed an answer's LSN answers for all before it. What makes that
// right is the leadership under which the answer was made: when that ends, a position may be another leader's, with another record at the
// same LSN, and says nothing any more. So a request takes down the leadership before it asks whether writes are open, and they are refused
// before the leadership's number goes.

import NexaStorage

/// The leaderships of this node, by number, and what the last ones had committed when they ended.
package struct LeadershipLedger: Sendable {
    private struct Ended: Sendable {
        var number: UInt64
        var committed: LSN
    }

    /// The one that goes on, or will be next.
    package private(set) var current: UInt64 = 1
    private var ended: [Ended] = []
    private static let endedCountMax = 8

    package init() {}

    /// The leadership has ended, with everything up to `committed` in every later one.
    package mutating func end(committed: LSN) {
        if ended.count == Self.endedCountMax { ended.removeFirst() }
        ended.append(Ended(number: current, committed: committed))
        current += 1
    }

    /// Up to where a leadership that is over is known to have committed; 0 when nobody remembers.
    package func committed(in number: UInt64) -> LSN { ended.first { $0.number == number }?.committed ?? 0 }
}

/// What may be said about a record that needs more than its leader's disk.
package enum Acknowledgement: Equatable, Sendable {
    case wait, acknowledged
    /// Its leadership is over; it may or may not survive.
    case unknown

    /// About the record at `lsn` of `leadership`. `reached` is the position that `concern` has come to, read before `current` was; `atEnd` is
    /// asked for what a leadership that is over had committed.
    @inline(__always)
    package init(
        of lsn: LSN, in leadership: UInt64, for concern: WriteConcern, reached: LSN, current: UInt64,
        atEnd: (UInt64) -> LSN
    ) {
        if leadership == current {
            self = reached >= lsn ? .acknowledged : .wait
        } else {
            self = concern == .majority && atEnd(leadership) >= lsn ? .acknowledged : .unknown
        }
    }
}
