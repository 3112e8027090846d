import NIOCore
import NexaWire

/// The greeting, as pure functions: what a client says in CONNECT, and what it makes of the answer.
package enum Handshake {
    /// What this client can do. The server grants what it knows.
    static let features = ["request_id", "token", "stream", "duplicate", "op_id"]

    /// The payload of CONNECT.
    package static func greeting(_ configuration: ClientConfiguration) -> Document {
        let wanted = features + (configuration.compresses ? ["lz4"] : [])
        var entries: [(String, DocumentValue)] = [
            ("client", .string(configuration.applicationName ?? "nexadb-swift")), ("version", "1"), ("dialect", "plain"),
            ("features", .array(wanted.map { .string($0) })),
        ]
        if let database = configuration.database { entries.append(("database", .string(database))) }
        if let username = configuration.username { entries.append(("username", .string(username))) }
        if let password = configuration.password { entries.append(("password", .string(password))) }
        if let apiKey = configuration.apiKey { entries.append(("api_key", .string(apiKey))) }
        return Document(entries)
    }

    /// What the answer tells; an error when it refuses or is no answer to CONNECT.
    package static func welcome(_ reply: Reply) throws(NexaError) -> ServerHello {
        switch reply.type {
        case .success: return try ServerHello(try reply.document())
        case .error: throw reply.refusal
        default: throw NexaError(.protocolViolation, "\(reply.type.name) answers no CONNECT")
        }
    }
}

/// What a node said about itself.
package struct ServerHello: Sendable {
    package enum Role: Sendable, Hashable {
        /// Takes writes: the leader, or a node without a cluster.
        case primary
        case secondary
        /// In a cluster, but neither at the moment.
        case other
    }

    package var role: Role
    package var isInCluster: Bool
    package var leader: HostAddress?
    package var hasRequestIDs: Bool
    package var hasTokens: Bool
    package var hasOperationIDs: Bool
    package var hasCompression: Bool
    /// How long the node remembers operation ids; nil: not told.
    package var operationIDWindow: Duration?
    /// The largest frame that the node takes.
    package var frameByteCountMax: Int

    package init(_ answer: Document) throws(NexaError) {
        guard let granted = answer["features"]?.arrayValue?.compactMap(\.stringValue) else {
            throw NexaError(.protocolViolation, "The answer to CONNECT tells no features; is this an older server?")
        }
        guard answer["dialect"]?.stringValue ?? "plain" == "plain" else {
            throw NexaError(.protocolViolation, "The node does not speak the plain dialect")
        }
        role = Self.role(answer["role_in_cluster"]?.stringValue)
        isInCluster = answer["role_in_cluster"]?.stringValue ?? "single" != "single"
        leader = Self.address(answer["leader"]?.stringValue)
        hasRequestIDs = granted.contains("request_id")
        hasTokens = granted.contains("token")
        hasOperationIDs = granted.contains("op_id")
        hasCompression = granted.contains("lz4")
        operationIDWindow = answer["op_id_window_s"]?.intValue.map { .seconds(max(0, min($0, 1 << 31))) }
        frameByteCountMax = max(1024, min(answer["max_frame"]?.intValue ?? 16 << 20, Int(UInt32.max)))
    }

    /// Whether the id of an operation that began at `nanoseconds` is remembered for sure: half the window is left for clocks and waiting.
    package func remembersOperation(since nanoseconds: UInt64) -> Bool {
        guard let operationIDWindow else { return true }
        let age = NIODeadline.now().uptimeNanoseconds &- nanoseconds
        return age < UInt64(operationIDWindow.nanoseconds) / 2
    }

    package static func role(_ text: String?) -> Role {
        switch text {
        case "single", "leader", nil: .primary
        case "follower": .secondary
        default: .other
        }
    }

    /// The address that a node gives for a leader; nil when it gives none that can be used.
    package static func address(_ text: String?) -> HostAddress? {
        guard let text else { return nil }
        return try? HostAddress(parsing: Substring(text))
    }
}
