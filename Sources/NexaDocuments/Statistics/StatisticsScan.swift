import NexaStorage

/// What a collection holds.
package struct CollectionStatistics: Sendable, Equatable {
    package var documentCount = 0
    /// Bytes of keys and documents as stored, before compression.
    package var byteCount = 0

    package init() {}
}

/// A running count of documents and bytes, one collection after the other, at one position. Confined to one thread at a time.
package final class StatisticsScan {
    /// Ends the scan from any thread.
    package let cancellation = Cancellation()
    /// The position that the scan reads.
    package var lsn: LSN { scans.first?.lsn ?? atLeast }
    /// One entry for each collection of the request, complete once a step answered `done`.
    package private(set) var statistics: [CollectionStatistics]

    private let atLeast: LSN
    private let deadline: UInt64?
    private let scans: [CollectionScan]
    private var current = 0

    init(_ engine: Engine, _ collections: [Collection], atLeast: LSN, deadline: UInt64?) {
        self.atLeast = atLeast
        self.deadline = deadline
        statistics = collections.map { _ in CollectionStatistics() }
        var lsn = atLeast
        scans = collections.map { collection in
            let scan = CollectionScan(engine, collection, atLeast: lsn)
            lsn = scan.lsn
            return scan
        }
    }

    /// Scans on within the budget's time; never `full`.
    package func step(budget: StepBudget) throws(DocumentError) -> StepOutcome {
        var clock = StepClock(budget, deadline: deadline)
        _ = try clock.look(cancellation)
        while current < scans.count {
            if let documents = try scans[current].stand() {
                while documents.isValid {
                    let byteCount = documents.value.count
                    if try clock.isTimeUp(after: byteCount, cancellation) { return .paused }
                    statistics[current].documentCount += 1
                    statistics[current].byteCount += documents.key.count - Collection.prefixByteCount + byteCount
                    try scans[current].advance(documents)
                }
            }
            scans[current].park()
            current += 1
        }
        return .done
    }
}
