import NexaStorage
import NexaWire

/// A running query. Confined to one thread at a time; `cancel` may be called from any.
package final class QueryCursor {
    /// Documents appended so far.
    package var returnedCount: Int { fatalError("not built yet") }
    /// Matches seen so far; with limit 0, once done, all matches.
    package var matchedCount: Int { fatalError("not built yet") }
    /// The position that the query reads: an answer made from it may leave when this is durable.
    package var lsn: LSN { fatalError("not built yet") }

    /// Appends whole documents to `output`, without a list header, until the budget or the matches are used up. Answers how many
    /// and why it ended. TIMEOUT, CANCELLED and damage are thrown; documents appended by earlier steps stay valid.
    package func next(into output: OutputBytes, budget: StepBudget) throws(DocumentError) -> (count: Int, outcome: StepOutcome) {
        fatalError("not built yet")
    }

    /// Gives back what a waiting stream need not hold (the engine's memtables and tables); the next step goes on at the same place
    /// of the same snapshot.
    package func park() { fatalError("not built yet") }
}
