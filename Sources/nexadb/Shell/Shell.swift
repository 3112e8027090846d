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

            \(HelpText.overview)

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
    @Option(help: "The database to begin in. (default: that of the address, else \"default\")") var database: String?
    @Option(
        name: [.customShort("m"), .customLong("mode"), .customLong("format")],
        help: "How results are shown. (default: json at a terminal, else jsonl)")
    var mode: OutputMode?
    @Flag(help: "Say how long each command took.") var timer = false
    @Argument(
        help: ArgumentHelp(
            "The node as nexadb://[user@]host[:port][/database], and files with commands.", valueName: "address or file"))
    var words: [String] = []

    func run() throws {
        try ToolExit.guarded {
            let (address, files) = try addressAndFiles()
            let isPrompted = commands.isEmpty && files.isEmpty && Console.isInputTerminal
            let target = try loggedIn(ShellTarget(address: address, node))
            for warning in target.warnings { Console.note("note: " + warning) }
            let connection = try ShellConnection(target)
            var session = ShellSession(
                connection, results: Results(mode: mode ?? (Console.isOutputTerminal ? .json : .jsonl)),
                database: database ?? target.database ?? "default", reads: target.reads,
                findLimit: isPrompted ? ShellSession.page : nil)
            session.isTimed = timer
            if isPrompted {
                greet(try connection.usable())
                var conversation = Conversation(session, target)
                return conversation.run()
            }
            let texts = commands + (try files.map(Self.read))
            if !texts.isEmpty {
                for text in texts where try !session.execute(text) { return }
            } else {
                while let text = Self.nextStatement(), try session.execute(text) {}
            }
        }
    }

    private func addressAndFiles() throws -> (address: String?, files: [String]) {
        let addresses = words.filter { $0.hasPrefix("nexadb://") || $0.hasPrefix("nexadbs://") }
        guard addresses.count <= 1 else { throw ValidationError("more than one address") }
        return (addresses.first, words.filter { !addresses.contains($0) })
    }

    /// Asks for the password of a user who has given none, where somebody is there to ask.
    private func loggedIn(_ target: ShellTarget) throws -> ShellTarget {
        guard let user = target.options.username, target.options.password == nil, Console.isInputTerminal else { return target }
        var target = target
        target.options.password = Console.readSecret("Password for \(user): ").flatMap { $0.isEmpty ? nil : $0 }
        return target
    }

    private func greet(_ connection: ClientConnection) {
        let info = connection.serverInfo
        let name = [info["server"]?.stringValue, info["version"]?.stringValue].compactMap { $0 }.joined(separator: " ")
        let node = TerminalText.visible(name.isEmpty ? "a node" : name)
        Console.note("connected to \(node) at \(connection.endpoint); help shows the commands, Tab completes them")
    }

    private static func read(_ path: String) throws -> String {
        do throws(SmallFile.Failure) {
            return try SmallFile.read(path)
        } catch {
            Console.complain(error.description)
            throw ToolExit.failed
        }
    }

    /// One statement of standard input: lines until the brackets close; nil at the end.
    private static func nextStatement() -> String? {
        var lines = StatementLines()
        while let line = readLine(strippingNewline: true) {
            if lines.add(line) { return lines.text }
        }
        return lines.isEmpty ? nil : lines.text
    }
}

extension OutputMode: ExpressibleByArgument {
    /// By name, an older one included.
    package init?(argument: String) { self.init(argument) }
}
