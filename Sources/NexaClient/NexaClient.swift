import Logging
import NIOCore
import NIOPosix
import NexaWire
import ServiceLifecycle

/// A client of a NexaDB node or cluster.
///
/// ```swift
/// let client = try NexaClient("nexadb://localhost/shop")
/// let users = client.collection("users", of: User.self)
/// try await users.create(User(name: "Anna", age: 31))
/// let anna = try await users.get("anna")
/// ```
///
/// One client serves any number of tasks over few connections; make one and keep it. It connects when it is first used, reconnects by
/// itself, finds the leader by itself and follows it, and tries again where that is safe: reads once, writes under an operation id that
/// makes the node do them once. Every operation has one budget of time. `close()` it, run it in a `ServiceGroup`, or let go of it.
public final class NexaClient: Service, Sendable {
    public let configuration: ClientConfiguration
    /// What the address said that nobody understood, or that is dangerous.
    public let warnings: [String]
    package let topology: Topology
    let position = SessionPosition()
    let operationIDs = OperationIDSource()
    let readFields: StandingFields
    let writeFields: StandingFields
    let telemetry: Telemetry
    public let logger: Logger

    /// A client for `configuration`.
    public convenience init(
        configuration: ClientConfiguration, eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "nexadb.client")
    ) throws(NexaError) {
        try self.init(configuration, warnings: [], eventLoopGroup, logger)
    }

    /// A client for an address, `nexadb://user:password@host:port,host:port/database?option=value`. `adjust` has the last word over it.
    public convenience init(
        _ address: String, eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "nexadb.client"), adjust: (inout ClientConfiguration) -> Void = { _ in }
    ) throws(NexaError) {
        let parsed = try ConnectionString(address)
        var configuration = parsed.configuration
        adjust(&configuration)
        try self.init(configuration, warnings: parsed.warnings, eventLoopGroup, logger)
    }

    private init(
        _ configuration: ClientConfiguration, warnings: [String], _ eventLoopGroup: any EventLoopGroup, _ logger: Logger
    ) throws(NexaError) {
        guard configuration.tls == nil || configuration.transport != nil else {
            throw NexaError(
                .validation, "TLS needs a transport: import NexaClientTLS and set configuration.transport = NexaTLSTransport()")
        }
        guard configuration.apiKey == nil || configuration.username == nil else {
            throw NexaError(.validation, "either a user or an API key, not both")
        }
        self.configuration = configuration
        self.logger = logger
        self.warnings = warnings
        for warning in warnings { logger.warning("\(warning)") }
        topology = Topology(configuration, group: eventLoopGroup, logger: logger)
        readFields = .reads(configuration)
        writeFields = .writes(configuration)
        telemetry = Telemetry()
    }

    /// A client for one node.
    public convenience init(host: String = "127.0.0.1", port: Int = HostAddress.defaultPort) throws(NexaError) {
        try self.init(configuration: ClientConfiguration(hosts: [HostAddress(host: host, port: port)]))
    }

    deinit { topology.close() }

    /// Connects ahead of the first operation and stays until the service group shuts down or the task is cancelled; then closes. An
    /// application that runs no services need not call it.
    public func run() async throws {
        topology.start()
        try? await gracefulShutdown()
        close()
    }

    /// Closes all connections. Operations under way fail, later ones too.
    public func close() { topology.close() }

    /// The documents of collection `name`, as they are.
    public func collection(_ name: String) -> NexaCollection<Document> { NexaCollection(client: self, name: name) }

    /// The documents of collection `name` as values of `type`.
    public func collection<Element: Codable & Sendable>(_ name: String, of type: Element.Type) -> NexaCollection<Element> {
        NexaCollection(client: self, name: name)
    }
}
