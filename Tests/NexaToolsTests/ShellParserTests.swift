import NexaShell
import NexaWire
import Testing

/// The language of the shell and its relaxed JSON.
@Suite struct ShellParserTests {
    private func parse(_ text: String) throws -> ShellCommand {
        let commands = try ShellParser.parse(text)
        try #require(commands.count == 1)
        return commands[0]
    }

    @Test func readsWordsAndNames() throws {
        #expect(try parse("show dbs") == .showDatabases)
        #expect(try parse("show collections;") == .showCollections)
        #expect(try parse("use shop") == .use("shop"))
        #expect(try parse("use 'my-shop'") == .use("my-shop"))
        #expect(try parse("db") == .currentDatabase)
        #expect(try parse("db.dropDatabase()") == .dropDatabase)
    }

    @Test func readsFindWithItsChain() throws {
        var find = ShellCommand.Find(collection: "users", filters: ["age": ["$gte": 25]])
        find.projection = ["name": 1]
        find.sort = ["age": -1]
        find.limit = 5
        find.skip = 2
        #expect(try parse("db.users.find({age: {$gte: 25}}, {name: 1}).sort({age: -1}).skip(2).limit(5)") == .find(find))
        #expect(try parse("db.users.find()") == .find(.init(collection: "users")))
        #expect(try parse("db.users.find({a: 1}).count()") == .count(.init(collection: "users", filters: ["a": 1])))
    }

    @Test func readsChanges() throws {
        #expect(
            try parse(#"db.users.insert({name: 'Ann', tags: ["a", "b",],})"#)
                == .insert(collection: "users", document: ["name": "Ann", "tags": ["a", "b"]]))
        #expect(try parse("db.users.insertMany([{a: 1}])") == .insertMany(collection: "users", documents: [["a": 1]]))
        #expect(try parse(#"db.users.update("k", {a: 2})"#) == .update(collection: "users", key: "k", updates: ["a": 2]))
        #expect(try parse(#"db.users.delete({_id: "k"})"#) == .delete(collection: "users", key: "k"))
    }

    @Test func namesOfCollectionsMayHaveDotsAndBrackets() throws {
        #expect(try parse("db.app.logs.drop()") == .drop(collection: "app.logs"))
        #expect(try parse("db['odd name'].drop()") == .drop(collection: "odd name"))
        #expect(try parse("db.getCollection('find').drop()") == .drop(collection: "find"))
    }

    @Test func readsMessagesByName() throws {
        #expect(try parse("READ {collection: 'c', key: 'k'}") == .raw(.read, ["collection": "c", "key": "k"]))
        #expect(try parse("STATUS") == .raw(.status, [:]))
    }

    @Test(.timeLimit(.minutes(1))) func aDocumentOfManyFieldsIsReadInOnePass() throws {
        let text = "{" + (0..<50_000).map { "f\($0): 1" }.joined(separator: ",")
        #expect(try RelaxedJSON.parse(text + "}").mapValue?.count == 50_000)
        #expect(throws: TextProblem.self) { try RelaxedJSON.parse(text + ", f7: 1}") }
    }

    @Test func aMessageThatHasNoAnswerIsNoCommand() {
        #expect(throws: TextProblem.self) { try ShellParser.parse("CURSOR_CREDIT {stream: 1, credit: 1}") }
        #expect(!ShellWords.messages.contains("CURSOR_CREDIT"))
    }

    @Test func readsSettings() throws {
        #expect(try parse(".mode box") == .setting(.mode(.box)))
        #expect(try parse(".mode pretty") == .setting(.mode(.json)))
        #expect(try parse(".mode") == .setting(.mode(nil)))
        #expect(try parse(".timer on # please") == .setting(.timer(true)))
        #expect(try parse(".output 'a file.csv'") == .setting(.output(path: "a file.csv")))
        #expect(try parse(".read /tmp//a.nexa") == .script(path: "/tmp//a.nexa"))
        #expect(try parse(".max_staleness 500") == .setting(.maxStaleness(500)))
        #expect(try parse(".read_concern off") == .setting(.readConcern(nil)))
        #expect(try parse("help filters") == .help(topic: "filters"))
        #expect(try parse("it") == .more)
    }

