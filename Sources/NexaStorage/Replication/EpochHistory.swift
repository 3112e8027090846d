// Which leadership wrote which part of the log: `[(epoch, first LSN)...]`, ascending in both. Two histories and two positions
// are all that is needed to find where two logs part (docs: formats/wal.md, "EPOCH_START").
//
// Invariants: the entry of an epoch is here when its EPOCH_START has an LSN, and is in the manifest before the segment that
// holds the record is given up; whatever is missing there is found again in the log.

/// The epochs of one store.
final class EpochHistory: Sendable {
    private let lock = NexaLock()
    /// Guarded by `lock`.
    nonisolated(unsafe) private var starts: [EpochStart]

    init(_ starts: [EpochStart]) { self.starts = starts }

    var all: [EpochStart] { lock.withLock { starts } }

    func append(_ start: EpochStart) {
        lock.withLock {
            precondition(starts.last.map { $0.epoch < start.epoch } ?? true, "epochs grow")
            starts.append(start)
        }
    }

    /// Forgets the epochs that began behind `lsn`, and answers the one that holds there.
    func forget(after lsn: LSN) -> Epoch {
        lock.withLock {
            starts = starts.kept(through: lsn)
            return starts.last?.epoch ?? 1
        }
    }

    /// Those that a manifest lacks, among the ones that began at or before `lsn`.
    func missing(in known: [EpochStart], through lsn: LSN) -> [EpochStart] {
        let last = known.last?.epoch ?? 0
        return lock.withLock { starts.filter { $0.epoch > last && $0.firstLSN <= lsn } }
    }
}
