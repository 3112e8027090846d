/// The newest records of the log in memory, read once for all subscriptions that are at its end: who keeps up costs no file and no read of
/// its own. Who falls out of it reads the files (`ChangeSubscription.readFiles`) until it is back.
///
///     log      ... | a b c d e f g h i |            chunks: [a b c] [d e f g] [h i]
///              behind │    the window     │ ahead: not read yet      bounded: the oldest chunks leave
///
/// Chunks are immutable and shared; the list is guarded by the feed's lock.

import NexaDocuments
import NexaStorage
import NexaWire

/// Consecutive records, expanded. Written by one thread, then only read: `@unchecked Sendable`.
package final class ChangeChunk: @unchecked Sendable {
    package private(set) var firstLSN: LSN = 0
    package private(set) var lastLSN: LSN = 0
    private let bytes = OutputBytes(capacity: 4 << 10)
    private static let headerByteCount = 37

    package init() {}

    package var byteCount: Int { bytes.capacityByteCount }
    package var isEmpty: Bool { lastLSN == 0 }

    /// Appends the next record. Before the chunk is shared.
    package func append(_ record: ChangeRecord) {
        precondition(isEmpty || record.position.lsn == lastLSN + 1, "records follow each other")
        if isEmpty { firstLSN = record.position.lsn }
        lastLSN = record.position.lsn
        bytes.reserve(Self.headerByteCount + record.payload.count)
        bytes.appendBE(record.position.lsn)
        bytes.appendBE(record.position.epoch)
        bytes.appendBE(record.chainInFront)
        bytes.appendBE(record.chainBehind)
        bytes.appendBE(UInt32(record.payload.count))
        bytes.appendU8(record.isCatalog ? 1 : 0)
        bytes.append(record.payload)
    }

    /// Passes the records from `lsn` on to `body` until it answers false.
    package func forEach(from lsn: LSN, _ body: (ChangeRecord) -> Bool) {
        let all = bytes.bytes
        var offset = 0
        while offset < all.count {
            let base = all.baseAddress! + offset
            let count = Int(ByteOrder.loadBE(base, at: 32, as: UInt32.self))
            let start = offset + Self.headerByteCount
            offset = start + count
            let position = LogPosition(epoch: ByteOrder.loadBE(base, at: 8), lsn: ByteOrder.loadBE(base))
            guard position.lsn >= lsn else { continue }
            let record = ChangeRecord(
                position: position, isCatalog: all[start - 1] == 1, chainInFront: ByteOrder.loadBE(base, at: 16),
                chainBehind: ByteOrder.loadBE(base, at: 24), payload: UnsafeRawBufferPointer(rebasing: all[start..<offset]))
            guard body(record) else { return }
        }
    }
}

package struct ChangeWindow {
    /// Bytes of records that are kept, but for the newest chunk.
    package static let byteCountMax = 4 << 20

    package enum Look {
        /// From the record that was asked for on.
        case chunks([ChangeChunk])
        /// Nobody has read it yet.
        case ahead
        /// It has left, or was never here.
        case behind
    }

    private var chunks: [ChangeChunk] = []
    /// The record that is read next.
    package private(set) var nextLSN: LSN = 1
    private var byteCount = 0

    package init() {}

    private var firstLSN: LSN { chunks.first?.firstLSN ?? nextLSN }

    package func look(_ lsn: LSN) -> Look {
        if lsn >= nextLSN { return .ahead }
        if lsn < firstLSN { return .behind }
        return .chunks(Array(chunks.drop { $0.lastLSN < lsn }))
    }

    /// Begins anew in front of `lsn`.
    package mutating func restart(at lsn: LSN) {
        chunks.removeAll()
        byteCount = 0
        nextLSN = lsn
    }

    package mutating func append(_ chunk: ChangeChunk) {
        precondition(chunk.firstLSN == nextLSN, "chunks follow each other")
        chunks.append(chunk)
        byteCount += chunk.byteCount
        nextLSN = chunk.lastLSN + 1
        while byteCount > Self.byteCountMax, chunks.count > 1 { byteCount -= chunks.removeFirst().byteCount }
    }
}
