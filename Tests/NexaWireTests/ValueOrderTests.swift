import CSupport
import NexaWire
import Testing

/// The total order over values: one table, every pair compared both ways.
struct ValueOrderTests {
    /// Strictly ascending groups; the members of a group are equal.
    static let groups: [[MessagePackValue]] = [
        [nil],
        [.double(.nan), .float32(.nan)],
        [.double(-.infinity)],
        [.int(.min), .double(-9_223_372_036_854_775_808)],
        [.double(-9_007_199_254_740_994)],
        [.int(-9_007_199_254_740_993)],
        [.int(-9_007_199_254_740_992), .double(-9_007_199_254_740_992)],
        [-1, .double(-1), .float32(-1)],
        [.double(-0.5)],
        [0, .double(0), .double(-0.0), .float32(0)],
        [.double(.leastNonzeroMagnitude)],
        [1, .double(1), .float32(1)],
        [.double(2.5), .float32(2.5)],
        [3],
        [.int(9_007_199_254_740_992), .double(9_007_199_254_740_992)],
        [.int(9_007_199_254_740_993)],
        [.double(9_007_199_254_740_994)],
        [.int(.max)],
        [.double(9_223_372_036_854_775_808), .uint(1 << 63)],
        [.uint(1 << 63 + 1)],
        [.uint(.max)],
        [.double(18_446_744_073_709_551_616)],
        [.double(.infinity)],
        [""], ["a"], ["a\u{0}"], ["ab"], ["b"], ["é"], ["漢"],
        [[:]], [["a": nil]], [["a": 1], ["a": .double(1)]], [["a": 1, "b": 0]], [["a": 2]], [["b": 1]], [["a": "x"]],
        [["a": [:]]],
        [[]], [[nil]], [[1], [.double(1)]], [[1, nil]], [[1, 2]], [[2]], [["a"]], [[[:]]], [[[]]],
        [.binary([])], [.binary([0])], [.binary([0, 1])], [.binary([1])],
        [false], [true],
        [.ext(-1, Timestamp(seconds: -5, nanoseconds: 1).body)],
        [
            .ext(-1, Timestamp(seconds: 0, nanoseconds: 0).body), .ext(-1, [UInt8](repeating: 0, count: 8)),
            .ext(-1, [UInt8](repeating: 0, count: 12)),
        ],
        [.ext(-1, Timestamp(seconds: 1 << 40, nanoseconds: 0).body)],
        [.ext(-7, [9])], [.ext(5, [])], [.ext(5, [1])], [.ext(6, [0])],
    ]

    @Test func everyPairStandsAsTheTableSays() {
        let flat = Self.groups.enumerated().flatMap { index, group in group.map { (index, $0.encoded()) } }
        for (i, a) in flat {
            for (j, b) in flat {
                let order = a.withUnsafeBytes { x in b.withUnsafeBytes { y in compareValues(x, y) } }
                let expected = i == j ? 0 : i < j ? -1 : 1
                if order.signum() != Int32(expected) { Issue.record("\(a) against \(b): \(order), not \(expected)") }
                let equal = a.withUnsafeBytes { x in b.withUnsafeBytes { y in valuesAreEqual(x, y) } }
                if equal != (i == j) { Issue.record("\(a) equal to \(b): \(equal)") }
            }
        }
    }

    @Test func classesAscendWithTheOrder() {
        let classes = Self.groups.map { group in group[0].encoded().withUnsafeBytes { nexa_mp_class($0.baseAddress, $0.count) } }
        #expect(classes == classes.sorted())
        #expect(Set(classes) == Set(1...9))
    }

    @Test func theOrderIsTransitiveOnRandomValues() {
        var generator = SeededGenerator(seed: testSeed())
        let values = (0..<150).map { _ in MessagePackValue.random(2, using: &generator).encoded() }
        func order(_ a: [UInt8], _ b: [UInt8]) -> Int32 {
            a.withUnsafeBytes { x in b.withUnsafeBytes { y in compareValues(x, y).signum() } }
        }
        let sorted = values.sorted { order($0, $1) < 0 }
        for i in sorted.indices {
            for j in i..<sorted.count
            where order(sorted[i], sorted[j]) > 0 || order(sorted[i], sorted[j]) != -order(sorted[j], sorted[i]) {
                Issue.record("\(sorted[i]) and \(sorted[j])")
            }
        }
    }

    @Test func findsKeysInAnyEncoding() {
        let map = hex("83 a161 01 d90162 02 a3636363 93010203")
        map.withUnsafeBytes { raw in
            #expect(findValue("a", in: raw).map { [UInt8]($0) } == [1])
            #expect(findValue("b", in: raw).map { [UInt8]($0) } == [2])
            #expect(findValue("ccc", in: raw).map { [UInt8]($0) } == [0x93, 1, 2, 3])
            #expect(findValue("c", in: raw) == nil)
            #expect(findValue("a", in: UnsafeRawBufferPointer(rebasing: raw[..<2])) == nil)
        }
    }

    /// Arrays that claim billions of elements which are not there: the comparison ends with the bytes (found by fuzzing).
    @Test func comparingBrokenValuesEndsWithTheirBytes() {
        let claims = [UInt8](repeating: 0xDD, count: 40)
        #expect(claims.withUnsafeBytes { compareValues($0, $0) } == 0)
        let order = claims.withUnsafeBytes { x in
            claims.dropLast().withUnsafeBytes { y in (compareValues(x, y), compareValues(y, x)) }
        }
        #expect(order.0 == -order.1)
    }
}
