import Foundation
import NexaDocuments
import NexaTestKit
import NexaWire
import Testing

/// Random filters over random documents: the C program on bytes against a plain interpreter over value trees, written independently
/// from the rules (not from the C code).
struct FilterModelTests {
    struct Generator {
        var random: SeededGenerator

        mutating func pick<T>(_ choices: [T]) -> T { choices.randomElement(using: &random)! }
        mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

        mutating func scalar() -> MessagePackValue {
            pick([
                nil, true, false, 0, 1, 2, 3, .double(1), .double(2.5), .double(.nan), -1, "", "a", "b", "ab", .uint(.max),
                .binary([1]), .ext(5, [1]),
            ])
        }

        mutating func value(_ depth: Int) -> MessagePackValue {
            switch depth == 0 ? 0 : below(6) {
            case 0, 1, 2: return scalar()
            case 3: return .array((0..<below(4)).map { _ in value(depth - 1) })
            default: return document(depth - 1)
            }
        }

        mutating func document(_ depth: Int) -> MessagePackValue {
            .map(["a", "b", "0", "1"].shuffled(using: &random).prefix(below(4)).map { .init($0, value(depth)) })
        }

        mutating func path() -> String {
            (0...below(3)).map { _ in pick(["a", "a", "b", "0", "1", "00"]) }.joined(separator: ".")
        }

        mutating func operators(_ depth: Int) -> MessagePackValue {
            var entries: [MessagePackValue.Entry] = []
            for name in ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$not"].shuffled(using: &random)
                .prefix(1 + below(2))
            {
                switch name {
                case "$in", "$nin": entries.append(.init(name, .array((0..<below(4)).map { _ in value(1) })))
                case "$exists": entries.append(.init(name, pick([true, false, 0, 1, nil, "x"])))
                case "$not": if depth > 0 { entries.append(.init(name, operators(depth - 1))) }
                default: entries.append(.init(name, value(2)))
                }
            }
            return entries.isEmpty ? ["$exists": true] : .map(entries)
        }

        mutating func filter(_ depth: Int) -> MessagePackValue {
            var entries: [MessagePackValue.Entry] = []
            var names: Set<String> = []
            for _ in 0...below(2) {
                let entry: MessagePackValue.Entry
                if depth > 0 && below(3) == 0 {
                    entry = .init(pick(["$and", "$or", "$nor"]), .array((0...below(2)).map { _ in filter(depth - 1) }))
                } else {
                    entry = .init(path(), below(3) == 0 ? value(2) : operators(2))
                }
                if names.insert(entry.key.stringValue!).inserted { entries.append(entry) }
            }
            return .map(entries)
        }
    }

    /// The rules, over trees.
    enum Model {
        static func matches(_ filter: MessagePackValue, _ document: MessagePackValue) -> Bool {
            filter.mapValue!.allSatisfy { entry in
                let name = entry.key.stringValue!
                switch name {
                case "$and": return entry.value.arrayValue!.allSatisfy { matches($0, document) }
                case "$or": return entry.value.arrayValue!.contains { matches($0, document) }
                case "$nor": return !entry.value.arrayValue!.contains { matches($0, document) }
                default:
                    let path = name.split(separator: ".").map(String.init)
                    return condition(entry.value, path, document)
                }
            }
        }

        static func condition(_ condition: MessagePackValue, _ path: [String], _ document: MessagePackValue) -> Bool {
            guard case .map(let entries) = condition, entries.first?.key.stringValue?.hasPrefix("$") == true else {
                return candidates(path, document).contains { satisfies("$eq", condition, $0) }
            }
            return entries.allSatisfy { entry in
                let found = candidates(path, document)
                switch entry.key.stringValue! {
                case "$ne": return !found.contains { satisfies("$eq", entry.value, $0) }
                case "$nin": return !found.contains { value in entry.value.arrayValue!.contains { satisfies("$eq", $0, value) } }
                case "$in": return found.contains { value in entry.value.arrayValue!.contains { satisfies("$eq", $0, value) } }
                case "$exists":
                    let wanted = entry.value != false && entry.value != 0 && entry.value != nil
                    return found.contains { $0 != nil } == wanted
                case "$not": return !Model.condition(entry.value, path, document)
                case let name: return found.contains { satisfies(name, entry.value, $0) }
                }
            }
        }