    @Test func aLineWithADotGoesOnWithAChainOrIsASetting() throws {
        var sorted = ShellCommand.Find(collection: "c")
        sorted.sort = ["a": 1]
        #expect(
            try ShellParser.parse("db.c.find()\n  .sort({a: 1})\n.mode box\nping") == [
                .find(sorted), .setting(.mode(.box)), .ping,
            ])
    }

    @Test func optionsOfChangesAreKept() throws {
        #expect(
            try parse("db.c.update('k', {$set: {a: 1}}, {upsert: true})")
                == .update(collection: "c", key: "k", updates: ["a": 1], options: ["upsert": true]))
        #expect(
            try parse("db.c.update('k', {$set: {a.b: 1}})") == .update(collection: "c", key: "k", updates: ["$set": ["a.b": 1]]))
        #expect(try parse("db.c.put('k', {a: 1})") == .put(collection: "c", key: "k", document: ["a": 1]))
        #expect(try parse("db.c.find({a: 1}).explain()") == .explain(.init(collection: "c", filters: ["a": 1])))
    }

    @Test(arguments: [
        ("shwo collections", "show"), ("db.users.finb()", "find"), (".mdoe box", ".mode"), ("show colections", "collections"),
        (".mode boxx", "box"), ("db.users.find().sotr({a: 1})", "sort"), ("raed {}", "READ"),
    ])
    func aSlipIsNamed(text: String, meant: String) {
        #expect { try ShellParser.parse(text) } throws: {
            ($0 as? TextProblem)?.message.contains("did you mean \(meant)?") == true
        }
    }

    @Test func theNextPageGoesOnBehindTheLastKey() {
        var find = ShellCommand.Find(collection: "c", filters: ["a": 1])
        #expect(find.following(["_id": "k"], shown: 20).filters == ["$and": [["a": 1], ["_id": ["$gt": "k"]]]])
        #expect(ShellCommand.Find(collection: "c").following(["_id": "k"], shown: 20).filters == ["_id": ["$gt": "k"]])
        find.sort = ["a": 1]
        #expect(find.following(["_id": "k"], shown: 20).skip == 20 && find.following(["_id": "k"], shown: 20).filters == ["a": 1])
    }

    @Test func readsSeveralStatements() throws {
        let text = """
            // a script
            use shop   # the database
            db.users.insert({
                name: "Ann" })
            ping; status
            """
        #expect(
            try ShellParser.parse(text) == [
                .use("shop"), .insert(collection: "users", document: ["name": "Ann"]), .ping, .status,
            ])
    }

    @Test func knowsWhenAnotherLineBelongsToIt() {
        func isComplete(_ lines: String...) -> [Bool] {
            var gathered = StatementLines()
            return lines.map { line in gathered.add(line) }
        }
        #expect(isComplete("db.users.insert({", "a: [1,", "2]", "})") == [false, false, false, true])
        #expect(isComplete("db.users.find( // it's open", ")") == [false, true])
        #expect(isComplete("db.users.insert({a: '{'})") == [true])
        #expect(isComplete("db.users.insert({a: 'open") == [true], "a quote that is not closed is an error")
        #expect(isComplete("") == [true])
    }

    @Test(.timeLimit(.minutes(1))) func aStatementOfManyLinesIsGatheredInOnePass() throws {
        var gathered = StatementLines()
        var completeCount = gathered.add("db.c.insert([") ? 1 : 0
        for number in 0..<100_000 where gathered.add("{n: \(number), text: 'some words that take their place'},") {
            completeCount += 1
        }
        #expect(completeCount == 0)
        let isComplete = gathered.add("])")
        #expect(isComplete)
        #expect(gathered.text.hasPrefix("db.c.insert([\n{n: 0,") && gathered.text.hasSuffix("},\n])"))
    }

    @Test(arguments: [
        ("db.users.find({age: })", 20), ("nonsense", 0), ("db.users.frobnicate()", 9), ("show me", 5), ("ping pong", 5),
        ("db.users.update('k')", 15), ("db.users.find({a: 1, a: 2})", 21), ("db.users.find({a: b})", 18),
        ("db.users.limit(1)", 9),
    ])
    func pointsAtWhatIsWrong(text: String, offset: Int) {
        #expect { try ShellParser.parse(text) } throws: { ($0 as? TextProblem)?.offset == offset }
    }

    @Test func theMarkCountsColumnsAndShowsNoEscapes() {
        #expect(TextProblem(message: "here", offset: 6).pointing(into: "日本x") == "日本x\n    ^ here")
        #expect(TextProblem(message: "here", offset: 1).pointing(into: "\u{1B}x") == "\\u001bx\n      ^ here")
    }

    @Test func whatTheNodeNamesIsPointedAtWhenThereIsOneOfIt() {
        let text = "db.c.find({age: {$foo: 1}})"
        #expect(TextProblem(message: "here", about: "$foo", in: text)?.offset == 17)
        #expect(TextProblem(message: "here", about: "a", in: "db.a.find({a: 1})") == nil)
        #expect(TextProblem(message: "here", about: "", in: text) == nil)
    }

    @Test func theMarkStandsUnderTheProblem() {
        let problem = TextProblem(message: "here", offset: 8)
        #expect(problem.pointing(into: "ab\ncd \u{e4}f\ngh") == "cd \u{e4}f\n    ^ here")
    }
}

