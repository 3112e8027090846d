import CSupport
import NexaStorage
import NexaWire

/// A running exact search: a scan of the filter's key range, the filter, then the kernel, and a heap of the best.
///
/// The filter runs before anything is cut, so k results come if k documents match and have a vector. Documents without a
/// vector at the path, or with one of other dimensions, are no candidates. Equal scores keep key order.
/// Memory: the query, one gathered vector, and the documents of the best `limit` so far, bounded by `resultByteCountMax`.
/// Confined to one thread at a time.
package final class VectorSearch {
    /// Ends the search from any thread.
    package let cancellation = Cancellation()
    /// The position that the search reads.
    package var lsn: LSN { scan.lsn }
    /// Candidates that were scored so far.
    package private(set) var scoredCount = 0

    private let scan: CollectionScan
    private let filter: CompiledFilter
    private var progress = FilterProgress()
    private let path: FieldPath
    private let isDefaultField: Bool
    private let shape: DocumentShape
    private let deadline: UInt64?
    private let query: VectorQuery
    private let gathered: VectorBuffer
    private var results: VectorResults

    init(_ engine: Engine, _ collection: Collection, _ spec: VectorSearchSpec) throws(DocumentError) {
        guard (0...VectorSearchSpec.limitMax).contains(spec.limit) else {
            throw DocumentError(
                .badRequest, "'limit' of a vector search is 0 to \(VectorSearchSpec.limitMax)", details: [.init("field", "limit")]
            )
        }
        filter = try CompiledFilter.compile(spec.filter)
        isDefaultField = spec.field.count == 0 || spec.field.text == "vector"
        path = try FieldPath(request: isDefaultField ? Self.defaultField : spec.field, field: "field")
        query = try VectorQuery(spec.vector, metric: spec.metric)
        if isDefaultField, let expected = collection.vectorDimensions, expected != query.dimensions {
            throw VectorField.mismatch(expected: expected, actual: query.dimensions)
        }
        gathered = VectorBuffer(capacity: query.dimensions)
        shape = spec.shape
        deadline = spec.deadline
        results = VectorResults(capacity: spec.limit, byteCountMax: spec.resultByteCountMax)
        scan = CollectionScan(engine, collection, range: filter.keyRange, atLeast: spec.atLeast)
    }

    private static var defaultField: UnsafeRawBufferPointer {
        let name: StaticString = "vector"
        return UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    }

    /// Scans on within the budget's time; never `full`.
    package func step(budget: StepBudget) throws(DocumentError) -> StepOutcome {
        var clock = StepClock(budget, deadline: deadline)
        _ = try clock.look(cancellation)
        guard let documents = try scan.stand() else { return finish() }
        while documents.isValid {
            let value = documents.value
            if try clock.isTimeUp(after: value.count, cancellation) { return .paused }
            let key = DocumentWorker.documentKey(documents.key)
            guard let view = DocumentView(key: key, value: value, lsn: documents.lsn) else { throw QueryCursor.damage(key) }
            guard try consider(view, &clock) else { return .paused }
            try scan.advance(documents)
        }
        return finish()
    }

    /// False if the step's time is up within the document.
    @inline(__always)
    private func consider(_ document: DocumentView, _ clock: inout StepClock) throws(DocumentError) -> Bool {
        if isDefaultField && !document.flags.contains(.vector) { return true }
        guard let isMatch = try progress.judge(document.bytes, by: filter, &clock, cancellation) else { return false }
        guard isMatch, let value = path.find(in: document.bytes),
            nexa_vector_dimensions(value.baseAddress, value.count) == query.dimensions,
            gathered.gather(value, dimensions: query.dimensions) == NEXA_VECTOR_OK
        else { return true }
        scoredCount += 1
        try results.offer(document, score: query.score(gathered.floats))
        return true
    }

    private func finish() -> StepOutcome {
        scan.park()
        results.finish()
        return .done
    }

    // MARK: Results

    /// Results, best first, once a step answered `done`.
    package var resultCount: Int { results.count }
    /// Key of a result; valid while the search lives.
    package func key(at index: Int) -> UnsafeRawBufferPointer { results.document(at: index).key }
    /// The larger, the nearer: see `VectorMetric`.
    package func score(at index: Int) -> Double { results.score(at: index) }
    /// Appends the document of a result in the shape of the spec.
    package func appendDocument(at index: Int, to output: OutputBytes) {
        results.document(at: index).append(to: output, shape: shape)
    }
}
