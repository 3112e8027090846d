// What one follower has asked for of a snapshot: pieces are read from the disk one after the other, and only while what it has not taken is little.
//
//     ask ─► waiting ─(next)─► being read ─(wasRead)─► on its way ─(wasTaken)─► done            at most `SnapshotGet.outstandingMax` of all three
//
// A follower asks for the next piece when one has come, so an honest one never asks for more.

import NexaReplication

package struct PieceQueue {
    /// No piece is read while so many bytes are on their way.
    package static let onTheWayByteCountMax = 4 << 20

    private var waiting: [SnapshotGet] = []
    private var isReading = false
    private var onTheWay = (count: 0, byteCount: 0)

    package init() {}

    /// False when that is more than may be asked for.
    package mutating func ask(_ get: SnapshotGet) -> Bool {
        guard waiting.count + (isReading ? 1 : 0) + onTheWay.count < SnapshotGet.outstandingMax else { return false }
        waiting.append(get)
        return true
    }

    /// What is to be read now, until `wasRead`.
    package mutating func next() -> SnapshotGet? {
        guard !isReading, !waiting.isEmpty, onTheWay.byteCount < Self.onTheWayByteCountMax else { return nil }
        isReading = true
        return waiting.removeFirst()
    }

    package mutating func wasRead(byteCount: Int) {
        isReading = false
        onTheWay.count += 1
        onTheWay.byteCount += byteCount
    }

    package mutating func wasTaken(byteCount: Int) {
        onTheWay.count -= 1
        onTheWay.byteCount -= byteCount
    }
}
