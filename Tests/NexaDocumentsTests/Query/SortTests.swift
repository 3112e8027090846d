import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct SortTests {
    private func make(_ documents: [MessagePackValue]) throws -> (TestStore, Collection) {
        let test = try TestStore()
        let things = try test.collection()
        _ = try test.batch(documents: documents, in: things)
        return (test, things)
    }

    private func ids(_ documents: [MessagePackValue]) -> String { documents.map(\.id).joined() }

    @Test func takesEveryFormOfOrder() throws {
        let (test, things) = try make([
            ["_id": "a", "n": 2, "m": 1], ["_id": "b", "n": 1, "m": 1], ["_id": "c", "n": 3, "m": 0],
        ])
        for sort in ["n", ["n": 1], [["n", 1]], [["n", "asc"]], ["n"], ["n": 1.0]] as [MessagePackValue] {
            #expect(ids(try test.query(sort: sort, in: things)) == "bac", "\(sort)")
        }
        for sort in ["-n", ["n": -1], [["n", -1]], [["n", "desc"]], ["-n"]] as [MessagePackValue] {
            #expect(ids(try test.query(sort: sort, in: things)) == "cab", "\(sort)")
        }
        #expect(ids(try test.query(sort: ["m": 1, "n": -1], in: things)) == "cab")
        #expect(ids(try test.query(sort: ["_id": -1], in: things)) == "cba")
        #expect(ids(try test.query(sort: ["_id": 1], in: things) { $0.limit = 2 }) == "ab")
        for sort in [7, ["n": 2], ["n": "up"], [["n"]], "", [["n", 1, 2]], ["n": nil]] as [MessagePackValue] {
            #expect(errorOf { _ = try test.query(sort: sort, in: things) }?.code == .badRequest, "\(sort)")
        }
    }

    @Test func ordersMixedValuesMissingFieldsAndArrays() throws {
        let (test, things) = try make([
            ["_id": "a", "v": "text"], ["_id": "b"], ["_id": "c", "v": 2.5], ["_id": "d", "v": [9, 1]], ["_id": "e", "v": []],
            ["_id": "f", "v": nil], ["_id": "g", "v": 2],
        ])
        #expect(ids(try test.query(sort: ["v": 1], in: things)) == "ebfdgca")
        #expect(ids(try test.query(sort: ["v": -1], in: things)) == "adcgbfe")
    }

    @Test func sortsByNestedPaths() throws {
        let (test, things) = try make([["_id": "a", "m": ["x": 2]], ["_id": "b", "m": ["x": 1]], ["_id": "c", "m": 7]])
        #expect(ids(try test.query(sort: ["m.x": 1], in: things)) == "cba")
    }

    @Test func equalKeysKeepKeyOrder() throws {
        let (test, things) = try make((0..<100).map { ["_id": .string("k\(100 + $0)"), "v": .int(Int64($0 % 3))] })
        let sorted = try test.query(sort: ["v": -1], in: things).map(\.id)
        let expected = [2, 1, 0].flatMap { rest in (0..<100).filter { $0 % 3 == rest }.map { "k\(100 + $0)" } }
        #expect(sorted == expected)
    }

    @Test func boundedSortAgreesWithFullSort() throws {
        let seed = SeededGenerator.seed(default: 3)
        var random = SeededGenerator(seed: seed)
        let documents = (0..<400).map { index -> MessagePackValue in
            [
                "_id": .string("k\(1000 + index)"), "v": RandomDocuments.value(&random, depth: 1),
                "w": .int(Int64(random.below(5))),
                "pad": .string(String(repeating: "p", count: random.below(300))),
            ]
        }
        let (test, things) = try make(documents)
        let sort: MessagePackValue = ["v": 1, "w": -1]
        let all = try test.query(sort: sort, in: things)
        #expect(all.count == 400)
        for _ in 0..<30 {
            let (skip, limit) = (random.below(420), 1 + random.below(50))
            let part = try test.query(sort: sort, in: things, budget: StepBudget(documentCountMax: 1 + random.below(9))) {
                ($0.skip, $0.limit) = (skip, limit)
            }
            #expect(part == Array(all.dropFirst(skip).prefix(limit)), "seed \(seed), skip \(skip), limit \(limit)")
        }
    }

    @Test func memoryOfASortIsBoundedAndALimitIsTheWayOut() throws {
        let pad = MessagePackValue.string(String(repeating: "p", count: 1000))
        let (test, things) = try make((0..<3000).map { ["v": .int(Int64($0 * 7919 % 3000)), "pad": pad] })
        let error = errorOf { _ = try test.query(sort: "v", in: things) { $0.sortByteCountMax = 1 << 20 } }
        #expect(error?.code == .resultTooLarge)
        #expect(error?.message.contains("limit") == true)
        let best = try test.query(sort: "-v", in: things) { ($0.limit, $0.sortByteCountMax) = (10, 1 << 20) }
        #expect(best.compactMap { $0["v"]?.intValue } == (2990...2999).reversed())
    }

    @Test func aBoundedSortReusesTheMemoryOfWhatItPushesOut() throws {
        // Ever better and ever larger documents: each needs new room, and the old room must come back.
        let documents = (0..<4000).map { index -> MessagePackValue in
            ["_id": .string("k\(10_000 + index)"), "v": .int(Int64(index)), "pad": .string(String(repeating: "p", count: index))]
        }
        let (test, things) = try make(documents)
        let best = try test.query(sort: "-v", in: things) { ($0.limit, $0.sortByteCountMax) = (20, 3 << 20) }
        #expect(best.compactMap { $0["v"]?.intValue } == (3980...3999).reversed())
    }
}
