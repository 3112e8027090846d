// Where each leadership began. Records carry their epoch, so the history could be read off the log; kept apart, it decides at a handshake
// how far two logs agree without touching either.
//
//     epoch    1        3            4
//              |--------|------------|-------------->  lsn
//     firstLSN 1        501          723            end
//
// Two entries are the same leadership when epoch and first LSN are equal: a leader writes its EPOCH_START behind all that it has, so
// equal entries imply equal logs in front of them. The entries rise in both numbers.

import NexaStorage

/// The leaderships of a log, oldest first.
package struct EpochHistory: Hashable, Sendable {
    /// The oldest entries are dropped beyond this many: they only matter to a follower that was away for as many failovers, which then gets
    /// a snapshot.
    package static let entryCountMax = 1024

    package private(set) var entries: [EpochStart]

    /// A log that nothing was written to.
    package init() { entries = [] }

    /// Entries whose epochs rise and whose LSNs do not fall; nil otherwise. An entry that the next one begins on top of wrote nothing (the
    /// epoch 1 of a new store) and is left out.
    package init?(_ entries: [EpochStart]) {
        self.entries = []
        for entry in entries {
            guard entry.epoch > lastEpoch, entry.firstLSN > 0, entry.firstLSN >= (self.entries.last?.firstLSN ?? 1) else {
                return nil
            }
            begin(entry.epoch, at: entry.firstLSN)
        }
    }

    /// The newest leadership of which a record exists; 0 for an empty log.
    package var lastEpoch: Epoch { entries.last?.epoch ?? 0 }

    /// The epoch under which the record at `lsn` was written; nil for LSN 0 and for what is older than the history.
    package func epoch(at lsn: LSN) -> Epoch? { entries.last { $0.firstLSN <= lsn }?.epoch }

    /// The position of the record at `lsn`.
    package func position(at lsn: LSN) -> LogPosition { LogPosition(epoch: epoch(at: lsn) ?? 0, lsn: lsn) }

    /// Notes that the record at `lsn` is the first of `epoch`.
    package mutating func begin(_ epoch: Epoch, at lsn: LSN) {
        precondition(epoch > lastEpoch && lsn >= (entries.last?.firstLSN ?? 1), "epochs rise along the log")
        if entries.last?.firstLSN == lsn { entries.removeLast() }
        entries.append(EpochStart(epoch: epoch, firstLSN: lsn))
        if entries.count > EpochHistory.entryCountMax { entries.removeFirst() }
    }

    /// Forgets leaderships that began behind `lsn`.
    package mutating func truncate(to lsn: LSN) {
        while let last = entries.last, last.firstLSN > lsn { entries.removeLast() }
    }

    /// See `[EpochStart].commonPoint`.
    package func commonPoint(end: LSN, other: EpochHistory, otherEnd: LSN) -> LSN {
        entries.commonPoint(end: end, other: other.entries, otherEnd: otherEnd)
    }
}
