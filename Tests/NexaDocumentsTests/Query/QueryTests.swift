import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct QueryTests {
    private func numbered(_ count: Int) throws -> (TestStore, Collection) {
        let test = try TestStore()
        let things = try test.collection()
        let documents = (0..<count).map { index -> MessagePackValue in
            ["_id": .string(String("k\(1_000_000 + index)")), "n": .int(Int64(index)), "even": .bool(index % 2 == 0)]
        }
        _ = try test.batch(documents: documents, in: things)
        return (test, things)
    }

    private func numbers(_ documents: [MessagePackValue]) -> [Int64] { documents.compactMap { $0["n"]?.intValue } }

    @Test func answersAllInKeyOrder() throws {
        let (test, things) = try numbered(300)
        #expect(numbers(try test.query(in: things)) == Array(0..<300))
        #expect(numbers(try test.query([:], in: things)) == Array(0..<300))
    }

    @Test func neverShowsAnotherCollection() throws {
        let (test, things) = try numbered(10)
        let before = try test.collection("aaa")
        let after = try test.collection("zzz")
        try test.create(["_id": "k1000003", "n": 99], in: before)
        try test.create(["_id": "k1000003", "n": 99], in: after)
        #expect(numbers(try test.query(in: things)) == Array(0..<10))
        #expect(numbers(try test.query(["_id": "k1000003"], in: things)) == [3])
    }

    @Test func filtersSkipsAndLimits() throws {
        let (test, things) = try numbered(100)
        #expect(numbers(try test.query(["even": true, "n": ["$gte": 90]], in: things)) == [90, 92, 94, 96, 98])
        #expect(numbers(try test.query(["even": true], in: things) { $0.limit = 3 }) == [0, 2, 4])
        #expect(numbers(try test.query(["even": true], in: things) { ($0.skip, $0.limit) = (2, 2) }) == [4, 6])
        #expect(numbers(try test.query(in: things) { $0.skip = 97 }) == [97, 98, 99])
        #expect(numbers(try test.query(in: things) { $0.skip = 100 }).isEmpty)
        #expect(errorOf { _ = try test.query(in: things) { $0.skip = -1 } }?.code == .badRequest)
        #expect(errorOf { _ = try test.query(in: things) { $0.limit = -1 } }?.code == .badRequest)
    }

    @Test func limitZeroCountsWithoutDocuments() throws {
        let (test, things) = try numbered(100)
        let cursor = try test.makeQuery(["even": true], in: things) { $0.limit = 0 }
        let output = OutputBytes()
        while try cursor.next(into: output, budget: StepBudget()).outcome != .done {}
        #expect(output.isEmpty)
        #expect(cursor.matchedCount == 50)
        #expect(try test.count(in: things) == 100)
        #expect(try test.count(["n": ["$lt": 10]], in: things) == 10)
    }

    @Test func scansOnlyTheKeysThatTheFilterAllows() throws {
        let (test, things) = try numbered(1000)
        let cursor = try test.makeQuery(["_id": ["$gte": "k1000990", "$lt": "k1000995"]], in: things)
        let output = OutputBytes()
        while try cursor.next(into: output, budget: StepBudget()).outcome != .done {}
        #expect(numbers(try output.values()) == [990, 991, 992, 993, 994])
        #expect(cursor.scannedCount <= 6)
        #expect(try test.query(["_id": ["$gt": "z", "$lt": "a"]], in: things).isEmpty)
    }

    /// Keys that the filter names are looked up, whatever lies between them, and whether they are there or not.
    @Test(arguments: [false, true]) func looksUpTheKeysThatTheFilterNames(isFlushed: Bool) throws {
        let (test, things) = try numbered(1000)
        if isFlushed { try test.engine.flush() }
        let named: [MessagePackValue] = ["k1000999", "k1000000", "k1000500", "k1000500x", "k1000501", "zzz", "k1000007", "a"]
        for size in [1, 3, 100] {
            let cursor = try test.makeQuery(["_id": ["$in": .array(named)]], in: things)
            let output = OutputBytes()
            // Whatever the steps are, and though the scan is put away between them.
            while try cursor.next(into: output, budget: StepBudget(documentCountMax: size)).outcome != .done { cursor.park() }
            #expect(numbers(try output.values()) == [0, 7, 500, 501, 999])
            #expect(cursor.scannedCount <= 2 * named.count, "\(cursor.scannedCount) documents for \(named.count) keys")
            #expect(cursor.plan == QueryPlan(access: .keys(8), order: .none, isFiltered: true))
        }
        #expect(try test.count(["_id": ["$in": .array(named)], "even": true], in: things) == 2)
        let nothing = try test.makeQuery(["_id": ["$in": []]], in: things)
        #expect(try nothing.next(into: OutputBytes(), budget: StepBudget()).outcome == .done)
        #expect(nothing.scannedCount == 0 && nothing.plan.access == .nothing)
    }

    @Test func namesKeysAtRandomAndFindsWhatIsThere() throws {
        let (test, things) = try numbered(400)
        var random = SeededGenerator(seed: SeededGenerator.seed(default: 11))
        for _ in 0..<200 {
            let wanted = (0..<random.below(40)).map { _ in random.below(800) }
            let names = wanted.map { MessagePackValue.string("k\(1_000_000 + $0)") }
            let expected = Set(wanted.filter { $0 < 400 }).sorted().map { Int64($0) }
            #expect(numbers(try test.query(["_id": ["$in": .array(names)]], in: things)) == expected)
            #expect(
                numbers(try test.query(["_id": ["$in": .array(names), "$gte": "k1000200"]], in: things))
                    == expected.filter { $0 >= 200 })
        }
    }

    @Test func tellsHowItFindsItsDocuments() throws {
        let (test, things) = try numbered(10)
        func plan(_ filter: MessagePackValue = .null, sort: MessagePackValue = .null) throws -> QueryPlan {
            try test.makeQuery(filter, sort: sort, in: things).plan
        }
        #expect(try plan() == QueryPlan(access: .collection, order: .none, isFiltered: false))
        #expect(try plan(["n": 1], sort: ["n": -1]) == QueryPlan(access: .collection, order: .memory, isFiltered: true))
        #expect(try plan(sort: ["_id": 1]) == QueryPlan(access: .collection, order: .key, isFiltered: false))
        #expect(
            try plan(["_id": ["$gte": "b"]])
                == QueryPlan(access: .range(lower: Array("b".utf8), upper: nil), order: .none, isFiltered: true))
    }

    @Test func namesBadFilters() throws {
        let (test, things) = try numbered(1)
        #expect(errorOf { _ = try test.query(["n": ["$frob": 1]], in: things) }?.code == .badFilter)
    }

    @Test func chunksAreBoundedAndLoseNothing() throws {
        let (test, things) = try numbered(500)
        let cursor = try test.makeQuery(in: things)
        var seen: [Int64] = []
        var chunks = 0
        while true {
            let output = OutputBytes()
            let step = try cursor.next(into: output, budget: StepBudget(documentCountMax: 7, byteCountMax: .max))
            let documents = try output.values()
            #expect(documents.count == step.count && step.count <= 7)
            seen += numbers(documents)
            chunks += 1
            if step.outcome == .done { break }
        }
        #expect(seen == Array(0..<500))
        #expect(chunks >= 72)
        #expect(cursor.returnedCount == 500)
    }

    @Test func chunksEndSoonAfterTheirBytes() throws {
        let (test, things) = try numbered(500)
        let cursor = try test.makeQuery(in: things)
        let output = OutputBytes()
        let step = try cursor.next(into: output, budget: StepBudget(byteCountMax: 1000))
        #expect(step.outcome == .full)
        #expect(output.byteCount >= 1000 && output.byteCount < 1200)
    }

    @Test func pausesWhenTheTimeIsUpAndGoesOn() throws {
        let (test, things) = try numbered(1000)
        let cursor = try test.makeQuery(["n": ["$gte": 995]], in: things)
        let output = OutputBytes()
        var pauses = 0
        while try cursor.next(into: output, budget: StepBudget(nanoseconds: 0)).outcome == .paused { pauses += 1 }
        #expect(pauses > 5)
        #expect(numbers(try output.values()) == [995, 996, 997, 998, 999])
    }

    @Test func readsOneSnapshotWhateverHappensBetweenChunks() throws {
        let (test, things) = try numbered(200)
        try test.engine.waitDurable(test.engine.appliedLSN)
        for parks in [false, true] {
            let cursor = try test.makeQuery(in: things)
            let output = OutputBytes()
            _ = try cursor.next(into: output, budget: StepBudget(documentCountMax: 50))
            if parks { cursor.park() }
            _ = try test.delete("k1000100", in: things)
            _ = try test.update("k1000150", ["n": -1], in: things)
            try test.create(["_id": "k1000150b", "n": -2], in: things)
            try test.engine.waitDurable(test.engine.appliedLSN)
            while try cursor.next(into: output, budget: StepBudget(documentCountMax: 50)).outcome != .done {
                if parks { cursor.park() }
            }
            #expect(numbers(try output.values()) == Array(0..<200))
            _ = try test.delete("k1000150b", in: things)
            _ = try test.update("k1000150", ["n": 150], in: things)
            try test.create(["_id": "k1000100", "n": 100], in: things)
            try test.engine.waitDurable(test.engine.appliedLSN)
        }
    }

    /// Ahead of what others see: behind a write of its own connection that is in memory only.
    @Test func aParkedScanHoldsNoTablesThoughItReadsAhead() throws {
        var options = EngineOptions(memoryByteCount: 64 << 20)
        options.segmentByteCount = 1 << 20
        options.backgroundWork = .manual
        let test = try TestStore(options: options)
        let things = try test.collection()
        for number in 0..<100 { try test.create(["_id": .string("k\(100 + number)"), "n": .int(Int64(number))], in: things) }
        try test.engine.waitDurable(test.engine.appliedLSN)
        try test.engine.flush()
        try test.create(["_id": "k999", "n": 100], in: things)
        #expect(test.engine.visibleLSN < test.engine.appliedLSN)

        let cursor = try test.makeQuery(in: things)
        let output = OutputBytes()
        _ = try cursor.next(into: output, budget: StepBudget(documentCountMax: 10))
        cursor.park()
        let tables = try test.tableNames()
        #expect(!tables.isEmpty)
        _ = try test.delete("k999", in: things)
        for round in 1...8 {
            for number in 0..<100 { _ = try test.update("k\(100 + number)", ["n": .int(Int64(-round))], in: things) }
            try test.engine.waitDurable(test.engine.appliedLSN)
            try test.engine.flush()
        }
        test.worker.release()
        try test.engine.compactAll()
        #expect(try test.tableNames().isDisjoint(with: tables))
        while try cursor.next(into: output, budget: StepBudget(documentCountMax: 10)).outcome != .done { cursor.park() }
        #expect(numbers(try output.values()) == Array(0...100))
    }

    @Test func endsWhenCancelledOrLate() throws {
        let (test, things) = try numbered(10)
        let cancelled = try test.makeQuery(in: things)
        cancelled.cancellation.cancel()
        #expect(errorOf { _ = try cancelled.next(into: OutputBytes(), budget: StepBudget()) }?.code == .cancelled)
        let late = try test.makeQuery(in: things) { $0.deadline = 1 }
        #expect(errorOf { _ = try late.next(into: OutputBytes(), budget: StepBudget()) }?.code == .timeout)
    }

    @Test func seesWritesOfItsOwnConnectionBeforeTheyAreDurable() throws {
        let (test, things) = try numbered(3)
        let lsn = try test.createResult(["_id": "k2", "n": 3], in: things).lsn
        let cursor = try test.makeQuery(in: things) { $0.atLeast = lsn }
        #expect(cursor.lsn >= lsn)
        let output = OutputBytes()
        _ = try cursor.next(into: output, budget: StepBudget())
        #expect(numbers(try output.values()) == [0, 1, 2, 3])
    }

    @Test func addsTheIDOfThePlainDialect() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "a", "n": 1], in: things)
        try test.create(["_id": "b", "id": "own"], in: things)
        let plain = try test.query(in: things) { $0.shape = .plain }
        #expect(plain.map { $0["id"] } == ["a", "own"])
        #expect(plain[0].fieldNames == ["id", "_id", "_created_at", "_updated_at", "n"])
        #expect(try test.query(in: things).map { $0["id"] } == [nil, "own"])
    }

    @Test func leavesVectorsOutWhereTheDialectDoes() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "a", "n": 1, "vector": [1, 2], "m": 2], in: things)
        #expect(try test.query(in: things) { $0.shape = .envelope }[0].withoutTimestamps == ["_id": "a", "n": 1, "m": 2])
        #expect(try test.query(in: things)[0]["vector"] == [1, 2])
        let asked = try test.query(projection: ["vector": 1], in: things) { $0.shape = .envelope }
        #expect(asked == [["_id": "a", "vector": [1, 2]]])
        let excluding = try test.query(projection: ["n": 0], in: things) { $0.shape = .envelope }
        #expect(excluding[0].withoutTimestamps == ["_id": "a", "m": 2])
    }

    @Test func addsTheRevisionWhenAsked() throws {
        let test = try TestStore()
        let things = try test.collection()
        let lsn = try test.createResult(["_id": "a", "n": 1], in: things).lsn
        let found = try test.query(in: things) { $0.shape = .addsRevision }
        #expect(found[0]["_rev"] == .int(Int64(lsn)))
        #expect(
            try test.query(projection: ["n": 1], in: things) { $0.shape = .addsRevision } == [
                ["_id": "a", "n": 1, "_rev": .int(Int64(lsn))]
            ])
    }

    @Test func agreesWithAPlainEvaluationOfRandomFilters() throws {
        let seed = SeededGenerator.seed(default: 20_261_122)
        var random = SeededGenerator(seed: seed)
        let test = try TestStore()
        let things = try test.collection()
        let documents = (0..<200).map { index in RandomDocuments.document("k\(1000 + index)", &random) }
        _ = try test.batch(documents: documents, in: things)
        for _ in 0..<400 {
            let filter = RandomDocuments.filter(&random, depth: 2)
            let expected = documents.filter { FilterModelTests.Model.matches(filter, $0) }.map(\.id)
            let found = try test.query(filter, in: things).map(\.id)
            #expect(found == expected, "seed \(seed), filter \(filter)")
        }
    }
}
