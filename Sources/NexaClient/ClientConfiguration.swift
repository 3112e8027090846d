/// All that a client can be told. Every field has a default that is written down here and, for all clients, in
/// clients/conformance/README.md. There is no default user and no default password.
public struct ClientConfiguration: Sendable {
    /// Nodes to ask first, one at least. The client learns of the leader by itself.
    public var hosts: [HostAddress]
    public var username: String?
    public var password: String?
    /// Instead of user and password.
    public var apiKey: String?
    /// Nil: the node's, "default".
    public var database: String?
    /// A name for the node's log.
    public var applicationName: String?

    public var readPreference: ReadPreference = .primary
    /// Nil: no bound.
    public var staleness: Duration?
    /// How much slower than the fastest a node may be to be chosen.
    public var localThreshold: Duration = .milliseconds(15)
    public var readConcern: ReadConcern?
    public var writeConcern: WriteConcern?
    /// How long a write may wait for its write concern; nil: as long as the operation may take.
    public var writeConcernTimeout: Duration?
    /// Nil: the node's.
    public var durability: WriteDurability?

    /// The budget of one operation, from the call to the answer: looking for a node, waiting, sending, retries. Nil: none.
    public var timeout: Duration? = .seconds(30)
    /// How long an operation looks for a node that it can use.
    public var serverSelectionTimeout: Duration = .seconds(5)
    /// One attempt to connect, the greeting included.
    public var connectTimeout: Duration = .seconds(10)
    /// Connections per node. One carries hundreds of thousands of operations per second; more help against the one slow line.
    public var poolSize = 1
    /// Operations that wait for an answer, all connections of a node together; beyond it a call fails at once with `queueFull`.
    public var queueLimit = 10_000
    public var retriesReads = true
    public var retriesWrites = true
    /// LZ4 for what is a kilobyte or more, where the node knows it.
    public var compresses = false
    /// Reads see the writes of this client, whichever node answers them.
    public var readsOwnWrites = true
    /// How often every known node is asked for its role and its latency.
    public var heartbeat: Duration = .seconds(10)
    /// The largest frame that is taken from a node. Larger ones end the connection before memory is taken for them.
    public var frameByteCountMax = 256 << 20

    /// TLS, and how; nil: none. A target of its own carries it out: see `transport`.
    public var tls: TLSSettings?
    /// Puts TLS below the protocol; `NexaClientTLS` has one. Needed where `tls` is set.
    public var transport: (any ClientTransport)?

    public init(hosts: [HostAddress]) {
        precondition(!hosts.isEmpty, "a client needs a host")
        self.hosts = hosts
    }
}

/// Files of TLS as an address names them.
public struct TLSSettings: Sendable, Equatable {
    public var authorityFile: String?
    public var certificateFile: String?
    public var keyFile: String?
    /// Certificates are not verified: for tests alone.
    public var isInsecure = false

    public init() {}
}
