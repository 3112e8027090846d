import NexaWire
import Testing

/// The maps of one key that stand for what JSON has no word for.
@Suite struct JSONExtendedTests {
    private func parse(_ text: String) throws -> MessagePackValue { try MessagePackValue(decoding: JSONParser.parse(text)) }

    @Test func whatStandsForSomethingBecomesThat() throws {
        #expect(try parse(#"{"$binary":"AAE="}"#) == .binary([0, 1]))
        #expect(try parse(#"{"$ext":{"data":"AAE=","type":-5}}"#) == .ext(-5, [0, 1]))
        #expect(try parse(#"{"$double":"-Infinity"}"#) == .double(-.infinity))
        #expect(try parse(#"[{"$binary":""}]"#) == .array([.binary([])]))
    }

    @Test(arguments: [
        #"{"$binary":5}"#, #"{"$binary":"AAE=","a":1}"#, #"{"$double":"1"}"#, #"{"$date":null}"#, #"{"$other":"AAE="}"#,
        #"{"$":1}"#,
        #"{"":{"$a":[]}}"#, #"{"$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":1}"#,
    ])
    func whatOnlyLooksLikeItStaysAMap(_ text: String) throws {
        #expect(JSONText.write(try parse(text)).filter { $0 != " " } == text)
    }

    @Test(arguments: [
        #"{"$binary":"A"}"#, #"{"$date":"today"}"#, #"{"$ext":5}"#, #"{"$ext":{}}"#, #"{"$ext":{"type":128,"data":""}}"#,
        #"{"$ext":{"type":1,"data":"A"}}"#, #"{"$ext":{"type":1,"data":"","more":1}}"#,
        #"{"$ext":{"$ext":{"type":1,"data":""}}}"#,
    ])
    func whatIsWrittenWrongIsRefused(_ text: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(text) }
    }

    /// Each level was decoded whole, its insides included: 90 times two million numbers.
    @Test func nestingCostsNothingForEachLevel() throws {
        let depth = 90
        let numbers = Array(repeating: "1", count: 2_000_000).joined(separator: ",")
        for key in ["$a", "$double"] {
            let open = String(repeating: "{\"\(key)\":", count: depth)
            let text = open + "[\(numbers)]" + String(repeating: "}", count: depth)
            let clock = ContinuousClock()
            let took = try clock.measure { _ = try JSONParser.parse(text) }
            #expect(took < .seconds(10))
        }
    }
}
