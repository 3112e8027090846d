/// What may stand where the cursor is: pure, so that tests read like a session.
package enum Completion {
    /// What the node knows; the rest is `ShellWords`.
    package struct Vocabulary: Equatable {
        package var databases: [String] = []
        package var collections: [String] = []
        /// Paths of fields, seen in some documents of the collection that the line is about.
        package var fields: [String] = []
        /// Paths that go on with what was typed; those of folders end in a slash.
        package var files: [String] = []

        package init() {}
    }

    package struct Candidate: Equatable {
        package let text: String
        /// What follows when there is no other candidate.
        package let ending: String
    }

    /// The words that go on with what was typed, in order.
    package static func candidates(at place: CompletionPlace, _ vocabulary: Vocabulary) -> [Candidate] {
        var seen: Set<String> = []
        return all(place, vocabulary)
            .filter { $0.text.hasPrefix(place.typed) && seen.insert($0.text).inserted }
            .sorted { $0.text < $1.text }
    }

    /// What the Tab key puts behind the word: as much as all candidates have in common.
    package static func insertion(_ candidates: [Candidate], typed: String) -> String {
        guard let first = candidates.first else { return "" }
        if candidates.count == 1 { return first.text.dropFirst(typed.count) + first.ending }
        let common = candidates.dropFirst().reduce(first.text) { common, candidate in
            String(zip(common, candidate.text).prefix { $0 == $1 }.map(\.0))
        }
        return String(common.dropFirst(typed.count))
    }

    private static func all(_ place: CompletionPlace, _ vocabulary: Vocabulary) -> [Candidate] {
        switch place.kind {
        case .command:
            with(ShellWords.commands.filter { !["show", "use", "db"].contains($0) }) + with(["show", "use"], " ")
                + with(["db"], ".")
                + (place.typed.isEmpty ? [] : with(ShellWords.messages, " "))
        case .dotCommand: with(["exit", "quit"]) + with(ShellWords.dotCommands.filter { $0 != "exit" && $0 != "quit" }, " ")
        case .showable: with(ShellWords.showable)
        case .database: with(vocabulary.databases)
        case .topic: with(HelpText.topics)
        case .mode: with(OutputMode.allCases.map(\.rawValue))
        case .onOrOff: with(["off", "on"])
        case .readConcern: with(ShellWords.readConcerns + ["off"])
        case .file(let isQuoted): with(vocabulary.files.filter { isReadable($0, isQuoted: isQuoted) })
        case .databaseMember: with(vocabulary.collections.filter(isPlain), ".") + with(ShellWords.databaseMethods, "(")
        case .collectionMember(let name):
            with(ShellWords.collectionMethods, "(")
                + with(
                    vocabulary.collections.filter { $0.hasPrefix(name + ".") && isPlain($0) }.map {
                        String($0.dropFirst(name.count + 1))
                    }, ".")
        case .chain: with(ShellWords.chainMethods, "(")
        case .field(_, let isFilter): with(vocabulary.fields, ": ") + (isFilter ? with(ShellWords.connectives, ": [") : [])
        case .condition: with(ShellWords.conditions, ": ")
        case .collectionInQuotes: with(vocabulary.collections, "\"].")
        case .nothing: []
        }
    }

    private static func with(_ texts: [String], _ ending: String = "") -> [Candidate] {
        texts.map { Candidate(text: $0, ending: ending) }
    }

    /// Whether the parser takes a path as it stands, or between the quotes that were begun.
    private static func isReadable(_ path: String, isQuoted: Bool) -> Bool {
        let separators: [UInt8] = isQuoted ? [0x22, 0x27, 0x5C] : [0x20, 0x22, 0x27, 0x3B]
        return path.utf8.allSatisfy { $0 >= 0x20 && !separators.contains($0) }
    }

    /// Whether a name can stand behind `db.` without quotes.
    private static func isPlain(_ name: String) -> Bool { !name.contains("-") }
}
