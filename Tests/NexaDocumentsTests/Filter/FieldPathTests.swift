import NexaDocuments
import NexaWire
import Testing

struct FieldPathTests {
    func parse(_ text: String) -> FieldPath? { Array(text.utf8).withUnsafeBytes { FieldPath($0) } }

    func find(_ text: String, _ document: String) throws -> MessagePackValue? {
        let path = try #require(parse(text))
        return try JSONParser.parse(document).withUnsafeBytes { (raw) throws in
            try path.find(in: raw).map { try MessagePackValue(decoding: $0) }
        }
    }

    @Test(
        arguments: [
            ("a", "{\"a\": 1}", 1), ("a.b", "{\"a\": {\"b\": 2}}", 2), ("a.1", "{\"a\": [5, 6]}", 6),
            ("a.b", "{\"a\": [{\"c\": 1}, {\"b\": 3}]}", 3),
            ("a.0.b", "{\"a\": [{\"b\": 4}]}", 4), ("a.0.1", "{\"a\": [[7, 8]]}", 8), ("a", "{\"a\": [1, 2]}", [1, 2]),
            ("a.b", "{\"a\": 5}", nil), ("b", "{\"a\": 5}", nil),
            ("a.2", "{\"a\": [1, 2]}", nil), ("a.01", "{\"a\": [1, 2]}", nil), ("a.1", "{\"a\": {\"1\": 9}}", 9),
        ] as [(String, String, MessagePackValue?)])
    func findsTheFirstValue(_ text: String, _ document: String, _ expected: MessagePackValue?) throws {
        #expect(try find(text, document) == expected)
    }

    @Test func refusesEmptySegmentsAndEndlessPaths() {
        for text in ["", ".", "a.", ".a", "a..b", String(repeating: "a.", count: 100) + "a"] { #expect(parse(text) == nil) }
        #expect(parse(String(repeating: "a.", count: 99) + "a")?.segmentCount == 100)
    }

    /// The sort case of the fixture, by the values that documents sort by.
    @Test func sortsAsMongoDBDoes() throws {
        let fixture = FilterCasesTests.fixture.documents
        let path = try #require(parse("a"))
        func key(_ bytes: [UInt8]) -> (Int, [UInt8]) {
            bytes.withUnsafeBytes { raw in
                switch path.sortValue(in: raw, descending: false) {
                case .emptyArray: (0, [])
                case .missing: (1, [0xC0])
                case .value(let value): (1, [UInt8](value))
                }
            }
        }
        let sorted = fixture.map { (id: $0.id, key: key($0.bytes)) }.sorted { a, b in
            if a.key.0 != b.key.0 { return a.key.0 < b.key.0 }
            let order = a.key.1.withUnsafeBytes { x in b.key.1.withUnsafeBytes { y in compareValues(x, y) } }
            return order != 0 ? order < 0 : a.id < b.id
        }
        #expect(
            sorted.map(\.id) == [
                6, 2, 3, 7, 22, 25, 1, 5, 14, 28, 15, 29, 23, 26, 4, 17, 18, 19, 9, 27, 8, 11, 20, 21, 12, 10, 16, 24, 13,
            ])
    }

    @Test(arguments: [
        ("{\"a\": [3, 1, 2]}", "1", "3"), ("{\"a\": [{\"b\": 1}]}", "{\"b\": 1}", "{\"b\": 1}"),
        ("{\"a\": [[5], 1]}", "1", "[5]"), ("{\"a\": \"x\"}", "\"x\"", "\"x\""),
    ])
    func takesTheSmallestOrLargestElement(_ document: String, _ ascending: String, _ descending: String) throws {
        let path = try #require(parse("a"))
        try JSONParser.parse(document).withUnsafeBytes { (raw) throws in
            for (isDescending, expected) in [(false, ascending), (true, descending)] {
                guard case .value(let value) = path.sortValue(in: raw, descending: isDescending) else {
                    Issue.record("no value")
                    continue
                }
                let text = try JSONText.write(value)
                #expect(String(decoding: text, as: UTF8.self) == expected)
            }
        }
    }
}
