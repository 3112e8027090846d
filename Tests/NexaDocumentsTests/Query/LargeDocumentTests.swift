import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// One document of very many fields under a request of very many names: no step holds its thread for long.
struct LargeDocumentTests {
    private static let fieldCount = 100_000
    private let test: TestStore
    private let things: Collection

    init() throws {
        test = try TestStore()
        things = try test.collection()
        try test.create(
            .map([.init("_id", "k")] + (0..<Self.fieldCount).map { .init("f\($0)", .int(Int64($0))) }), in: things)
    }

    /// `count` conditions that each walk the whole document, then one that holds.
    private func conditions(_ count: Int) -> MessagePackValue {
        ["$or": .array((0..<count).map { ["missing\($0)": 1] } + [["f\(Self.fieldCount - 1)": .int(Int64(Self.fieldCount - 1))]])]
    }

    @Test func aStepPausesWithinADocumentAndTheNextGoesOnThere() throws {
        let cursor = try test.makeQuery(conditions(200), in: things) { $0.limit = 0 }
        var pauseCount = 0
        while try cursor.next(into: OutputBytes(), budget: StepBudget(nanoseconds: 1_000_000)).outcome != .done {
            pauseCount += 1
            cursor.park()
        }
        #expect(pauseCount > 10)
        #expect(cursor.matchedCount == 1 && cursor.scannedCount == 1)
    }

    @Test func theDeadlineAndACancelHoldWithinADocument() throws {
        let late = try test.makeQuery(conditions(450), in: things) {
            $0.deadline = MonotonicTime.nanoseconds() + 20_000_000
        }
        #expect(errorOf { while try late.next(into: OutputBytes(), budget: StepBudget()).outcome != .done {} }?.code == .timeout)

        let cancelled = try test.makeQuery(conditions(200), in: things)
        #expect(try cancelled.next(into: OutputBytes(), budget: StepBudget(nanoseconds: 1_000_000)).outcome == .paused)
        cancelled.cancellation.cancel()
        #expect(errorOf { _ = try cancelled.next(into: OutputBytes(), budget: StepBudget()) }?.code == .cancelled)
    }

    @Test func aSearchPausesWithinADocument() throws {
        let vector: MessagePackValue = [1, 2]
        _ = try test.update("k", ["vector": vector], in: things)
        let pauses = try withBytes(conditions(200)) { filter in
            try withBytes(vector) { vector in
                var spec = VectorSearchSpec(vector: vector)
                spec.filter = filter
                spec.atLeast = test.engine.appliedLSN
                let search = try test.worker.makeVectorSearch(things, spec)
                var count = 0
                while try search.step(budget: StepBudget(nanoseconds: 1_000_000)) != .done { count += 1 }
                #expect(search.resultCount == 1)
                return count
            }
        }
        #expect(pauses > 10)
    }

    @Test func theCostOfAProjectionDoesNotGrowWithItsNames() throws {
        func milliseconds(_ nameCount: Int) throws -> Double {
            let names = (0..<nameCount - 1).map { MessagePackValue.string("missing\($0)") } + ["f7"]
            let start = threadMilliseconds()
            let found = try test.query(projection: .array(names), in: things)
            let time = threadMilliseconds() - start
            #expect(found == [["_id": "k", "f7": 7]])
            return time
        }
        let few = try (0..<3).map { _ in try milliseconds(8) }.min()!
        let many = try (0..<3).map { _ in try milliseconds(990) }.min()!
        #expect(many < 10 * few, "8 names \(few) ms, 990 names \(many) ms")
    }

    @Test func aProjectionOfManyNamesFindsThemOnEveryLevel() throws {
        let names = (0..<300).map { "n\($0)" }
        let level = MessagePackValue.map(names.map { .init($0, 1) })
        try test.create(["_id": "deep", "m": level, "l": [level, 7], "n3": 3, "rest": 0], in: things)
        let paths = names.flatMap { ["m.\($0)", "l.\($0)"] }.filter { !$0.hasSuffix("9") } + ["n3", "x"]
        let included = try test.query(["_id": "deep"], projection: .array(paths.map { .string($0) }), in: things)
        let kept = MessagePackValue.map(names.filter { !$0.hasSuffix("9") }.map { .init($0, 1) })
        #expect(included == [["_id": "deep", "m": kept, "l": [kept], "n3": 3]])
        let excluded = try test.query(["_id": "deep"], projection: .map(paths.map { .init($0, 0) }), in: things)
        let left = MessagePackValue.map(names.filter { $0.hasSuffix("9") }.map { .init($0, 1) })
        #expect(excluded.map { $0.withoutTimestamps } == [["_id": "deep", "m": left, "l": [left, 7], "rest": 0]])
    }
}
