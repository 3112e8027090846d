import ArgumentParser
import Glibc
import NexaBlockingClient

/// Where the node is and who asks: the options that all client commands share.
struct NodeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Host of the node.", discussion: "NEXADB_HOST when not given.", valueName: "host"))
    var host: String?

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Port of the node.", discussion: "NEXADB_PORT when not given.", valueName: "port")
    )
    var port: UInt16?

    @OptionGroup var logIn: LogInOptions

    @Option(help: "Seconds to wait for a connection and for each answer.")
    var timeout: Double = 30

    func validate() throws {
        guard timeout > 0 && timeout <= 86_400 else { throw ValidationError("--timeout is 0 to 86,400 seconds") }
        if port == 0 { throw ValidationError("--port 0 is no port to connect to") }
    }

    /// The address from options, environment and defaults, in this order.
    func endpoint(defaultPort: UInt16 = Endpoint.defaultPort) throws -> Endpoint {
        var endpoint = Endpoint(port: defaultPort)
        if let host = host ?? Self.environment("NEXADB_HOST") { endpoint.host = host }
        if let port {
            endpoint.port = port
        } else if let text = Self.environment("NEXADB_PORT"), defaultPort == Endpoint.defaultPort {
            guard let number = UInt16(text), number > 0 else { throw ValidationError("NEXADB_PORT is \(text), which is no port") }
            endpoint.port = number
        }
        return endpoint
    }

    func clientOptions(name: String, features: [String] = []) throws -> ClientConnection.Options {
        var options = ClientConnection.Options()
        options.clientName = name
        options.features = features
        options.timeout = .seconds(timeout)
        try logIn.apply(to: &options)
        return options
    }

    static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
