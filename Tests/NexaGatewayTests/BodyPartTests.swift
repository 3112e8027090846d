import NIOCore
import NexaGateway
import NexaWire
import Testing

@Suite struct BodyPartTests {
    private func lines(_ pieces: [String]) -> [String] {
        var splitter = LineSplitter()
        var lines: [String] = []
        for piece in pieces {
            splitter.append(ByteBuffer(string: piece))
            while let line = splitter.next() { lines.append(String(buffer: line)) }
        }
        splitter.finish()
        while let line = splitter.next() { lines.append(String(buffer: line)) }
        return lines
    }

    @Test func linesAreTheSameHoweverTheyArrive() {
        let text = "{\"a\":1}\n{\"b\":2}\r\n\n  \n{\"c\":3}"
        let expected = ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]
        #expect(lines([text]) == expected)
        #expect(lines(text.map { String($0) }) == expected)
        for cut in 0...text.utf8.count {
            let bytes = Array(text.utf8)
            #expect(
                lines([String(decoding: bytes[..<cut], as: UTF8.self), String(decoding: bytes[cut...], as: UTF8.self)])
                    == expected)
        }
        #expect(lines(["", "\n\n", "\r\n"]) == [])
    }

    @Test func linesThatWereTakenHoldNoMemory() {
        var splitter = LineSplitter()
        // Pieces never end where a line does.
        let piece = ByteBuffer(string: String(repeating: String(repeating: "x", count: 99) + "\n", count: 600) + "part")
        var count = 0
        for _ in 0..<500 {
            splitter.append(piece)
            while splitter.next() != nil { count += 1 }
            #expect(splitter.capacity < 512 << 10)
        }
        #expect(count == 500 * 600)
    }

    /// The examples of RFC 7396, appendix A, as far as a target of a patch is an object.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#),
        ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ])
    func patchesMergeAsTheStandardSays(_ target: String, _ patch: String, _ result: String) throws {
        func value(_ text: String) throws -> MessagePackValue { try MessagePackValue(decoding: JSONParser.parse(text)) }
        #expect(MergePatch.apply(try value(patch), to: try value(target)) == (try value(result)))
    }

    /// A search for each field would take an hour.
    @Test func largePatchesAreLookedUpAndNotSearchedFor() {
        let count = 200_000
        let fields = (0..<count).map { MessagePackValue.Entry("f\($0)", .int(Int64($0))) }
        let changes = (0..<count).map { index in
            MessagePackValue.Entry("f\(index + count / 2)", index % 2 == 0 ? .null : .string("new"))
        }
        guard case .map(let merged) = MergePatch.apply(.map(changes), to: .map(fields)) else {
            Issue.record("it is no map any more")
            return
        }
        #expect(merged.count == count / 2 + count / 4 + count / 4)
        #expect(merged[count / 2].key == .string("f\(count / 2 + 1)"))
    }

    @Test(arguments: [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
    ])
    func datesAreWrittenAsHTTPWritesThem(_ second: Int, _ text: String) {
        #expect(HTTPDate.format(Int64(second)) == text)
    }
}