@Suite struct RelaxedJSONTests {
    @Test(arguments: [
        ("1", MessagePackValue.int(1)), ("-7", .int(-7)), ("+7", .int(7)), ("0x1F", .int(31)),
        ("18446744073709551615", .uint(.max)), ("100000000000000000000", .double(1e20)),
        ("1.5", .double(1.5)), ("1e3", .double(1000)), ("-2.5E-1", .double(-0.25)), (".5", .double(0.5)),
        ("-Infinity", .double(-.infinity)),
        ("true", .bool(true)), ("null", .null), (#""a\n\u00e4\ud83d\ude00""#, .string("a\n\u{e4}\u{1F600}")),
        ("'it\\'s'", .string("it's")),
        (#"{"$binary": "AAEC"}"#, .binary([0, 1, 2])), (#"{$ext: {type: -7, data: "AA=="}}"#, .ext(-7, [0])),
        (#"{$date: "2026-11-22T14:22:46Z"}"#, .ext(-1, [0x6B, 0x02, 0xFA, 0xB6])),
        ("{a.b: 1, 'c d': [1, 2,],}", .map([.init("a.b", 1), .init("c d", .array([1, 2]))])), ("[] // nothing", .array([])),
    ])
    func readsWhatPeopleType(text: String, value: MessagePackValue) throws {
        #expect(try RelaxedJSON.parse(text) == value)
    }

    @Test(arguments: [
        "", "{", "[1 2]", "{a 1}", "'open", "1x", "{a: 1, a: 1}", "{$date: 'soon'}", "\"\\q\"", "\"\\ud800\"", "1 2", "--1",
        "truth", "18446744073709551616", "0x1FFFFFFFFFFFFFFFF",
    ])
    func refusesWhatIsNoValue(text: String) {
        #expect(throws: TextProblem.self) { try RelaxedJSON.parse(text) }
    }

    @Test func refusesEndlessNesting() {
        #expect(throws: TextProblem.self) { try RelaxedJSON.parse(String(repeating: "[", count: 5000)) }
    }

    @Test func writtenValuesReadBackEqual() throws {
        let value: MessagePackValue = [
            "null": nil, "integers": [0, -1, .int(.min), .int(.max), .uint(.max)], "doubles": [1.5, 1e300, .double(.infinity)],
            "text": "quote \" backslash \\ newline \n bell \u{7} \u{1F600}", "bytes": .binary(Array(0...255)),
            "ext": .ext(5, [1, 2, 3]),
            "nested": [["a": [:]], []],
        ]
        let long: MessagePackValue = .array(Array(repeating: value, count: 3))
        #expect(try RelaxedJSON.parse(JSONText.write(value)) == value)
        #expect(try RelaxedJSON.parse(JSONLayout.pretty(long)) == long)
    }
}