        /// All values at a path as the rules see them; nil stands for "missing".
        static func candidates(_ path: [String], _ document: MessagePackValue) -> [MessagePackValue?] {
            func end(_ value: MessagePackValue) -> [MessagePackValue?] {
                if case .array(let elements) = value { return elements.map { $0 } + [value] }
                return [value]
            }
            func inArray(_ elements: [MessagePackValue], _ path: [String]) -> [MessagePackValue?] {
                var result: [MessagePackValue?] = []
                for (index, element) in elements.enumerated() {
                    if case .map = element { result += candidates(path, element) }
                    guard path[0] == String(index) else { continue }
                    let rest = Array(path.dropFirst())
                    if rest.isEmpty {
                        result.append(element)
                    } else if case .map = element {
                        result += candidates(rest, element)
                    } else if case .array(let inner) = element {
                        result += inArray(inner, rest)
                    }
                }
                return result
            }
            guard case .map = document, let value = document[path[0]] else { return [nil] }
            let rest = Array(path.dropFirst())
            if rest.isEmpty { return end(value) }
            switch value {
            case .map: return candidates(rest, value)
            case .array(let elements): return inArray(elements, rest)
            default: return [nil]
            }
        }

        static func satisfies(_ op: String, _ operand: MessagePackValue, _ value: MessagePackValue?) -> Bool {
            let value = value ?? nil as MessagePackValue
            guard let order = compare(value, operand) else { return false }
            switch op {
            case "$eq": return order == 0
            case "$gt": return order > 0
            case "$gte": return order >= 0
            case "$lt": return order < 0
            default: return order <= 0
            }
        }

        /// nil when the two are of different classes or one of them is NaN and the other is not.
        static func compare(_ a: MessagePackValue, _ b: MessagePackValue) -> Int? {
            if let x = a.doubleValue, let y = b.doubleValue {
                if x.isNaN || y.isNaN { return x.isNaN && y.isNaN ? 0 : nil }
            }
            let (x, y) = (a.encoded(), b.encoded())
            guard rank(a) == rank(b) else { return nil }
            // Within a class the order is ValueOrderTests' matter.
            return x.withUnsafeBytes { p in y.withUnsafeBytes { q in Int(compareValues(p, q).signum()) } }
        }

        static func rank(_ value: MessagePackValue) -> Int {
            switch value {
            case .null: 0
            case .int, .uint, .float32, .double: 1
            case .string: 2
            case .map: 3
            case .array: 4
            case .binary: 5
            case .bool: 6
            case .ext: 7
            }
        }
    }

    @Test func theProgramAgreesWithTheRules() throws {
        let seed: UInt64
        if let text = ProcessInfo.processInfo.environment["NEXA_TEST_SEED"], let given = UInt64(text) {
            seed = given
        } else {
            seed = .random(in: 0..<1 << 32)
        }
        print("theProgramAgreesWithTheRules: NEXA_TEST_SEED=\(seed)")
        var generator = Generator(random: SeededGenerator(seed: seed))
        var matchCount = 0
        let filterCount = TestScale.count(3000, small: 500)
        for _ in 0..<filterCount {
            let filter = generator.filter(2)
            let compiled = try FilterCasesTests.compile(filter)
            for _ in 0..<10 {
                let document = generator.document(3)
                let got = document.encoded().withUnsafeBytes { compiled.matches($0) }
                let expected = Model.matches(filter, document)
                matchCount += expected ? 1 : 0
                let inPieces = Self.verdictInPieces(compiled, document)
                if got != expected || inPieces != expected {
                    Issue.record("\(JSONText.write(filter)) on \(JSONText.write(document)): \(got), in pieces \(inPieces)")
                    return
                }
            }
        }
        // Both outcomes are frequent, or the test says little.
        #expect((filterCount...filterCount * 9).contains(matchCount))
    }

    /// The same evaluation, paused before every condition but the first.
    private static func verdictInPieces(_ filter: CompiledFilter, _ document: MessagePackValue) -> Bool {
        document.encoded().withUnsafeBytes { bytes in
            var leaf: UInt32 = 0
            for _ in 0..<10_000 {
                let before = leaf
                if let verdict = filter.verdict(on: bytes, from: &leaf, work: 1) { return verdict }
                precondition(leaf > before, "every call gets on")
            }
            preconditionFailure("the evaluation does not end")
        }
    }

    /// A small generator whose sequence depends on the seed alone.
    struct SeededGenerator: RandomNumberGenerator {
        private var state: UInt64

        init(seed: UInt64) { state = seed }

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
