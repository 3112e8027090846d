import ArgumentParser
import NexaBlockingClient

/// Who asks: the options of every command that talks to a node.
struct LogInOptions: ParsableArguments {
    @Option(
        name: [.customLong("user"), .customLong("username")],
        help: ArgumentHelp("User name, for a node with users.", discussion: "NEXADB_USER when not given.", valueName: "name"))
    var user: String?

    @Option(help: ArgumentHelp("File whose first line is the password (else NEXADB_PASSWORD).", valueName: "file"))
    var passwordFile: String?

    func apply(to options: inout ClientConnection.Options) throws {
        options.username = user ?? NodeOptions.environment("NEXADB_USER")
        options.password = try passwordFile.map(Self.firstLine) ?? NodeOptions.environment("NEXADB_PASSWORD")
    }

    /// What the environment alone says.
    static func applyEnvironment(to options: inout ClientConnection.Options) {
        options.username = NodeOptions.environment("NEXADB_USER")
        options.password = NodeOptions.environment("NEXADB_PASSWORD")
    }

    static func firstLine(of path: String) throws -> String {
        guard let text = SmallFile.read(path) else { throw ValidationError("cannot read \(path)") }
        return text.split(separator: "\n", omittingEmptySubsequences: false).first.map(String.init) ?? ""
    }
}
