import NexaWire

/// Where in the language the cursor stands, from the text in front of it alone.
package struct CompletionPlace: Equatable {
    package enum Kind: Equatable {
        case command
        case dotCommand
        case showable
        case database
        case topic
        case mode
        case onOrOff
        case readConcern
        /// The name of a file, as it stands or between quotes.
        case file(isQuoted: Bool)
        /// Behind `db.`
        case databaseMember
        /// Behind `db.NAME.`: a method, or the rest of a name with dots.
        case collectionMember(String)
        /// Behind `find(...).`
        case chain
        /// A key of a document, or of a filter, which has `$and` and the like beside its fields.
        case field(collection: String, isFilter: Bool)
        /// A key of what is asked of one field.
        case condition
        /// Between the quotes of `db["`
        case collectionInQuotes
        case nothing
    }

    package let kind: Kind
    /// What was typed of the word.
    package let typed: String

    package init(before text: String) {
        if let name = Self.fileName(text) {
            let isQuoted = name.first == "\"" || name.first == "'"
            self.init(.file(isQuoted: isQuoted), String(isQuoted ? name.dropFirst() : name))
            return
        }
        var walk = Walk(text)
        self = walk.place()
    }

    /// What was typed of the name of a file: it is no word of the language.
    private static func fileName(_ text: String) -> Substring? {
        let line = text.split(separator: "\n", omittingEmptySubsequences: false).last ?? ""
        let words = line.drop { $0 == " " }.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard words.count == 2, words[0] == ".read" || words[0] == ".output" else { return nil }
        return words[1].drop { $0 == " " }
    }

    fileprivate init(_ kind: Kind, _ typed: String) {
        self.kind = kind
        self.typed = typed
    }
}

/// Goes over unfinished text and remembers what is open.
private struct Walk {
    /// A word, dot or finished call outside of brackets, since the statement began.
    private enum Step: Equatable {
        case name(String)
        case dot, call
    }

    /// An open bracket.
    private struct Frame {
        let bracket: UInt8
        /// Of a map: the key that stands, or begins to stand, there.
        var key = ""
        var awaitsValue = false
        /// Of a call: how many arguments came before.
        var argument = 0
    }

    private var scanner: RelaxedJSON
    private var steps: [Step] = []
    private var frames: [Frame] = []
    private var lastText = ""

    private static let filterMethods = ["find", "findOne", "count", "countDocuments"]

    init(_ text: String) { scanner = RelaxedJSON(text) }

    mutating func place() -> CompletionPlace {
        while true {
            let before = scanner.position
            scanner.skipSpace()
            let skipped = scanner.bytes[before..<scanner.position]
            if frames.isEmpty, skipped.contains(10) { steps.removeAll() }
            guard let byte = scanner.next else { return place(word: "", isApart: !skipped.isEmpty) }
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                let start = scanner.position + 1
                guard let text = try? scanner.quoted() else {
                    return placeInQuotes(String(decoding: scanner.bytes[start...], as: UTF8.self))
                }
                lastText = text
                if isAtKey { frames[frames.count - 1].key = text }
            } else if let word = scanner.name() {
                if scanner.isAtEnd { return place(word: word, isApart: !skipped.isEmpty) }
                if frames.isEmpty { steps.append(.name(word)) } else if isAtKey { frames[frames.count - 1].key += word }
            } else {
                scanner.position += 1
                take(byte)
            }
        }
    }

    private var isAtKey: Bool { frames.last.map { $0.bracket == UInt8(ascii: "{") && !$0.awaitsValue } ?? false }

    private mutating func take(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "("): frames.append(Frame(bracket: byte))
        case UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ")"):
            _ = frames.popLast()
            // db["name"] is another way to write db.name
            if frames.isEmpty { steps += byte == UInt8(ascii: "]") ? [.dot, .name(lastText)] : [.call] }
        case UInt8(ascii: ","):
            guard !frames.isEmpty else { return }
            frames[frames.count - 1].key = ""
            frames[frames.count - 1].awaitsValue = false
            frames[frames.count - 1].argument += 1
        case UInt8(ascii: ":"): if !frames.isEmpty { frames[frames.count - 1].awaitsValue = true }
        case UInt8(ascii: "."): if frames.isEmpty { steps.append(.dot) } else if isAtKey { frames[frames.count - 1].key += "." }
        case UInt8(ascii: ";"): if frames.isEmpty { steps.removeAll() }
        default: break
        }
    }

    // MARK: Decisions

    private func place(word: String, isApart: Bool) -> CompletionPlace {
        if !frames.isEmpty { return isAtKey ? placeOfKey(frames.last!.key + word) : CompletionPlace(.nothing, word) }
        let kind: CompletionPlace.Kind =
            switch steps {
            case []: .command
            case [.dot]: .dotCommand
            case [.name("show")] where isApart: .showable
            case [.name("use")] where isApart: .database
            case [.name("help")] where isApart, [.dot, .name("help")] where isApart: .topic
            case [.dot, .name("mode")] where isApart: .mode
            case [.dot, .name("timer")] where isApart: .onOrOff
            case [.dot, .name("read_concern")] where isApart: .readConcern
            default: kindBehindDatabase
            }
        return CompletionPlace(kind, word)
    }

    private var kindBehindDatabase: CompletionPlace.Kind {
        guard steps.first == .name("db"), steps.last == .dot else { return .nothing }
        if steps.count == 2 { return .databaseMember }
        guard let call = steps.firstIndex(of: .call) else { return .collectionMember(names(steps).joined(separator: ".")) }
        return steps[call - 1] == .name("find") ? .chain : .nothing
    }

    private func names(_ steps: some Sequence<Step>) -> [String] {
        steps.dropFirst().compactMap { if case .name(let name) = $0 { name } else { nil } }
    }

    private func placeInQuotes(_ text: String) -> CompletionPlace {
        if isAtKey { return placeOfKey(text) }
        if frames.count == 1, frames[0].bracket == UInt8(ascii: "["), steps == [.name("db")] {
            return CompletionPlace(.collectionInQuotes, text)
        }
        return CompletionPlace(.nothing, text)
    }

    /// The last open bracket is a map and the cursor stands at one of its keys.
    private func placeOfKey(_ typed: String) -> CompletionPlace {
        guard steps.first == .name("db"), case .name(let method) = steps.last, frames[0].bracket == UInt8(ascii: "(") else {
            return CompletionPlace(.nothing, typed)
        }
        let path = names(steps.prefix { $0 != .call })
        let collection = path.dropLast().joined(separator: ".")
        guard Self.filterMethods.contains(method), frames[0].argument == 0 else {
            return CompletionPlace(frames.count == 2 ? .field(collection: collection, isFilter: false) : .nothing, typed)
        }
        // The key under which this map stands says whether it is a filter or what is asked of one field.
        let outer = frames.dropLast().last { $0.bracket == UInt8(ascii: "{") }
        if let outer, !ShellWords.connectives.contains(outer.key) { return CompletionPlace(.condition, typed) }
        return CompletionPlace(.field(collection: collection, isFilter: true), typed)
    }
}
