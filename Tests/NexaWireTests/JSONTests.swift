import NexaWire
import Testing

struct JSONTests {
    func text(_ value: MessagePackValue, indent: Int? = nil) -> String { JSONText.write(value, indent: indent) }
    func parse(_ text: String) throws -> MessagePackValue { try MessagePackValue(decoding: JSONParser.parse(text)) }

    @Test(
        arguments: [
            (nil, "null"), (true, "true"), (.int(.min), "-9223372036854775808"),
            (.int(9_007_199_254_740_993), "9007199254740993"),
            (.uint(.max), "18446744073709551615"), (.double(1), "1.0"), (.double(0.1), "0.1"), (.double(1e300), "1e+300"),
            (.double(-0.0), "-0.0"),
            ("a\"b\\c\n\u{1}\u{7F}é", "\"a\\\"b\\\\c\\n\\u0001\\u007fé\""), ([], "[]"), ([:], "{}"),
            ([1, ["a": nil]], "[1, {\"a\": null}]"),
            (.binary([0, 255]), "{\"$binary\": \"AP8=\"}"),
            (.ext(13, [1, 2, 3]), "{\"$ext\": {\"type\": 13, \"data\": \"AQID\"}}"),
            (.double(.nan), "{\"$double\": \"NaN\"}"), (.double(-.infinity), "{\"$double\": \"-Infinity\"}"),
            (.ext(-1, [0x5A, 0x4A, 0xF6, 0xA5]), "{\"$date\": \"2018-01-02T03:04:05Z\"}"),
        ] as [(MessagePackValue, String)])
    func writesWhatPeopleReadAndReadsItBack(_ value: MessagePackValue, _ json: String) throws {
        #expect(text(value) == json)
        if value == value { #expect(try parse(json) == value) } else { #expect(try parse(json).doubleValue?.isNaN == true) }
    }

    @Test func indentsWhenAsked() {
        #expect(text(["a": [1, 2], "b": [:]], indent: 2) == "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}")
    }

    @Test func compactTextHasNoBlanksAndReadsBack() throws {
        let value: MessagePackValue = .map([
            .init("a", [1, .map([]), .binary([1, 2])]), .init("b", .ext(5, [7])), .init("c", .double(.nan)),
            .init("d", .uint(.max)), .init("e", .int(-9_007_199_254_740_993)), .init("f", .int(9_007_199_254_740_992)),
        ])
        func text(_ style: JSONText.Style) throws -> String {
            let output = OutputBytes()
            try value.encoded().withUnsafeBytes { try JSONText.write($0, into: output, style: style) }
            return String(decoding: output.bytes, as: UTF8.self)
        }
        let compact = try text(JSONText.Style(isExact: true, isCompact: true))
        #expect(
            compact
                == #"{"a":[1,{},{"$binary":"AQI="}],"b":{"$ext":{"type":5,"data":"Bw=="}},"c":{"$double":"NaN"},"#
                + #""d":18446744073709551615,"e":-9007199254740993,"f":9007199254740992}"#)
        #expect(try parse(try text(JSONText.Style(isExact: true, isCompact: true))).encoded() == value.encoded())
        let strings = try text(JSONText.Style(isExact: true, isCompact: true, writesLargeIntegersAsStrings: true))
        #expect(strings.hasSuffix(#""d":"18446744073709551615","e":"-9007199254740993","f":9007199254740992}"#))
    }

    @Test func randomValuesSurviveTheRoundTrip() throws {
        var generator = SeededGenerator(seed: testSeed())
        for _ in 0..<500 {
            let value = MessagePackValue.random(4, using: &generator)
            #expect(try parse(text(value)) == value)
            #expect(try parse(text(value, indent: 3)) == value)
        }
    }

    @Test func widensContainerHeadersAsTheyGrow() throws {
        for count in [15, 16, 65535, 65536] {
            let json = "[" + Array(repeating: "0", count: count).joined(separator: ",") + "]"
            #expect(try JSONParser.parse(json) == MessagePackValue.array(Array(repeating: 0, count: count)).encoded())
        }
    }

    @Test(
        arguments: [
            ("\"\\ud83c\\udf7a\"", "🍺"), (" [ 1 , 2 ] ", [1, 2]), ("1E2", .double(100)), ("-0", .double(-0.0)), ("0", 0),
            ("100000000000000000000", .double(1e20)), ("-73786976294838210000", .double(-73_786_976_294_838_206_464)),
            ("\"\\/\\b\\f\"", "/\u{8}\u{C}"),
            ("{\"a\": {\"$gt\": 1}}", ["a": ["$gt": 1]]),
        ] as [(String, MessagePackValue)])
    func readsTheWholeGrammar(_ json: String, _ value: MessagePackValue) throws {
        #expect(try parse(json) == value)
    }

    @Test(arguments: [
        "18446744073709551616", "-9223372036854775809", "99999999999999999999", "100000000000000000001",
        "[1, 123456789012345678901234567890]",
    ])
    func wholeNumbersThatNothingHoldsAreRefused(_ json: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(json) }
    }

