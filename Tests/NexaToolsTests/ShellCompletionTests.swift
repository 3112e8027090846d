import NexaShell
import NexaWire
import Testing

/// What the Tab key offers, decided from the line and what the node knows.
@Suite struct ShellCompletionTests {
    private let vocabulary: Completion.Vocabulary = {
        var vocabulary = Completion.Vocabulary()
        vocabulary.databases = ["default", "shop"]
        vocabulary.collections = ["app.logs", "odd-name", "orders", "users"]
        vocabulary.fields = ["_id", "age", "address", "address.city", "address.street"]
        return vocabulary
    }()

    private func candidates(_ line: String) -> [String] {
        Completion.candidates(at: CompletionPlace(before: line), vocabulary).map(\.text)
    }

    /// The line as it is after the key.
    private func completed(_ line: String) -> String {
        let place = CompletionPlace(before: line)
        return line + Completion.insertion(Completion.candidates(at: place, vocabulary), typed: place.typed)
    }

    @Test(arguments: [
        ("sh", "show "), ("show co", "show collections"), ("use sh", "use shop"), ("db.us", "db.users."),
        ("db.users.findO", "db.users.findOne("),
        ("db.app.lo", "db.app.logs."), ("db.users.find().so", "db.users.find().sort("),
        ("db.users.find({ag", "db.users.find({age: "),
        ("db.users.find({age: {$gte", "db.users.find({age: {$gte: "), ("db.users.find({$o", "db.users.find({$or: ["),
        ("db.users.find({$or: [{ag", "db.users.find({$or: [{age: "),
        ("db.users.find({\"address.ci", "db.users.find({\"address.city: "),
        ("db.users.find({address.c", "db.users.find({address.city: "),
        ("db.users.find().sort({ag", "db.users.find().sort({age: "),
        ("db.users.update('k', {ag", "db.users.update('k', {age: "), (".mo", ".mode "), (".mode ma", ".mode markdown"),
        ("help mo", "help modes"), ("db['us", "db['users\"]."), ("db['users'].fin", "db['users'].find"),
        ("ping; st", "ping; status"),
        ("db.users.find({\n  ag", "db.users.find({\n  age: "), ("db.users.find({a: 'x,{', ag", "db.users.find({a: 'x,{', age: "),
    ])
    func putsBehindTheWordWhatIsSure(line: String, after: String) {
        #expect(completed(line) == after)
    }

    @Test func offersWhatGoesOnWithTheWord() {
        #expect(candidates("db.users.find({age: {$g") == ["$gt", "$gte"])
        #expect(candidates("show ") == ["collections", "databases", "users"])
        #expect(candidates("db.").contains("users") && candidates("db.").contains("createCollection"))
        #expect(!candidates("db.").contains("odd-name"), "it needs quotes")
        #expect(candidates("db[\"").contains("odd-name"))
        #expect(candidates("db.users.find({").contains("$and") && !candidates("db.users.insert({").contains("$and"))
        #expect(candidates("db.users.find({}, {").contains("age") && !candidates("db.users.find({}, {").contains("$and"))
        #expect(candidates("REA").isEmpty == false && candidates("REA") == ["READ"])
    }

    @Test(arguments: [
        "db.users.find({age: ", "db.users.find({name: 'Ann", "db.users.drop().", "nonsense ", "db.users.find([", "READ {coll",
    ])
    func offersNothingWhereNothingIsSure(line: String) {
        #expect(candidates(line).isEmpty)
    }

    @Test func knowsWhichCollectionTheFieldsAreOf() {
        #expect(CompletionPlace(before: "db.users.find({").kind == .field(collection: "users", isFilter: true))
        #expect(CompletionPlace(before: "db.app.logs.find().sort({").kind == .field(collection: "app.logs", isFilter: false))
        #expect(CompletionPlace(before: "db[\"odd-name\"].count({").kind == .field(collection: "odd-name", isFilter: true))
    }

    @Test func namesOfFilesAreNoWordsOfTheLanguage() {
        #expect(CompletionPlace(before: ".read /tmp/a-b.ne") == CompletionPlace(before: "ping\n .read  /tmp/a-b.ne"))
        #expect(CompletionPlace(before: ".output x").kind == .file(isQuoted: false))
        #expect(CompletionPlace(before: ".output x").typed == "x" && CompletionPlace(before: ".output 'x y").typed == "x y")
        #expect(CompletionPlace(before: ".read").kind == .dotCommand)
    }

    @Test func namesOfFilesAreOfferedWhereTheParserTakesThem() {
        var vocabulary = Completion.Vocabulary()
        vocabulary.files = ["a b", "a'b", "a;b", "ab"]
        func offered(_ line: String) -> [String] {
            Completion.candidates(at: CompletionPlace(before: line), vocabulary).map(\.text)
        }
        #expect(offered(".read a") == ["ab"])
        #expect(offered(".read \"a") == ["a b", "a;b", "ab"])
    }

    @Test func fieldsAreThePathsOfTheDocuments() {
        let documents: [MessagePackValue] = [
            ["_id": "a", "address": ["city": "Rome"]],
            ["_id": "b", "items": [["sku": 1], ["sku": 2]], "odd key": 1, "größe": 2],
        ]
        #expect(FieldPaths.of(documents) == ["_id", "address", "address.city", "items", "items.sku", "größe"])
    }

    @Test func everyWordThatIsOfferedIsUnderstood() throws {
        for method in ShellWords.collectionMethods {
            #expect(throws: Never.self, "\(method)") { try ShellParser.parse("db.c.\(method)('k', {a: 1})") }
        }
        for method in ShellWords.chainMethods where method != "limit" && method != "skip" {
            #expect(throws: Never.self, "\(method)") { try ShellParser.parse("db.c.find().\(method)({a: 1})") }
        }
        for topic in HelpText.topics { #expect(HelpText.text(topic) != nil) }
        for command in ShellWords.dotCommands where command != "read" {
            #expect(throws: Never.self, "\(command)") { try ShellParser.parse("." + command) }
        }
        for list in ShellWords.showable { #expect(throws: Never.self, "\(list)") { try ShellParser.parse("show \(list)") } }
    }

    @Test func wordsStandInColumns() {
        #expect(ColumnLayout.text(["a", "bb", "ccc", "d", "e"], width: 12) == "a    d\nbb   e\nccc")
        #expect(ColumnLayout.text(["名前", "b"], width: 20) == "名前  b")
    }
}
