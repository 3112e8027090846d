import Foundation
import NexaDocuments
import NexaWire
import Testing

/// A filter is either understood as a whole or refused with the operator and the path: nothing in it is ever ignored.
struct FilterRefusalTests {
    @Test(
        arguments: [
            (["a": ["$foo": 1]], "$foo", "a"), (["$where": "1"], "$where", nil), (["$text": [:]], "$text", nil),
            (["a.b": ["$regex": "x"]], "$regex", "a.b"),
            (["$and": 5], "$and", nil), (["$or": []], "$or", nil), (["$nor": [[:], 5]], "$nor", nil),
            (["$not": ["a": 1]], "$not", nil),
            (["a": ["$and": [[:]]]], "$and", "a"), (["a": ["$not": 5]], "$not", "a"), (["a": ["$not": [:]]], "$not", "a"),
            (["a": ["$not": ["b": 1]]], "$not", "a"), (["a": ["$in": 5]], "$in", "a"), (["a": ["$nin": nil]], "$nin", "a"),
            (["a": ["$in": [1, ["$gt": 1]]]], "$in", "a"), (["a": ["$not": ["$foo": 1]]], "$foo", "a"),
            (["$and": [["a": ["$size": 1]]]], "$size", "a"),
            (["$eq": 5], "$eq", nil), (["a": ["$gt": 1, "$lt": 5, "$between": 3]], "$between", "a"),
        ] as [(MessagePackValue, String, String?)])
    func namesOperatorAndPath(_ filter: MessagePackValue, _ name: String, _ path: String?) throws {
        let error = try refusal(filter)
        #expect(error.code == .badFilter)
        #expect(error.message.contains("'\(name)'"))
        #expect(error.details.first { $0.key == "operator" }?.value == .string(name))
        #expect(error.details.first { $0.key == "path" }?.value == path.map { .string($0) })
    }

    @Test func refusesConditionsThatMixOperatorsAndFields() throws {
        #expect(try refusal(["a": ["$gt": 1, "b": 2]]).message.contains("mixes"))
        #expect(try refusal(["a": ["b": 2, "$gt": 1]]).message.contains("mixes"))
    }

    @Test(arguments: ["", ".", "a.", ".a", "a..b"])
    func refusesPathsWithEmptySegments(_ path: String) throws {
        #expect(try refusal(.map([.init(path, 1)])).code == .badFilter)
    }

    @Test(arguments: [5, "text", [[:]], true] as [MessagePackValue])
    func refusesWhatIsNoMap(_ filter: MessagePackValue) throws {
        #expect(try refusal(filter).code == .badFilter)
    }

    @Test func nilAndNothingAreTheEmptyFilter() throws {
        for filter in [
            try FilterCasesTests.compile(nil), try FilterCasesTests.compile([:]),
            try CompiledFilter.compile(UnsafeRawBufferPointer(start: nil, count: 0)),
        ] {
            #expect(filter.matchesEverything)
            #expect(filter.keyRange.isUnbounded)
            #expect([0x80].withUnsafeBytes { filter.matches($0) })
        }
        #expect(try !compileFilter("{\"a\": 1}").matchesEverything)
    }

    // MARK: Hostile filters: refused, or served, within 100 ms

    static let hostile: [(String, [UInt8])] = {
        // As bytes: a tree this deep would overflow the stack of its own encoder.
        let and = [0x81] + MessagePackValue.string("$and").encoded() + [0x91]
        let not = [0x81] + MessagePackValue.string("$not").encoded()
        let condition = MessagePackValue(dictionaryLiteral: ("$gt", 1)).encoded()
        func filter(_ value: MessagePackValue) -> [UInt8] { value.encoded() }
        return [
            ("$or of 100,000", filter(["$or": .array(Array(repeating: ["a": 1], count: 100_000))])),
            ("$and 10,000 deep", (0..<10_000).flatMap { _ in and } + [0x80]),
            ("$not 10,000 deep", [0x81, 0xA1, 0x61] + (0..<10_000).flatMap { _ in not } + condition),
            ("path of 10,000 dots", filter(.map([.init(String(repeating: "a.", count: 10_000) + "a", 1)]))),
            ("10,000 fields", filter(.map((0..<10_000).map { .init("f\($0)", 1) }))),
            ("$in of 100,000", filter(["a": ["$in": .array((0..<100_000).map { .int($0) })]])),
            ("10,000 operators", filter(["a": ["$not": .map((0..<10_000).map { _ in .init("$gt", 1) })]])),
        ]
    }()

    @Test(arguments: hostile.indices)
    func refusesWhatIsTooComplexInTime(_ index: Int) throws {
        let (name, bytes) = Self.hostile[index]
        let started = threadMilliseconds()
        let error = bytes.withUnsafeBytes { raw in
            do throws(DocumentError) {
                _ = try CompiledFilter.compile(raw)
                return nil as DocumentError?
            } catch {
                return error
            }
        }
        #expect(threadMilliseconds() - started < 100, "\(name)")
        #expect(error?.code == .badFilter, "\(name)")
        #expect(error?.message.contains { $0.isNumber } == true, "\(name) names its limit")
    }

    @Test func servesFiltersAtTheLimitInTime() throws {
        let filter: MessagePackValue = [
            "$or": .array((0..<490).map { ["f\($0)": ["$gt": .int($0)]] }),
            "k": ["$in": .array((0..<50_000).map { .int($0 * 7 % 50_000) })],
        ]
        let bytes = filter.encoded()
        let started = threadMilliseconds()
        let compiled = try bytes.withUnsafeBytes { try CompiledFilter.compile($0) }
        #expect(threadMilliseconds() - started < 1000)
        let document = MessagePackValue(dictionaryLiteral: ("k", 49_999), ("f489", 490)).encoded()
        #expect(document.withUnsafeBytes { compiled.matches($0) })
    }

    /// An array index may also be a name, so a walk branches at each: "0.0.0..." over nested arrays of maps would take Fibonacci(n) steps.
    @Test func limitsArrayIndexesInAPath() throws {
        let error = try refusal(.map([.init(Array(repeating: "0", count: 9).joined(separator: "."), 1)]))
        #expect(error.message.contains("8"))
        var document: MessagePackValue = 1
        for _ in 0..<45 { document = ["0": [document]] }
        let filter = try FilterCasesTests.compile(.map([.init(Array(repeating: "0", count: 8).joined(separator: "."), 2)]))
        let bytes = document.encoded()
        let started = threadMilliseconds()
        #expect(bytes.withUnsafeBytes { !filter.matches($0) })
        #expect(threadMilliseconds() - started < 10)
    }
}