    @Test(arguments: [
        "", " ", "[1,]", "[1 2]", "{\"a\" 1}", "{a: 1}", "{\"a\": 1,}", "01", "-", "1.", ".5", "1e", "+1", "nul", "NaN", "\"",
        "\"\u{1}\"", "\"\\x\"",
        "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "[1] 2", "// x", "1e400", "{\"a\": 1, \"a\": 2}",
        "{\"$binary\": \"?\"}",
        "{\"$date\": \"yesterday\"}", "{\"$ext\": {\"type\": 500, \"data\": \"\"}}", "[", "{", "{\"a\":",
    ])
    func refusesEverythingElse(_ json: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(json) }
    }

    @Test func saysWhereItStopped() {
        do {
            _ = try JSONParser.parse("{\n  \"a\": 1,\n  \"b\": x\n}")
            Issue.record("accepted")
        } catch {
            #expect(error.description == "a value cannot begin here (line 3, column 8)")
        }
    }

    @Test func keysThatAreNoStringsStayShort() throws {
        var value: MessagePackValue = .map([.init(key: 5, value: 1), .init(key: [1], value: 2)])
        #expect(text(value) == "{\"5\": 1, \"kQE=\": 2}")
        for _ in 0..<60 { value = .map([.init(key: value, value: nil)]) }
        #expect(text(value).utf8.count < 200)
    }

    @Test func limitsNesting() throws {
        let deep = { (count: Int) in String(repeating: "[", count: count) + String(repeating: "]", count: count) }
        #expect(throws: Never.self) { try JSONParser.parse(deep(100)) }
        #expect(throws: JSONError.self) { try JSONParser.parse(deep(101)) }
        #expect(throws: JSONError.self) { try JSONParser.parse(String(repeating: "{\"a\":", count: 100_000)) }
    }

    // MARK: Timestamps

    @Test(
        arguments: [
            (0, 0, "1970-01-01T00:00:00Z"), (1_514_862_245, 678_901_234, "2018-01-02T03:04:05.678901234Z"),
            (-1, 999_000_000, "1969-12-31T23:59:59.999Z"),
            (253_402_300_799, 999_999_000, "9999-12-31T23:59:59.999999Z"), (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (-62_167_219_200, 0, "0000-01-01T00:00:00Z"),
            (17_179_869_184, 5, "2514-05-30T01:53:04.000000005Z"),
        ] as [(Int64, UInt32, String)])
    func timestampsAreReadable(_ seconds: Int64, _ nanoseconds: UInt32, _ text: String) throws {
        let timestamp = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        #expect(timestamp.text == text)
        #expect(Timestamp(text: text) == timestamp)
        #expect(timestamp.body.withUnsafeBytes { Timestamp($0) } == timestamp)
    }

    @Test func timestampsWithAZoneMeanTheSameInstant() {
        #expect(Timestamp(text: "2026-11-22T14:00:00+02:00") == Timestamp(text: "2026-11-22T12:00:00Z"))
        #expect(Timestamp(text: "2026-02-29T00:00:00Z") == nil)
        #expect(Timestamp(text: "2026-11-22T24:00:00Z") == nil)
        #expect(Timestamp(text: "2026-11-22T14:00:00") == nil)
    }

    @Test func extremeTimestampsHaveAText() {
        #expect(Timestamp(seconds: .min, nanoseconds: 0).text.hasPrefix("-"))
        #expect(Timestamp(seconds: .max, nanoseconds: 999_999_999).text.hasPrefix("+"))
    }

    @Test func base64IsStrict() {
        func decode(_ text: String) -> [UInt8]? { Array(text.utf8).withUnsafeBytes { Base64.decode($0) } }
        #expect(decode("") == [])
        #expect(decode("AQ==") == [1])
        #expect(decode("AQI=") == [1, 2])
        for bad in ["A", "AQ=", "AQ=A", "=AAA", "AQ==AQID", "A Q=", "AQ\n="] { #expect(decode(bad) == nil, "\(bad)") }
    }
}
