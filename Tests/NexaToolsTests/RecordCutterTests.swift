import NexaTestKit
import NexaTransfer
import NexaWire
import Testing

/// Where records end, whatever the pieces in which the input comes.
struct RecordCutterTests {
    /// The records of `input` when only `piece` more bytes are in the window each time.
    private func records(_ input: [UInt8], _ shape: RecordCutter.Shape, piece: Int) -> [String] {
        var cutter = RecordCutter(shape, isFirst: true)
        var result: [String] = []
        var start = 0
        var end = min(piece, input.count)
        while true {
            let cut = input[..<end].withUnsafeBytes { cutter.next(in: $0, from: start, isWhole: end == input.count) }
            switch cut {
            case .record(let range, let next):
                result.append(String(decoding: input[range], as: UTF8.self))
                start = next
            case .needsMore: end = min(end + piece, input.count)
            case .end: return result
            case .broken(let reason): return result + ["!" + reason]
            }
        }
    }

    private func expect(
        _ input: String, _ shape: RecordCutter.Shape, _ wanted: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for piece in [1, 2, 3, 7, 1000] {
            #expect(
                records(Array(input.utf8), shape, piece: piece) == wanted, "pieces of \(piece)", sourceLocation: sourceLocation)
        }
    }

    @Test func linesEndWithEitherLineEndOrTheInput() {
        expect("a\nbc\r\n\n\r\nd", .lines, ["a", "bc", "", "", "d"])
        expect("a\n", .lines, ["a"])
        expect("a,b\r", .delimited(by: UInt8(ascii: ",")), ["a,b"])
        expect("", .lines, [])
    }

    @Test func quotesHoldLineBreaksAndDelimiters() {
        let comma = RecordCutter.Shape.delimited(by: UInt8(ascii: ","))
        expect("a,\"b\nc\",\"d\"\"\n\"\"\"\ne\n", comma, ["a,\"b\nc\",\"d\"\"\n\"\"\"", "e"])
        expect("\"\"\r\n\"\",\"\"\n", comma, ["\"\"", "\"\",\"\""])
        expect("a\"b\nc\"d\n", comma, ["a\"b", "c\"d"])
        expect("\"open\nend", comma, ["\"open\nend"])
    }

    @Test func valuesFollowEachOther() {
        expect(#" {"a":"}\""}[1,[2]] 12 "x y"true"#, .values, [#"{"a":"}\""}"#, "[1,[2]]", "12", "\"x y\"", "true"])
        expect("{} }", .values, ["{}", "!a value cannot begin here"])
        expect("{\"a\": [", .values, ["{\"a\": ["])
    }

    @Test func anArrayGivesItsElements() {
        expect(" {} , 1,[2] ] ", .arrayElements, ["{}", "1", "[2]"])
        expect("]", .arrayElements, [])
        expect("1 2]", .arrayElements, ["1", "!',' or ']' is missing"])
        expect("1,]", .arrayElements, ["1", "!a value cannot begin here"])
        expect("1", .arrayElements, ["1", "!the array does not end"])
        expect("1]x", .arrayElements, ["1", "!nothing may follow the array"])
    }

    @Test func mapsFollowEachOther() {
        expect("\u{1}\u{2}", .messagePack, ["\u{1}", "\u{2}"])
        #expect(records([0x81, 0xA1, 0x61, 0x01, 0x80, 0x81], .messagePack, piece: 1).last?.first == "!")
    }

    @Test func fieldsLoseTheirQuotes() throws {
        func fields(_ row: String) throws -> [String] {
            var result: [String] = []
            try Array(row.utf8).withUnsafeBytes { bytes in
                var walk = DelimitedFields(bytes, delimiter: UInt8(ascii: ","), scratch: OutputBytes())
                while let field = try walk.next() { result.append(String(decoding: field.bytes, as: UTF8.self)) }
            }
            return result
        }
        #expect(try fields("a,\"b,\"\"c\"\"\",,\"\"") == ["a", "b,\"c\"", "", ""])
        #expect(try fields("\"\"\"\"\"\"") == ["\"\""])
        #expect(try fields("") == [""])
        #expect(try fields("a\"b,\" c\"") == ["a\"b", " c"])
        #expect(throws: RecordProblem.self) { try fields("\"a\"b") }
        #expect(throws: RecordProblem.self) { try fields("\"a") }
    }

    @Test func whatIsWrittenAsARowIsReadAsTheSameFields() throws {
        var random = SeededGenerator(seed: 1)
        let alphabet = Array("ab,\"\r\n\t \u{FC}".unicodeScalars)
        for _ in 0..<2_000 {
            let rows = (0..<3).map { _ in
                (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    (0..<Int.random(in: 0...5, using: &random)).reduce(into: "") { text, _ in
                        text.unicodeScalars.append(alphabet.randomElement(using: &random)!)
                    }
                }
            }
            let text = OutputBytes()
            for row in rows {
                for (index, field) in row.enumerated() {
                    if index > 0 { text.appendU8(UInt8(ascii: ",")) }
                    DelimitedText.write(field.utf8, delimiter: UInt8(ascii: ","), isQuoted: field.isEmpty, into: text)
                }
                text.appendU8(UInt8(ascii: "\n"))
            }
            var cutter = RecordCutter(.delimited(by: UInt8(ascii: ",")), isFirst: true)
            var start = 0
            for row in rows {
                guard case .record(let range, let next) = cutter.next(in: text.bytes, from: start, isWhole: true) else {
                    Issue.record("no record where \(row) begins")
                    return
                }
                var walk = DelimitedFields(
                    UnsafeRawBufferPointer(rebasing: text.bytes[range]), delimiter: UInt8(ascii: ","), scratch: OutputBytes())
                for field in row { #expect(try walk.next().map { String(decoding: $0.bytes, as: UTF8.self) } == field) }
                #expect(try walk.next()?.bytes.count == nil)
                start = next
            }
            #expect(cutter.next(in: text.bytes, from: start, isWhole: true) == .end)
        }
    }
}
