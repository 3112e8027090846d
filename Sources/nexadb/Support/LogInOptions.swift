import ArgumentParser
import NexaBlockingClient
import NexaServer
import NexaTLS

/// Who asks: the options of every command that talks to a node.
struct LogInOptions: ParsableArguments {
    @Option(
        name: [.customLong("user"), .customLong("username")],
        help: ArgumentHelp("User name, for a node with users.", discussion: "NEXADB_USER when not given.", valueName: "name"))
    var user: String?

    @Option(help: ArgumentHelp("File whose first line is the password (else NEXADB_PASSWORD).", valueName: "file"))
    var passwordFile: String?

    @Flag(help: "Speak TLS to the node (also NEXADB_TLS=1).")
    var tls = false

    @Option(
        help: ArgumentHelp(
            "PEM file of who signed the node's certificate (else NEXADB_TLS_AUTHORITY, else the system's).", valueName: "file"))
    var tlsCa: String?

    @Flag(help: "Take any certificate of the node: for tests.")
    var tlsInsecure = false

    func apply(to options: inout ClientConnection.Options) throws {
        options.tls = try Self.tls(isWanted: tls || tlsCa != nil || tlsInsecure, authority: tlsCa, isInsecure: tlsInsecure)
        options.username = user ?? NodeOptions.environment("NEXADB_USER")
        options.password = try passwordFile.map(Self.firstLine) ?? NodeOptions.environment("NEXADB_PASSWORD")
    }

    /// What the environment alone says.
    static func applyEnvironment(to options: inout ClientConnection.Options) throws(ClientError) {
        do {
            options.tls = try tls(isWanted: false, authority: nil, isInsecure: false)
        } catch {
            throw .protocolViolation("\(error)")
        }
        options.username = NodeOptions.environment("NEXADB_USER")
        options.password = NodeOptions.environment("NEXADB_PASSWORD")
    }

    /// Options first, then the environment.
    private static func tls(isWanted: Bool, authority: String?, isInsecure: Bool) throws -> ClientTLS? {
        let authority = authority ?? NodeOptions.environment("NEXADB_TLS_AUTHORITY")
        let isNamed = NodeOptions.environment("NEXADB_TLS").map { $0 == "1" || $0 == "true" } ?? false
        guard isWanted || isNamed else { return nil }
        do {
            return try ClientTLS(authority: authority, isInsecure: isInsecure)
        } catch {
            throw ValidationError(error.description)
        }
    }

    static func firstLine(of path: String) throws -> String {
        do throws(SmallFile.Failure) {
            return ProcessSetup.firstLine(of: try SmallFile.read(path, byteCountMax: 1 << 20))
        } catch {
            throw ValidationError(error.description)
        }
    }
}
