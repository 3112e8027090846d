import ArgumentParser
import NexaBlockingClient
import NexaClient
import NexaTLS
import NexaWire

/// Which node the shell talks to and as whom: an address as applications write it (`nexadb://...`), or the options that all tools share.
/// What an option says wins over the address.
struct ShellTarget {
    /// Tried in this order.
    private(set) var endpoints: [Endpoint]
    var options: ClientConnection.Options
    private(set) var database: String?
    private(set) var reads = ShellSession.ReadOptions()
    private(set) var warnings: [String] = []

    private static let features = ["stream", "request_id"]

    /// Options of an address that concern the shell; the others are for the client libraries.
    private static let heeded: Set = [
        "appName", "maxStalenessSeconds", "readConcern", "timeoutMS", "tls", "tlsCAFile", "tlsCertFile", "tlsInsecure",
        "tlsKeyFile",
    ]

    init(address: String?, _ node: NodeOptions) throws {
        options = try node.clientOptions(name: "nexadb-shell", features: Self.features)
        guard let address else {
            endpoints = [try node.endpoint()]
            return
        }
        guard node.host == nil, node.port == nil else { throw ValidationError("an address, or --host and --port; not both") }
        let parsed: ConnectionString
        do throws(NexaError) {
            parsed = try ConnectionString(address)
        } catch {
            throw ValidationError(error.message)
        }
        let configuration = parsed.configuration
        endpoints = configuration.hosts.map { Endpoint(host: $0.host, port: UInt16($0.port)) }
        database = configuration.database
        warnings = parsed.warnings
        warnings += parsed.options.filter { !Self.heeded.contains($0.name) }.map {
            "option \($0.name) means nothing to the shell"
        }
        try apply(configuration, node.logIn)
    }

    private mutating func apply(_ configuration: ClientConfiguration, _ logIn: LogInOptions) throws {
        if logIn.user == nil, let user = configuration.username {
            options.username = user
            if let password = configuration.password, logIn.passwordFile == nil {
                options.password = password
                warnings.append("others can see a password on the command line; without it the shell asks")
            }
        }
        if let settings = configuration.tls, options.tls == nil {
            var identity: (certificate: String, key: String)?
            if let certificate = settings.certificateFile, let key = settings.keyFile { identity = (certificate, key) }
            do throws(TLSFailure) {
                options.tls = try ClientTLS(
                    authority: settings.authorityFile, identity: identity, isInsecure: settings.isInsecure)
            } catch {
                throw ValidationError(error.description)
            }
        }
        if let timeout = configuration.timeout, timeout != .seconds(30) { options.timeout = timeout }
        if let name = configuration.applicationName { options.clientName = name }
        reads.concern = configuration.readConcern?.rawValue
        reads.stalenessMillisecondsMax = configuration.staleness.map { $0.components.seconds * 1000 }
    }

    /// A node that nobody needs to log in to.
    init(_ endpoint: Endpoint) {
        endpoints = [endpoint]
        options = ClientConnection.Options()
        options.features = Self.features
    }

    /// Connects to the first node that answers.
    func connect() throws(ClientError) -> ClientConnection {
        var failure: ClientError?
        for endpoint in endpoints {
            do throws(ClientError) {
                return try ClientConnection.open(endpoint, options)
            } catch {
                guard case .cannotConnect = error else { throw error }
                failure = error
            }
        }
        throw failure!
    }
}
