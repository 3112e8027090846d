import NexaStorage
import NexaWire

/// A running exact search. Confined to one thread at a time.
package final class VectorSearch {
    /// The position that the search reads.
    package var lsn: LSN { fatalError("not built yet") }

    /// Scans on within the budget's time; never `full`.
    package func step(budget: StepBudget) throws(DocumentError) -> StepOutcome { fatalError("not built yet") }

    /// Results, best first, once a step answered `done`.
    package var resultCount: Int { fatalError("not built yet") }
    /// Key of a result; valid while the search lives.
    package func key(at index: Int) -> UnsafeRawBufferPointer { fatalError("not built yet") }
    package func score(at index: Int) -> Double { fatalError("not built yet") }
    /// Appends the document of a result in the shape of the spec.
    package func appendDocument(at index: Int, to output: OutputBytes) { fatalError("not built yet") }
}
