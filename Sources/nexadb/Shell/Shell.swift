import ArgumentParser
import NexaBlockingClient
import NexaShell
import NexaWire

/// `nexadb shell`: commands from options, files, a pipe or a person.
struct Shell: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Talk to a node: queries and changes as you would type them.",
        discussion: """
            Commands come from -e and from files, in the order given; without either from standard input, with a prompt when that is \
            a terminal. Results are JSON on standard output, one value a line when that is a pipe. Messages go to standard error.

            The first command that fails ends the shell, except at the prompt.

            \(ShellSession.help)

            EXAMPLES
              nexadb shell
              nexadb shell -e 'db.users.insert({name: "Ann", age: 30})' -e 'db.users.find()'
              nexadb shell --database shop setup.nexa
              echo 'db.users.count()' | nexadb shell

            EXIT CODES  0 done, 1 failed, 2 a command or request is wrong, 3 not found, 4 duplicate or conflict, 5 the node \
            cannot be reached or did not answer in time, 64 wrong use of options.
            """)

    @OptionGroup var node: NodeOptions
    @Option(
        name: [.customShort("e"), .customLong("execute")],
        help: ArgumentHelp("A command to run; may be repeated.", valueName: "command"))
    var commands: [String] = []
    @Option(help: "The database to begin in.") var database = "default"
    @Option(help: "How results are shown: pretty or jsonl (one value a line).") var format: ShellSession.Format?
    @Argument(help: ArgumentHelp("Files with commands.", valueName: "file")) var files: [String] = []

    func run() throws {
        try ToolExit.guarded {
            let connection = try ClientConnection.open(
                node.endpoint(), node.clientOptions(name: "nexadb-shell", features: ["stream"]))
            let isPrompted = commands.isEmpty && files.isEmpty && Console.isInputTerminal
            var session = ShellSession(
                connection, database: database, format: format ?? (Console.isOutputTerminal ? .pretty : .jsonl),
                findLimit: isPrompted ? 20 : nil)
            if isPrompted {
                greet(connection)
                try converse(&session)
                return
            }
            let texts = commands + (try files.map(Self.read))
            if !texts.isEmpty {
                for text in texts where try !Self.run(text, in: &session) { return }
            } else {
                try runInput(&session)
            }
        }
    }

    private func greet(_ connection: ClientConnection) {
        let info = connection.serverInfo
        let name = [info["server"]?.stringValue, info["version"]?.stringValue].compactMap { $0 }.joined(separator: " ")
        Console.note("connected to \(name.isEmpty ? "a node" : name) at \(connection.endpoint); help shows the commands")
    }

    private static func read(_ path: String) throws -> String {
        guard let text = SmallFile.read(path) else {
            Console.complain("cannot read \(path)")
            throw ToolExit.failed
        }
        return text
    }

    /// Runs all commands of `text`; false when one of them was exit.
    private static func run(_ text: String, in session: inout ShellSession) throws -> Bool {
        do {
            for command in try ShellParser.parse(text) where try !session.run(command) { return false }
            return true
        } catch let problem as TextProblem {
            Console.complain("cannot read the command\n" + problem.pointing(into: text))
            throw ToolExit.usage
        } catch ShellSession.Failure.notFound(let message) {
            Console.complain(message)
            throw ToolExit.notFound
        } catch ShellSession.Failure.duplicate(let message) {
            Console.complain(message)
            throw ToolExit.conflict
        }
    }

    /// One statement of standard input: lines until the brackets close; nil at the end.
    private static func nextStatement(_ nextLine: (_ isContinued: Bool) -> String?) -> String? {
        var text = ""
        while true {
            guard let line = nextLine(!text.isEmpty) else { return text.isEmpty ? nil : text }
            text += (text.isEmpty ? "" : "\n") + line
            if !ShellParser.isUnfinished(text) { return text }
        }
    }

    private func runInput(_ session: inout ShellSession) throws {
        while let text = Self.nextStatement({ _ in readLine(strippingNewline: true) }) {
            if try !Self.run(text, in: &session) { return }
        }
    }

    /// At the prompt a failed command is told and forgotten; a lost connection ends the shell.
    private func converse(_ session: inout ShellSession) throws {
        let editor = LineEditor()
        while true {
            let prompt = session.database + "> "
            let continued = String(repeating: ".", count: prompt.count - 1) + " "
            guard let text = Self.nextStatement({ editor.line(prompt: $0 ? continued : prompt) }) else { break }
            editor.remember(text)
            do {
                if try !Self.run(text, in: &session) { return }
            } catch let error as ClientError {
                Console.complain(error.description)
                guard case .refused = error else { throw ToolExit.code(for: error) }
            } catch is ExitCode {
                continue
            }
        }
        Console.note("")
    }
}
