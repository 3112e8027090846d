/// Commands that begin with a dot: settings of the shell and files. Their arguments are words up to the end of the line.
extension ShellParser {
    mutating func dotCommand(at start: Int) throws(TextProblem) -> ShellCommand {
        guard let name = scanner.name() else { throw scanner.problem("expected a command behind the dot, such as .mode") }
        let offset = scanner.position
        let words = try wordsOfLine()
        guard words.count <= 1 else { throw scanner.problem(".\(name) takes one word", at: offset) }
        let word = words.first
        switch name {
        case "exit", "quit": return .exit
        case "help": return .help(topic: word)
        case "mode": return .setting(.mode(try word.map { word throws(TextProblem) in try mode(word, offset) }))
        case "timer": return .setting(.timer(try word.map { word throws(TextProblem) in try onOrOff(word, offset) }))
        case "output": return .setting(.output(path: word))
        case "read":
            guard let word else { throw scanner.problem(".read needs the name of a file", at: offset) }
            return .script(path: word)
        case "read_concern":
            guard word == nil || word == "off" || ShellWords.readConcerns.contains(word!) else {
                throw unknown("read concern", word!, among: ShellWords.readConcerns, at: offset)
            }
            return .setting(.readConcern(word == "off" ? nil : word))
        case "max_staleness":
            if word == nil || word == "off" { return .setting(.maxStaleness(nil)) }
            guard let limit = word.flatMap(Int64.init), limit >= 0 else {
                throw scanner.problem(".max_staleness takes milliseconds, or off", at: offset)
            }
            return .setting(.maxStaleness(limit))
        default: throw unknown("command", "." + name, among: ShellWords.dotCommands.map { "." + $0 }, at: start)
        }
    }

    private func mode(_ word: String, _ offset: Int) throws(TextProblem) -> OutputMode {
        if let mode = OutputMode(word) { return mode }
        throw unknown("mode", word, among: OutputMode.allCases.map(\.rawValue), at: offset)
    }

    private func onOrOff(_ word: String, _ offset: Int) throws(TextProblem) -> Bool {
        guard word == "on" || word == "off" else { throw scanner.problem("expected on or off", at: offset) }
        return word == "on"
    }

    /// What is left of the line, up to a `;` or a comment, as words; a word with spaces takes quotes.
    mutating func wordsOfLine() throws(TextProblem) -> [String] {
        var words: [String] = []
        while let byte = scanner.next, byte != 10, byte != UInt8(ascii: ";"), !scanner.isAtComment {
            if byte == 32 || byte == 9 || byte == 13 {
                scanner.position += 1
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                words.append(try scanner.quoted())
            } else {
                let start = scanner.position
                while let byte = scanner.next, byte > 32, byte != UInt8(ascii: ";") { scanner.position += 1 }
                words.append(String(decoding: scanner.bytes[start..<scanner.position], as: UTF8.self))
            }
        }
        return words
    }
}
