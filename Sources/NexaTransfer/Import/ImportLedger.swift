/// A place between two batches.
package struct ImportPosition: Equatable, Sendable {
    /// Number of the batch that begins here.
    package var batch: UInt64
    package var offset: UInt64
    /// Number of the record that begins here.
    package var record: UInt64

    package init(batch: UInt64, offset: UInt64, record: UInt64) {
        self.batch = batch
        self.offset = offset
        self.record = record
    }
}

/// How many documents came to what.
package struct ImportCounts: Equatable, Sendable {
    package var written: UInt64 = 0
    /// Found there when a batch was sent again.
    package var present: UInt64 = 0
    package var rejected: UInt64 = 0

    package init(written: UInt64 = 0, present: UInt64 = 0, rejected: UInt64 = 0) {
        self.written = written
        self.present = present
        self.rejected = rejected
    }
}

/// Which batches are settled. Senders finish them in any order; what counts is the position that has all before it settled.
///
/// Invariant: `counts` and the rejects that were given out are those of the batches before `position`, no more and no fewer, so that a
/// run which goes on from a recorded position counts and keeps each record once.
package struct ImportLedger {
    private struct Settled {
        let end: ImportPosition
        let outcome: BatchOutcome
    }

    package private(set) var position: ImportPosition
    package private(set) var counts: ImportCounts
    /// Settled batches behind one that is not.
    private var early: [UInt64: Settled] = [:]

    package init(position: ImportPosition, counts: ImportCounts) {
        self.position = position
        self.counts = counts
    }

    /// Notes a batch, and gives the rejects of all batches that the position passes by it, in the order of the input.
    package mutating func settle(_ number: UInt64, end: ImportPosition, _ outcome: BatchOutcome) -> [Reject] {
        precondition(number >= position.batch && early[number] == nil, "a batch is settled once")
        early[number] = Settled(end: end, outcome: outcome)
        var rejects: [Reject] = []
        while let next = early.removeValue(forKey: position.batch) {
            position = next.end
            counts.written += UInt64(next.outcome.written)
            counts.present += UInt64(next.outcome.present)
            counts.rejected += UInt64(next.outcome.rejects.count)
            // What the node refuses is known after what was not sent.
            rejects += next.outcome.rejects.sorted { $0.record < $1.record }
        }
        return rejects
    }
}
