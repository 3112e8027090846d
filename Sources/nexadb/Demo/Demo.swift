import ArgumentParser
import CTerminal
import Glibc
import NexaBlockingClient
import NexaShell
import NexaWire

/// `nexadb demo`: a node of its own with sample data, and a shell at it, gone when the shell ends.
struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try the shell: a node with sample data in a temporary directory.",
        discussion: """
            The node listens on 127.0.0.1 alone, at a free port; it and its data are gone when the shell ends.

            EXAMPLES
              nexadb demo
              nexadb demo vectors --mode box
            """)

    @Argument(help: "What is in it.") var sample: DemoSample = .users
    @Option(name: .shortAndLong, help: "How results are shown.") var mode: OutputMode = .json

    func validate() throws {
        guard Console.isInputTerminal else { throw ValidationError("the demonstration is for a person at a terminal") }
    }

    func run() throws {
        try ToolExit.guarded {
            let signals = HeldSignals()
            let node = try DemoNode(heeding: signals)
            defer { node.stop() }
            signals.end(after: {
                nexa_terminal_restore()
                node.stop()
            })
            let target = ShellTarget(node.endpoint)
            let connection = try ShellConnection(target)
            try fill(connection.usable())
            Console.note(
                """
                a node with \(sample.count) \(sample.rawValue) listens at \(node.endpoint) until you leave (Ctrl-D). Try:
                \(sample.suggestions.map { "  " + $0 }.joined(separator: "\n"))
                """)
            var conversation = Conversation(
                ShellSession(connection, results: Results(mode: mode), database: "default", findLimit: ShellSession.page), target)
            conversation.run()
        }
    }

    private func fill(_ connection: ClientConnection) throws(ClientError) {
        _ = try connection.request(
            .batchWrite, ["collection": .string(sample.rawValue), "documents": .array((0..<sample.count).map(sample.document))])
    }
}
