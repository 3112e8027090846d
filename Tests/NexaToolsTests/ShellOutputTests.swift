import NexaShell
import NexaWire
import Testing

/// Results as text in every mode.
@Suite struct ShellOutputTests {
    private let people: [MessagePackValue] = [
        ["_id": "a", "name": "Ann", "age": 30], ["_id": "b", "name": "Bo \"the\" one, two", "tags": ["x", 1]],
        ["_id": "c", "age": nil],
    ]

    private func lines(
        _ mode: OutputMode, _ values: [MessagePackValue], width: Int? = nil, isForTerminal: Bool = false
    ) -> [String] {
        var result: [String] = []
        var writer = ResultWriter(mode: mode, width: width, isForTerminal: isForTerminal) { result.append($0) }
        for value in values { writer.add(value) }
        writer.finish()
        return result
    }

    @Test func boxesHaveTheColumnsOfTheirRows() {
        #expect(
            lines(.box, people) == [
                "┌─────┬───────────────────┬──────┬──────────┐",
                "│ _id │ name              │ age  │ tags     │",
                "├─────┼───────────────────┼──────┼──────────┤",
                "│ a   │ Ann               │   30 │          │",
                "│ b   │ Bo \"the\" one, two │      │ [\"x\", 1] │",
                "│ c   │                   │ null │          │",
                "└─────┴───────────────────┴──────┴──────────┘",
            ])
    }

    @Test(arguments: [20, 30, 43, 44, 80])
    func boxesFitTheTerminal(width: Int) {
        for line in lines(.box, people, width: width) where !line.hasPrefix("and ") {
            #expect(TextWidth.columns(of: line) <= width)
        }
    }

    @Test func columnsThatFindNoPlaceAreNamed() {
        #expect(lines(.box, people, width: 30).last == "and 1 more: tags")
    }

    @Test func theOtherNameOfTheKeyTakesNoColumnOfABox() {
        #expect(lines(.box, [["id": "a", "_id": "a", "n": 1]])[1] == "│ _id │ n │")
        #expect(lines(.box, [["id": "other", "_id": "a"]])[1] == "│ id    │ _id │")
        #expect(lines(.csv, [["id": "a", "_id": "a"]])[0] == "id,_id", "other programs get all")
    }

    @Test(arguments: [(30, 2), (12, 1), (6, 1), (34, 3)])
    func columnsThatFindNoPlaceCostTheOthersNothing(width: Int, shownCount: Int) {
        let text = MessagePackValue.string(String(repeating: "x", count: 20))
        let box = lines(.box, [["a": text, "b": text, "c": text]], width: width)
        #expect(box[1].count { $0 == "│" } == shownCount + 1 && TextWidth.columns(of: box[1]) == width)
    }

    @Test(.timeLimit(.minutes(1))) func documentsOfManyFieldsAreShownInTimeThatGrowsWithThem() {
        let fields = (0..<100_000).map { MessagePackValue.Entry("field\($0)", .int(Int64($0))) }
        let box = lines(.box, [.map(fields), .map(fields.reversed())], width: 80)
        #expect(box.count == 7 && box[1].hasPrefix("│ field0 │ field1 │") && box[6].hasPrefix("and "))
        #expect(lines(.csv, [.map(fields), .map(fields.reversed())]).count == 3)
    }

    @Test func wideLettersDoNotBreakBoxes() {
        let box = lines(.box, [["name": "日本語"], ["name": "e\u{301}t\u{E9}"], ["name": "👩‍👩‍👧 ok"], ["name": "plain"]])
        #expect(Set(box.map { TextWidth.columns(of: $0) }).count == 1)
        #expect(box[3] == "│ 日本語 │")
        #expect(box[4] == "│ e\u{301}t\u{E9}    │")
    }

    @Test func aCutTextEndsInAnEllipsis() {
        #expect(TextWidth.fit("abcdef", 4) == "abc…")
        #expect(TextWidth.fit("日本語", 4) == "日… ")
        #expect(TextWidth.fit("7", 3, isRight: true) == "  7")
    }

    @Test func longListsFillTheirLines() throws {
        let document: MessagePackValue = ["vector": .array((1000..<1060).map { .int($0) })]
        let text = lines(.json, [document], width: 60)[0].split(separator: "\n")
        #expect(text.count < 12 && text.allSatisfy { $0.count <= 60 })
        #expect(try RelaxedJSON.parse(text.joined(separator: "\n")) == document)
    }

    @Test func marksAreDoubledAlsoUnderAnAccent() {
        let value: MessagePackValue = ["a": "x\"\u{301}y|\u{301}z"]
        #expect(lines(.csv, [value]).last == "\"x\"\"\u{301}y|\u{301}z\"")
        #expect(lines(.markdown, [value]).last == "| x\"\u{301}y\\|\u{301}z |")
    }

    @Test func csvQuotesWhatNeedsIt() {
        #expect(
            lines(.csv, people) == [
                "_id,name,age,tags", "a,Ann,30,", "b,\"Bo \"\"the\"\" one, two\",,\"[\"\"x\"\", 1]\"", "c,,,",
            ])
    }

    @Test func csvKeepsTheEndsOfLinesForFilesAndNotForTerminals() {
        #expect(lines(.csv, [["a": "x\ny"]]) == ["a", "\"x\ny\""])
        #expect(lines(.csv, [["a": "x\ny"]], isForTerminal: true) == ["a", "x\\ny"])
    }

    @Test func markdownEscapesItsBars() {
        #expect(lines(.markdown, [["a": "x|y", "b": 1]]) == ["| a | b |", "| --- | --- |", "| x\\|y | 1 |"])
    }

    @Test func aLineAField() {
        #expect(lines(.line, [["_id": "a", "name": "Ann"], ["_id": "b"]]) == ["_id   a", "name  Ann", "", "_id  b"])
    }

    @Test func timesAndValuesThatAreNoDocumentsHaveColumnsToo() {
        #expect(lines(.csv, [["at": .ext(-1, [0x6B, 0x02, 0xFA, 0xB6])]])[1] == "2026-11-22T14:22:46Z")
        #expect(lines(.csv, [3]) == ["value", "3"])
    }

    @Test func fieldsThatComeLateAreCounted() {
        let early = (0..<ResultWriter.rowCountMax).map { MessagePackValue.map([.init("n", .int(Int64($0)))]) }
        var result: [String] = []
        var writer = ResultWriter(mode: .csv, width: nil, isForTerminal: false) { result.append($0) }
        for value in early + [["n": 1, "late": 2]] { writer.add(value) }
        writer.finish()
        #expect(result.last == "1")
        #expect(writer.notes.count == 1 && writer.notes[0].hasPrefix("1 field"))
    }

    /// However large the result, no more than a few rows are held.
    @Test func boxesAreDrawnAsTheRowsCome() {
        var lineCount = 0
        var writer = ResultWriter(mode: .box, width: 80, isForTerminal: false) { _ in lineCount += 1 }
        for n in 0..<ResultWriter.rowCountMax { writer.add(["n": .int(Int64(n))]) }
        #expect(lineCount == ResultWriter.rowCountMax + 4)
    }

    @Test(arguments: OutputMode.allCases)
    func nothingThatATerminalObeysGetsThrough(mode: OutputMode) {
        let hostile: MessagePackValue = ["a": "\u{1B}[2J\u{9B}31m\u{7}\u{202E}\r\u{8}\u{7F}", "\u{1B}]0;key\u{7}": 1]
        let text = lines(mode, [hostile], isForTerminal: true).joined(separator: "\n")
        #expect(text.contains("\\u001b"))
        for scalar in text.unicodeScalars where scalar != "\n" {
            #expect(scalar.value >= 0x20 && !(0x7F..<0xA0).contains(scalar.value) && scalar.value != 0x202E)
        }
    }

    @Test func escapedJSONIsTheSameValue() throws {
        let value: MessagePackValue = ["a": "\u{9B}31m\u{202E}\u{7F}", "b": "\n"]
        #expect(try RelaxedJSON.parse(lines(.jsonl, [value])[0]) == value)
        #expect(try RelaxedJSON.parse(lines(.json, [value]).joined(separator: "\n")) == value)
    }
}

@Suite struct HistoryLineTests {
    @Test func severalLinesBecomeOneWithTheSameMeaning() throws {
        let statement = "db.c.insert({ // a comment\n  a: 1, # another\n  b: \"x // y\"\n})"
        let line = try #require(HistoryLine.of(statement))
        #expect(!line.contains("\n"))
        #expect(try ShellParser.parse(line) == ShellParser.parse(statement))
    }

    @Test(arguments: ["CREATE_USER {username: 'a', password: 's'}", "CHANGE_PASSWORD {new_password: 's'}", "  ", ""])
    func secretsAreNotKept(statement: String) {
        #expect(HistoryLine.of(statement) == nil)
    }
}
