import NexaWire

/// Reads the shell's language: a few words (`show`, `use`, ...), `db.COLLECTION.METHOD(...)` calls with chained modifiers, and messages by
/// name. It looks like the MongoDB shell and is not JavaScript: there are no variables, functions or operators.
package struct ShellParser {
    private var scanner: RelaxedJSON

    private init(_ text: String) { scanner = RelaxedJSON(text) }

    /// All statements of `text`: one a line, or separated by `;`. A statement may go over several lines inside brackets.
    package static func parse(_ text: String) throws(TextProblem) -> [ShellCommand] {
        var parser = ShellParser(text)
        var commands: [ShellCommand] = []
        while true {
            parser.scanner.skipSpace()
            while parser.scanner.take(";") { parser.scanner.skipSpace() }
            if parser.scanner.isAtEnd { return commands }
            commands.append(try parser.statement())
            try parser.expectEnd()
        }
    }

    /// Whether `text` ends inside brackets, so that another line belongs to it.
    package static func isUnfinished(_ text: String) -> Bool {
        var scanner = RelaxedJSON(text)
        var depth = 0
        while true {
            scanner.skipSpace()
            guard let byte = scanner.next else { return depth > 0 }
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                // A text without its closing quote is an error, not something to go on with.
                guard (try? scanner.quoted()) != nil else { return false }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "("): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ")"): depth -= 1
            default: break
            }
            scanner.position += 1
        }
    }

    /// A statement ends at a line's end, a `;` or the end of the text.
    private mutating func expectEnd() throws(TextProblem) {
        let before = scanner.position
        scanner.skipSpace()
        if scanner.isAtEnd || scanner.next == UInt8(ascii: ";") { return }
        guard scanner.bytes[before..<scanner.position].contains(10) else {
            throw scanner.problem("expected the end of the command")
        }
    }

    private mutating func statement() throws(TextProblem) -> ShellCommand {
        let start = scanner.position
        guard let word = scanner.name() else { throw scanner.problem("expected a command; try help") }
        switch word {
        case "help": return .help
        case "exit", "quit": return .exit
        case "ping": return .ping
        case "status": return .status
        case "show": return try show()
        case "use":
            guard let name = try nameOrText() else { throw scanner.problem("use needs the name of a database") }
            return .use(name)
        case "db": return try database()
        default:
            guard let type = MessageType.allCases.first(where: { $0.isRequest && $0.name == word }) else {
                throw scanner.problem("unknown command '\(word)'; try help", at: start)
            }
            return .raw(type, try payload())
        }
    }

    private mutating func show() throws(TextProblem) -> ShellCommand {
        scanner.skipSpace()
        let start = scanner.position
        switch scanner.name() {
        case "dbs", "databases": return .showDatabases
        case "collections", "tables": return .showCollections
        default: throw scanner.problem("show databases, or show collections", at: start)
        }
    }

    /// A payload behind a message name; none is an empty map.
    private mutating func payload() throws(TextProblem) -> MessagePackValue {
        let before = scanner.position
        scanner.skipSpace()
        let isOnSameLine = !scanner.bytes[before..<scanner.position].contains(10)
        guard isOnSameLine, let byte = scanner.next, byte != UInt8(ascii: ";") else { return [:] }
        return try scanner.value()
    }

    private mutating func nameOrText() throws(TextProblem) -> String? {
        scanner.skipSpace()
        if scanner.next == UInt8(ascii: "\"") || scanner.next == UInt8(ascii: "'") { return try scanner.quoted() }
        return scanner.name()
    }

    // MARK: db....

    private mutating func database() throws(TextProblem) -> ShellCommand {
        if scanner.next == UInt8(ascii: "[") {
            try scanner.expect("[", "")
            let collection = try scanner.quoted()
            try scanner.expect("]", "after the name of the collection")
            return try collectionCall(collection)
        }
        guard scanner.next == UInt8(ascii: ".") else { return .currentDatabase }
        try scanner.expect(".", "")
        let start = scanner.position
        guard let word = scanner.name() else { throw scanner.problem("expected the name of a collection after 'db.'") }
        if scanner.next != UInt8(ascii: "(") { return try collectionCall(try restOfName(word)) }
        let arguments = try arguments()
        switch word {
        case "createCollection":
            return .createCollection(try text(arguments, 0, "the name of the collection"), arguments.value(1))
        case "getCollection": return try collectionCall(try text(arguments, 0, "the name of the collection"))
        case "dropDatabase": return .dropDatabase
        case "stats": return .databaseStats
        case "getCollectionNames": return .showCollections
        default:
            throw scanner.problem(
                "a database has createCollection, getCollection, getCollectionNames, stats and dropDatabase, not '\(word)'",
                at: start)
        }
    }

    /// Names of collections may have dots: all but the last part, which is the method.
    private mutating func restOfName(_ first: String) throws(TextProblem) -> String {
        var name = first
        while true {
            let before = scanner.position
            guard scanner.take("."), let part = scanner.name() else {
                throw scanner.problem("expected '.' and a method, as in db.\(name).find()")
            }
            if scanner.next == UInt8(ascii: "(") {
                scanner.position = before
                return name
            }
            name += "." + part
        }
    }

    private mutating func collectionCall(_ collection: String) throws(TextProblem) -> ShellCommand {
        guard scanner.take(".") else { throw scanner.problem("expected '.' and a method, as in db.\(collection).find()") }
        let start = scanner.position
        guard let method = scanner.name() else { throw scanner.problem("expected a method, such as find") }
        let arguments = try arguments()
        switch method {
        case "find", "findOne":
            var find = ShellCommand.Find(collection: collection, filters: arguments.value(0))
            find.projection = arguments.value(1)
            if method == "findOne" {
                if let key = find.filters?.stringValue { return .get(collection: collection, key: key) }
                find.limit = 1
                return .findOne(find)
            }
            return try chain(find)
        case "count", "countDocuments": return .count(ShellCommand.Find(collection: collection, filters: arguments.value(0)))
        case "get": return .get(collection: collection, key: try text(arguments, 0, "the key"))
        case "insert", "insertOne", "insertMany":
            let document = try value(arguments, 0, "a document")
            return document.arrayValue == nil
                ? .insert(collection: collection, document: document) : .insertMany(collection: collection, documents: document)
        case "update", "updateOne":
            return .update(
                collection: collection, key: try key(arguments), updates: try value(arguments, 1, "the fields to change"))
        case "delete", "deleteOne", "remove": return .delete(collection: collection, key: try key(arguments))
        case "drop": return .drop(collection: collection)
        case "stats": return .stats(collection: collection)
        case "vectorSearch":
            return .vectorSearch(
                collection: collection, vector: try value(arguments, 0, "a vector"), options: arguments.value(1))
        default:
            throw scanner.problem(
                "a collection has find, findOne, get, count, insert, update, delete, vectorSearch, stats and drop, not '\(method)'",
                at: start)
        }
    }

    /// `.sort({})`, `.limit(n)`, `.skip(n)`, `.project({})` and `.count()` behind a find.
    private mutating func chain(_ first: ShellCommand.Find) throws(TextProblem) -> ShellCommand {
        var find = first
        while scanner.take(".") {
            let start = scanner.position
            let method = scanner.name()
            let arguments = try arguments()
            switch method {
            case "sort": find.sort = try value(arguments, 0, "fields with 1 or -1")
            case "project": find.projection = try value(arguments, 0, "fields with 1 or 0")
            case "limit": find.limit = try number(arguments)
            case "skip": find.skip = try number(arguments)
            case "count": return .count(find)
            default: throw scanner.problem("find takes .sort, .limit, .skip, .project and .count", at: start)
            }
        }
        return .find(find)
    }

    // MARK: Arguments

    /// The values between parentheses, and where they stand.
    private struct Arguments {
        var values: [MessagePackValue] = []
        var offset: Int
        func value(_ index: Int) -> MessagePackValue? { values.indices.contains(index) ? values[index] : .none }
    }

    private mutating func arguments() throws(TextProblem) -> Arguments {
        var arguments = Arguments(offset: scanner.position)
        try scanner.expect("(", "with the arguments")
        while !scanner.take(")") {
            arguments.values.append(try scanner.value())
            if scanner.take(")") { break }
            try scanner.expect(",", "or ')' in the arguments")
        }
        return arguments
    }

    private func value(_ arguments: Arguments, _ index: Int, _ what: String) throws(TextProblem) -> MessagePackValue {
        guard let value = arguments.value(index) else {
            throw scanner.problem("argument \(index + 1) is \(what)", at: arguments.offset)
        }
        return value
    }

    private func text(_ arguments: Arguments, _ index: Int, _ what: String) throws(TextProblem) -> String {
        guard let text = arguments.value(index)?.stringValue else {
            throw scanner.problem("argument \(index + 1) is \(what), in quotes", at: arguments.offset)
        }
        return text
    }

    /// The key of one document: a text, or `{_id: "text"}` as MongoDB's shell wants it.
    private func key(_ arguments: Arguments) throws(TextProblem) -> String {
        if let entries = arguments.value(0)?.mapValue, entries.count == 1, let key = arguments.value(0)?["_id"]?.stringValue {
            return key
        }
        return try text(arguments, 0, "the _id of one document")
    }

    private func number(_ arguments: Arguments) throws(TextProblem) -> Int64 {
        guard let number = arguments.value(0)?.intValue, number >= 0 else {
            throw scanner.problem("expected a number that is not negative", at: arguments.offset)
        }
        return number
    }
}
