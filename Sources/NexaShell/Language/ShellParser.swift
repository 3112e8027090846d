import NexaWire

/// Reads the shell's language: a few words (`show`, `use`, ...), settings that begin with a dot, `db.COLLECTION.METHOD(...)` calls with
/// chained modifiers, and messages by name. It looks like the MongoDB shell and is not JavaScript: there are no variables, functions or
/// operators.
package struct ShellParser {
    var scanner: RelaxedJSON

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
        if scanner.take(".") { return try dotCommand(at: start) }
        guard let word = scanner.name() else { throw scanner.problem("expected a command; try help") }
        switch word {
        case "help": return .help(topic: try wordsOfLine().first)
        case "exit", "quit": return .exit
        case "it": return .more
        case "ping": return .ping
        case "status": return .status
        case "show": return try show()
        case "use":
            guard let name = try nameOrText() else { throw scanner.problem("use needs the name of a database") }
            return .use(name)
        case "db": return try database()
        default:
            // CURSOR_CREDIT has no answer that one could show.
            guard let type = MessageType.allCases.first(where: { $0.isRequest && $0 != .cursorCredit && $0.name == word }) else {
                throw unknown("command", word, among: ShellWords.commands + ShellWords.messages, at: start)
            }
            return .raw(type, try payload())
        }
    }

    /// A word that is none of the language, and what may have been meant.
    func unknown(_ kind: String, _ word: String, among words: [String], at offset: Int) -> TextProblem {
        let hint = ShellWords.nearest(to: word, among: words).map { "did you mean \($0)?" } ?? "try help"
        return scanner.problem("unknown \(kind) '\(word)'; \(hint)", at: offset)
    }

    private mutating func show() throws(TextProblem) -> ShellCommand {
        scanner.skipSpace()
        let start = scanner.position
        switch scanner.name() {
        case "dbs", "databases": return .showDatabases
        case "collections", "tables": return .showCollections
        case "users": return .showUsers
        case let word?: throw unknown("list", word, among: ShellWords.showable, at: start)
        case nil: throw scanner.problem("show databases, show collections, or show users", at: start)
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

    mutating func nameOrText() throws(TextProblem) -> String? {
        scanner.skipSpace()
        if scanner.next == UInt8(ascii: "\"") || scanner.next == UInt8(ascii: "'") { return try scanner.quoted() }
        return scanner.name()
    }
}
