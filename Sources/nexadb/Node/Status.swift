import ArgumentParser
import NexaBlockingClient
import NexaShell
import NexaWire

/// `nexadb status`: what a node says about itself.
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a node says about itself: version, role, position, sizes, load.",
        discussion: """
            The fields are those of the STATUS answer, described in docs/protocol.md; nested ones are shown with dots.

            EXAMPLES
              nexadb status
              nexadb status --json | python3 -m json.tool

            EXIT CODES  0 shown, 1 failed, 5 the node cannot be reached.
            """)

    @OptionGroup var node: NodeOptions
    @Flag(help: "Print the answer as JSON.") var json = false

    func run() throws {
        try ToolExit.guarded {
            let connection = try ClientConnection.open(node.endpoint(), node.clientOptions(name: "nexadb-status"))
            let status = try connection.request(.status).payload
            if json {
                Console.say(JSONLayout.pretty(status))
            } else {
                for line in Self.table(status) { Console.say(line) }
            }
        }
    }

    /// One line a value, names padded to one width.
    static func table(_ status: MessagePackValue) -> [String] {
        var rows: [(name: String, value: String)] = []
        flatten(status, name: "", into: &rows)
        let width = rows.map(\.name.count).max() ?? 0
        return rows.map { TerminalText.visible(Console.left($0.name, width + 2) + $0.value) }
    }

    private static func flatten(_ value: MessagePackValue, name: String, into rows: inout [(name: String, value: String)]) {
        switch value {
        case .map(let entries) where !entries.isEmpty:
            for entry in entries {
                let key = entry.key.stringValue ?? JSONText.write(entry.key)
                flatten(entry.value, name: name.isEmpty ? key : name + "." + key, into: &rows)
            }
        case .int(let number) where name.hasSuffix("bytes") && number >= 1024:
            rows.append((name, "\(number) (\(Console.bytes(UInt64(number))))"))
        case .string(let text): rows.append((name, text))
        default: rows.append((name, JSONText.write(value)))
        }
    }
}
