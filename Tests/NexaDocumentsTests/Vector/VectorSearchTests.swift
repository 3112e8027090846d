import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct VectorSearchTests {
    struct Hit: Equatable {
        var id: String
        var score: Double
        var document: MessagePackValue
    }

    private func search(
        _ test: TestStore, _ things: Collection, _ vector: MessagePackValue, filter: MessagePackValue = .null,
        field: String = "", budget: StepBudget = StepBudget(), _ adjust: (inout VectorSearchSpec) -> Void = { _ in }
    ) throws -> [Hit] {
        try withBytes(vector) { vector in
            try withBytes(filter) { filter in
                try withBytes(field) { field in
                    var spec = VectorSearchSpec(vector: vector)
                    spec.filter = filter
                    spec.field = field
                    spec.atLeast = test.engine.appliedLSN
                    adjust(&spec)
                    let search = try test.worker.makeVectorSearch(things, spec)
                    while try search.step(budget: budget) != .done {}
                    return try (0..<search.resultCount).map { index in
                        let output = OutputBytes()
                        search.appendDocument(at: index, to: output)
                        return Hit(
                            id: search.key(at: index).string, score: search.score(at: index), document: try output.values()[0])
                    }
                }
            }
        }
    }

    private func floats(_ numbers: [Float]) -> MessagePackValue {
        .binary(numbers.flatMap { number in withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) } })
    }

    @Test func answersTheCosineOfExistingClients() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "a", "t": "A", "vector": [0.9, 0.15, 0.97, 0.5]], in: things)
        try test.create(["_id": "b", "vector": [-0.9, -0.15, -0.97, -0.5]], in: things)
        let hits = try search(test, things, [0.5, 0.2, 0.98, 0.5]) { $0.shape = .envelope }
        #expect(hits.map(\.id) == ["a", "b"])
        #expect(abs(hits[0].score - 0.9645395) < 1e-5)
        #expect(abs(hits[1].score + 0.9645395) < 1e-5)
        #expect(hits[0].document.withoutTimestamps == ["_id": "a", "t": "A"])
    }

    @Test func findsTheSameAsAPlainSortForEachMetric() throws {
        let seed = SeededGenerator.seed(default: 11)
        var random = SeededGenerator(seed: seed)
        let test = try TestStore()
        let things = try test.collection()
        let vectors = (0..<300).map { _ in (0..<20).map { _ in Float(random.below(2000)) / 1000 - 1 } }
        let documents = vectors.enumerated().map { index, vector -> MessagePackValue in
            let value = index % 2 == 0 ? floats(vector) : .array(vector.map { .double(Double($0)) })
            return ["_id": .string("k\(1000 + index)"), "vector": value, "even": .bool(index % 2 == 0)]
        }
        _ = try test.batch(documents: documents, in: things)
        let query = (0..<20).map { _ in Float(random.below(2000)) / 1000 - 1 }
        for metric in VectorMetric.allCases {
            for onlyEven in [false, true] {
                let expected = vectors.indices.filter { !onlyEven || $0 % 2 == 0 }
                    .map { (index: $0, score: Self.score(metric, query, vectors[$0])) }
                    .sorted { $0.score > $1.score }.prefix(15)
                let hits = try search(
                    test, things, floats(query), filter: onlyEven ? ["even": true] : .null, budget: StepBudget(nanoseconds: 0)
                ) { ($0.limit, $0.metric) = (15, metric) }
                #expect(hits.map(\.id) == expected.map { "k\(1000 + $0.index)" }, "seed \(seed), \(metric)")
                for (hit, wanted) in zip(hits, expected) { #expect(abs(hit.score - wanted.score) < 1e-4) }
            }
        }
    }

    private static func score(_ metric: VectorMetric, _ a: [Float], _ b: [Float]) -> Double {
        let pairs = zip(a, b).map { (Double($0), Double($1)) }
        let dot = pairs.reduce(0) { $0 + $1.0 * $1.1 }
        switch metric {
        case .dot: return dot
        case .cosine:
            return dot / (pairs.reduce(0) { $0 + $1.0 * $1.0 }.squareRoot() * pairs.reduce(0) { $0 + $1.1 * $1.1 }.squareRoot())
        case .l2: return -pairs.reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
        }
    }

    @Test func vectorsBeyondTheRangeOfTheirSquaresAreScoredAndOrdered() throws {
        let test = try TestStore()
        let things = try test.collection()
        let vectors: [[Float]] = [[3e38, -3e38], [1, 0], [0.9, 0.1], [1e-30, 0], [0, 1], [0, 0]]
        for (index, vector) in vectors.enumerated() {
            try test.create(["_id": .string("k\(index)"), "vector": floats(vector)], in: things)
        }
        for query in [[3e38, 3e38], [1e-30, 0], [1, 0], [2e-30, -1e-38], [0, 0]] as [[Float]] {
            for metric in VectorMetric.allCases {
                let expected = vectors.indices
                    .map { (id: "k\($0)", score: Self.score(metric, query, vectors[$0])) }
                    .map { (id: $0.id, score: $0.score.isNaN ? 0 : $0.score) }
                for limit in [1, 10] {
                    let hits = try search(test, things, floats(query)) { ($0.limit, $0.metric) = (limit, metric) }
                    let context = Comment(rawValue: "\(metric) with \(query), limit \(limit): \(hits.map { ($0.id, $0.score) })")
                    #expect(hits.count == min(limit, vectors.count), context)
                    for hit in hits {
                        let wanted = try #require(expected.first { $0.id == hit.id }).score
                        #expect(abs(hit.score - wanted) <= 1e-6 * abs(wanted), context)
                    }
                    let best = expected.map(\.score).sorted(by: >)
                    #expect(zip(hits, best).allSatisfy { abs($0.score - $1) <= 1e-6 * abs($1) }, context)
                }
            }
        }
    }

    @Test func filtersBeforeTheCut() throws {
        let test = try TestStore()
        let things = try test.collection()
        _ = try test.batch(
            documents: (0..<100).map { ["n": .int($0), "vector": [.double(1), .double(Double($0) / 100)]] }, in: things)
        let hits = try search(test, things, [1, 0], filter: ["n": ["$gte": 95]]) { $0.limit = 5 }
        #expect(hits.compactMap { $0.document["n"]?.intValue } == [95, 96, 97, 98, 99])
    }

    @Test func equalScoresKeepKeyOrderAndMissingVectorsAreNoCandidates() throws {
        let test = try TestStore()
        let things = try test.collection()
        for key in ["c", "a", "b"] { try test.create(["_id": .string(key), "vector": [1, 1]], in: things) }
        try test.create(["_id": "none"], in: things)
        try test.create(["_id": "text", "vector": "text"], in: things)
        try test.create(["_id": "zero", "vector": [0, 0]], in: things)
        #expect(try search(test, things, [2, 2]).map(\.id) == ["a", "b", "c", "zero"])
        #expect(try search(test, things, [2, 2]) { $0.limit = 2 }.map(\.id) == ["a", "b"])
        #expect(try search(test, things, [2, 2]) { $0.limit = 0 }.isEmpty)
        #expect(try search(test, things, [2, 2]).last?.score == 0)
    }

    @Test func searchesOtherFields() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "a", "m": ["e": [1, 0]]], in: things)
        try test.create(["_id": "b", "m": ["e": [0, 1]]], in: things)
        try test.create(["_id": "c", "m": ["e": [0, 1, 2]]], in: things)
        #expect(try search(test, things, [0, 1], field: "m.e").map(\.id) == ["b", "a"])
    }

    @Test func refusesQueriesThatFitNothing() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["vector": [1, 2, 3]], in: things)
        let mismatch = errorOf { _ = try search(test, things, [1, 2]) }
        #expect(mismatch?.message == "Vector dimension mismatch: collection expects 3 dimensions, got 2")
        for vector in ["text", [], ["x"], nil, [.double(.nan)], 7] as [MessagePackValue] {
            #expect(errorOf { _ = try search(test, things, vector) }?.code == .badRequest, "\(vector)")
        }
        #expect(errorOf { _ = try search(test, things, [1, 2, 3]) { $0.limit = -1 } }?.code == .badRequest)
        #expect(errorOf { _ = try search(test, things, [1, 2, 3], filter: ["a": ["$x": 1]]) }?.code == .badFilter)
    }

    @Test func memoryOfTheResultsIsBounded() throws {
        let test = try TestStore()
        let things = try test.collection()
        let pad = MessagePackValue.string(String(repeating: "p", count: 10_000))
        for batch in 0..<5 {
            _ = try test.batch(
                documents: (0..<100).map { ["vector": [.double(1), .double(Double(batch * 100 + $0))], "pad": pad] }, in: things)
        }
        let error = errorOf {
            _ = try search(test, things, [0, 1]) { ($0.limit, $0.resultByteCountMax) = (500, 1 << 20) }
        }
        #expect(error?.code == .resultTooLarge)
        #expect(try search(test, things, [0, 1]) { ($0.limit, $0.resultByteCountMax) = (50, 1 << 20) }.count == 50)
    }
}
