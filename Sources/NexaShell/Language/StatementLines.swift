/// Gathers lines until the brackets that they open are closed. Each line is looked at once.
package struct StatementLines {
    package private(set) var text = ""
    private var depth = 0

    package init() {}

    package var isEmpty: Bool { text.isEmpty }

    /// Adds a line; true when the statement is complete with it. A text without its closing quote is an error, not something to go on with.
    package mutating func add(_ line: String) -> Bool {
        text += (text.isEmpty ? "" : "\n") + line
        var scanner = RelaxedJSON(line)
        while true {
            scanner.skipSpace()
            guard let byte = scanner.next else { return depth <= 0 }
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                guard (try? scanner.quoted()) != nil else { return true }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "("): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ")"): depth -= 1
            default: break
            }
            scanner.position += 1
        }
    }
}
