import NexaWire

/// Methods of a collection, and what is chained behind a find.
extension ShellParser {
    mutating func collectionCall(_ collection: String) throws(TextProblem) -> ShellCommand {
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
                ? .insert(collection: collection, document: document, options: arguments.value(1))
                : .insertMany(collection: collection, documents: document, options: arguments.value(1))
        case "put":
            return .put(collection: collection, key: try key(arguments), document: try value(arguments, 1, "the document"))
        case "update", "updateOne":
            let updates = Self.withoutSet(try value(arguments, 1, "the fields to change"))
            return .update(
                collection: collection, key: try key(arguments), updates: updates, options: arguments.value(2))
        case "delete", "deleteOne", "remove":
            return .delete(collection: collection, key: try key(arguments), options: arguments.value(1))
        case "drop": return .drop(collection: collection)
        case "stats": return .stats(collection: collection)
        case "vectorSearch":
            return .vectorSearch(
                collection: collection, vector: try value(arguments, 0, "a vector"), options: arguments.value(1))
        default: throw unknown("method of a collection", method, among: ShellWords.collectionMethods, at: start)
        }
    }

    /// `{$set: {a: 1}}` as MongoDB's shell wants it says what `{a: 1}` says here, as long as it names whole fields.
    private static func withoutSet(_ updates: MessagePackValue) -> MessagePackValue {
        guard let entries = updates.mapValue, entries.count == 1, let fields = updates["$set"], let names = fields.mapValue,
            names.allSatisfy({ $0.key.stringValue?.contains(".") == false })
        else { return updates }
        return fields
    }

    /// What may stand behind a find: `.sort({})`, `.limit(n)`, `.skip(n)`, `.project({})`, `.pretty()`, and at last `.count()` or
    /// `.explain()`.
    private mutating func chain(_ first: ShellCommand.Find) throws(TextProblem) -> ShellCommand {
        var find = first
        while let (method, start) = try link() {
            let arguments = try arguments()
            switch method {
            case "sort": find.sort = try value(arguments, 0, "fields with 1 or -1")
            case "project": find.projection = try value(arguments, 0, "fields with 1 or 0")
            case "limit": find.limit = try number(arguments)
            case "skip": find.skip = try number(arguments)
            case "pretty": break
            case "count": return .count(find)
            case "explain": return .explain(find)
            default: throw unknown("method of a find", method, among: ShellWords.chainMethods, at: start)
            }
        }
        return .find(find)
    }

    /// The next method of a chain and where it stands. A line that begins with a dot goes on with a chain only if what follows is a
    /// method of it: otherwise it is a command of its own.
    private mutating func link() throws(TextProblem) -> (method: String, start: Int)? {
        let before = scanner.position
        guard scanner.take(".") else { return nil }
        let isOnNewLine = scanner.bytes[before..<scanner.position].contains(10)
        let start = scanner.position
        let method = scanner.name()
        if isOnNewLine, method.map(ShellWords.chainMethods.contains) != true {
            scanner.position = before
            return nil
        }
        guard let method else { throw scanner.problem("expected a method, such as sort") }
        return (method, start)
    }
}
