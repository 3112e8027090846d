import NexaStorage

/// What a collection holds.
package struct CollectionStatistics: Sendable {
    package var documentCount = 0
    /// Bytes of keys and documents as stored, before compression.
    package var byteCount = 0
}

/// A running count of documents and bytes. Confined to one thread at a time.
package final class StatisticsScan {
    /// The position that the scan reads.
    package var lsn: LSN { fatalError("not built yet") }
    /// One entry for each collection of the request, complete once a step answered `done`.
    package var statistics: [CollectionStatistics] { fatalError("not built yet") }

    /// Scans on within the budget's time; never `full`.
    package func step(budget: StepBudget) throws(DocumentError) -> StepOutcome { fatalError("not built yet") }
}
