import NexaStorage
import NexaWire

/// A running query: a scan of the key range that the filter implies, the filter on stored bytes, and what comes out of it.
///
///     scan ──► filter ──┬─► skip, limit ──► projection ──► output        (no sort: streams as it scans)
///                       ├─► sort buffer ──► skip ──► projection ──► output  (sort: collects first, bounded)
///                       └─► count                                          (limit 0)
///
/// Memory is bounded: nothing is kept without a sort, `sortByteCountMax` with one. Work is bounded by the budget of each step, which
/// one thread at a time runs; between steps the cursor may change threads.
package final class QueryCursor {
    private enum Mode {
        case streaming, counting, collecting, popping
    }

    /// Ends the query from any thread.
    package let cancellation = Cancellation()
    /// Documents appended so far.
    package private(set) var returnedCount = 0
    /// Matches seen so far; with limit 0, once done, all matches.
    package private(set) var matchedCount = 0
    /// Documents that the filter looked at so far.
    package private(set) var scannedCount = 0
    /// Which documents it looks at, and how it orders what it finds.
    package let plan: QueryPlan
    /// The position that the query reads: an answer made from it may leave when this is acknowledged.
    package var lsn: LSN { scan.lsn }

    private let scan: CollectionScan
    private let filter: CompiledFilter
    private var progress = FilterProgress()
    private let projection: Projection?
    private let shape: DocumentShape
    private let deadline: UInt64?
    private let limit: Int
    private var skip: Int
    private var mode: Mode
    private var sorted: SortBuffer?

    init(_ engine: Engine, _ collection: Collection, _ spec: QuerySpec) throws(DocumentError) {
        guard spec.skip >= 0 else { throw Self.negative("skip") }
        guard (spec.limit ?? 0) >= 0 else { throw Self.negative("limit") }
        filter = try CompiledFilter.compile(spec.filter)
        projection = try Projection.compile(spec.projection, shape: spec.shape)
        shape = spec.shape
        deadline = spec.deadline
        limit = spec.limit ?? .max
        skip = spec.skip
        let sort = try SortSpec(spec.sort)
        plan = QueryPlan(
            access: QueryPlan.Access(filter.keyRange),
            order: sort.map { $0.isKeyOrder ? .key : .memory } ?? .none, isFiltered: !filter.matchesEverything)
        if limit == 0 {
            mode = .counting
        } else if let sort, !sort.isKeyOrder {
            let (capacity, overflow) = limit.addingReportingOverflow(spec.skip)
            sorted = SortBuffer(spec: sort, capacity: overflow ? .max : capacity, byteCountMax: spec.sortByteCountMax)
            mode = .collecting
        } else {
            mode = .streaming
        }
        scan = CollectionScan(engine, collection, range: filter.keyRange, atLeast: spec.atLeast)
    }

    private static func negative(_ field: String) -> DocumentError {
        DocumentError(.badRequest, "'\(field)' is 0 or more", details: [.init("field", .string(field))])
    }

    /// Appends whole documents to `output`, without a list header, until the budget or the matches are used up. Answers how many
    /// and why it ended. TIMEOUT, CANCELLED and damage are thrown; documents appended by earlier steps stay valid.
    package func next(into output: OutputBytes, budget: StepBudget) throws(DocumentError) -> (count: Int, outcome: StepOutcome) {
        var clock = StepClock(budget, deadline: deadline)
        // Every step looks once, so that a cursor of short steps cannot outlive its deadline.
        _ = try clock.look(cancellation)
        let before = returnedCount
        let outcome: StepOutcome
        switch mode {
        case .streaming:
            outcome = try stream(into: output, budget, &clock)
        case .counting:
            outcome = try eachMatch(&clock) { _ in nil }
        case .collecting:
            outcome = try collect(into: output, budget, &clock)
        case .popping:
            outcome = try pop(into: output, budget, &clock)
        }
        return (returnedCount - before, outcome)
    }

    /// Gives back what a waiting stream need not hold (the engine's memtables and tables); the next step goes on at the same place
    /// of the same snapshot.
    package func park() { scan.park() }

    // MARK: Modes

    /// Scans on: calls `body` for every match, steps past it, and ends with the outcome that `body` named.
    @inline(__always)
    private func eachMatch(
        _ clock: inout StepClock, _ body: (DocumentView) throws(DocumentError) -> StepOutcome?
    ) throws(DocumentError) -> StepOutcome {
        guard let documents = try scan.stand() else { return .done }
        while documents.isValid {
            let value = documents.value
            if try clock.isTimeUp(after: value.count, cancellation) { return .paused }
            let key = DocumentWorker.documentKey(documents.key)
            guard let view = DocumentView(key: key, value: value, lsn: documents.lsn) else { throw Self.damage(key) }
            guard let isMatch = try progress.judge(view.bytes, by: filter, &clock, cancellation) else { return .paused }
            scannedCount += 1
            var outcome: StepOutcome?
            if isMatch {
                matchedCount += 1
                outcome = try body(view)
            }
            try scan.advance(documents)
            if let outcome { return outcome }
        }
        return .done
    }

    private func stream(
        into output: OutputBytes, _ budget: StepBudget, _ clock: inout StepClock
    ) throws(DocumentError) -> StepOutcome {
        guard returnedCount < limit else { return .done }
        let room = OutputRoom(budget, output, returnedCount)
        return try eachMatch(&clock) { view in
            if skip > 0 {
                skip -= 1
                return nil
            }
            emit(view, to: output)
            if returnedCount == limit { return .done }
            return room.isUsedUp(output, returnedCount) ? .full : nil
        }
    }

    private func collect(
        into output: OutputBytes, _ budget: StepBudget, _ clock: inout StepClock
    ) throws(DocumentError) -> StepOutcome {
        let outcome = try eachMatch(&clock) { (view) throws(DocumentError) in
            try sorted!.offer(view)
            return nil
        }
        guard outcome == .done else { return outcome }
        scan.park()
        sorted!.finish()
        mode = .popping
        return try pop(into: output, budget, &clock)
    }

    private func pop(
        into output: OutputBytes, _ budget: StepBudget, _ clock: inout StepClock
    ) throws(DocumentError) -> StepOutcome {
        let room = OutputRoom(budget, output, returnedCount)
        while returnedCount < limit, let view = sorted!.popBest() {
            if skip > 0 { skip -= 1 } else { emit(view, to: output) }
            if room.isUsedUp(output, returnedCount) { return .full }
            if try clock.isTimeUp(after: view.bytes.count, cancellation) { return .paused }
        }
        return .done
    }

    @inline(__always)
    private func emit(_ view: DocumentView, to output: OutputBytes) {
        if let projection {
            projection.append(view, to: output, shape: shape)
        } else {
            view.append(to: output, shape: shape)
        }
        returnedCount += 1
    }

    static func damage(_ key: UnsafeRawBufferPointer) -> DocumentError {
        DocumentError(.corruption, "The stored document '\(key.text)' is empty; run `nexadb check`")
    }
}

/// What a step may still append.
private struct OutputRoom {
    private let countEnd: Int
    private let byteEnd: Int

    init(_ budget: StepBudget, _ output: OutputBytes, _ returnedCount: Int) {
        countEnd = Self.sum(returnedCount, budget.documentCountMax)
        byteEnd = Self.sum(output.byteCount, budget.byteCountMax)
    }

    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }

    @inline(__always)
    func isUsedUp(_ output: OutputBytes, _ returnedCount: Int) -> Bool {
        returnedCount >= countEnd || output.byteCount >= byteEnd
    }
}
