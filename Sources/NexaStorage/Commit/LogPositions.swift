// How far the log is. Each position is written by one side and read by anyone with an acquire load:
//
//     durable <= acknowledged <= written <= reserved          visible = min(applied, acknowledged)
//
// `acknowledged` covers a record when it has met the durability that it was committed with: a group with a record of
// durability `disk` moves it after the sync, any other group after the write.

import Synchronization

/// The positions of one log.
final class LogPositions: Sendable {
    private let reservedPosition: Atomic<LSN>
    private let writtenPosition: Atomic<LSN>
    private let durablePosition: Atomic<LSN>
    private let acknowledgedPosition: Atomic<LSN>

    init(_ lsn: LSN) {
        reservedPosition = Atomic(lsn)
        writtenPosition = Atomic(lsn)
        durablePosition = Atomic(lsn)
        acknowledgedPosition = Atomic(lsn)
    }

    var reserved: LSN { reservedPosition.load(ordering: .sequentiallyConsistent) }
    var written: LSN { writtenPosition.load(ordering: .acquiring) }
    var durable: LSN { durablePosition.load(ordering: .acquiring) }
    var acknowledged: LSN { acknowledgedPosition.load(ordering: .acquiring) }

    /// Something waits for the log role.
    var hasPending: Bool { reserved > written }

    func noteReserved(_ lsn: LSN) { reservedPosition.store(lsn, ordering: .sequentiallyConsistent) }
    func noteWritten(_ lsn: LSN) { writtenPosition.store(lsn, ordering: .releasing) }
    func noteDurable(_ lsn: LSN) { durablePosition.store(lsn, ordering: .releasing) }
    func noteAcknowledged(_ lsn: LSN) { acknowledgedPosition.store(lsn, ordering: .releasing) }

    /// After a failure: everything behind `lsn` is forgotten.
    func restart(at lsn: LSN) {
        noteDurable(lsn)
        noteAcknowledged(lsn)
        noteWritten(lsn)
        noteReserved(lsn)
    }
}
