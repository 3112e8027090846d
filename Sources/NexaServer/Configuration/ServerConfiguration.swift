/// Everything a node can be told, with its defaults. One value, built once, never changed while the node runs.
///
/// Names, help and checks stand in `Setting.all`; the three sources (flags, `NEXADB_*`, file) are merged in
/// `ConfigurationSources`. docs/configuration.md is the user's copy of this list.

import NexaDocuments
import NexaReplication
import NexaStorage
import NexaTLS

/// How log lines look on standard error.
package enum LogFormat: String, CaseIterable, Sendable { case text, json }

/// Where the HTTP gateway listens.
package enum HTTPPort: Equatable, Sendable {
    /// On its usual port if the node is on its own: several nodes of one machine are told other ports, and have no gateway unless they are
    /// told one as well.
    case auto
    /// 0 takes a free port and prints it.
    case number(Int)
    case off
}

/// How much a node writes to its log.
package enum LogThreshold: String, CaseIterable, Sendable { case trace, debug, info, notice, warning, error, critical }

package struct ServerConfiguration: Equatable, Sendable {
    // Where
    package var dataDirectory = "./data"
    package var host = "127.0.0.1"
    package static let portDefault = 6970
    package static let httpPortDefault = 6969
    /// 0 takes a free port and prints it.
    package var port = portDefault
    /// `nil` turns the admin listener off; 0 takes a free port.
    package var adminPort: Int? = 6971
    /// Where the admin listener listens. Beyond loopback it answers to any name: probes and load balancers of other machines ask it.
    package var adminHost = "127.0.0.1"
    /// The HTTP/JSON gateway.
    package var httpPort = HTTPPort.auto
    /// Where the gateway listens; nil: where the node listens.
    package var httpHost: String?
    /// Names of this machine that a gateway on loopback answers to besides those of loopback.
    package var httpAllowedHosts: [String] = []
    /// The origin of web pages that may read answers of the gateway; nil: none.
    package var httpCrossOrigin: String?
    /// Whether clients have to log in.
    package var authentication = AuthenticationMode.auto
    /// PEM files of this node's certificate and key; with them its port speaks TLS alone.
    package var tlsCertificate: String?
    package var tlsKey: String?
    /// PEM file of who signs the certificates that clients must have; nil: clients need none.
    package var tlsAuthority: String?
    /// Lets a node without authentication listen on an address that is not loopback.
    package var insecure = false

    // Storage
    package var durability = Durability.disk
    package var memory = ByteCount(1 << 30)
    /// How long a write with an `op_id` is remembered at least ...
    package var operationWindow = TimeLimit.seconds(600)
    /// ... unless all that is remembered needs more than this.
    package var operationByteCountMax = ByteCount(1 << 30)
    /// Log that is kept, in whole segments, for change streams that go on where they were.
    package var changeLogByteCount = ByteCount(256 << 20)

    // Replication; all of it is off while nothing here is set
    /// HOST:PORT of the node to follow at start.
    package var follow: String?
    /// HOST:PORT at which other nodes reach this one; nil: host and port that it listens on.
    package var advertise: String?
    /// Name of this node in its cluster.
    package var nodeName: String?
    /// The nodes whose disks count, the same list on every node.
    package var members: [ClusterMember] = []
    /// Not a setting: the node found that its data cannot be cut back, so it asks for all of it.
    var startsWithSnapshot = false
    /// Members that must have a record before it counts as committed; 0: a majority.
    package var commitQuorum = 0
    /// A slot that holds back more of the log, or whose follower is away for longer, is given up.
    package var slotByteCountMax = ByteCount(10 << 30)
    package var slotAgeMax = TimeLimit.seconds(24 * 3_600)
    /// Lag of the slowest follower that a commit needs: writes are slowed from here on ...
    package var flowSoftByteCount = ByteCount(32 << 20)
    package var flowSoftLimit = TimeLimit.seconds(1)
    /// ... and refused from here on.
    package var flowHardByteCount = ByteCount(256 << 20)
    package var flowHardLimit = TimeLimit.seconds(5)
    /// The user that this node logs in as at other nodes, and the file whose first line is its password.
    package var replicationUser: String?
    package var replicationPasswordFile: String?
    /// Whether this node speaks TLS to others, and the PEM file of who signs their certificates; nil: whom the system trusts. With a
    /// certificate of its own it shows that one to nodes that ask for it.
    package var replicationTLS = false
    package var replicationTLSAuthority: String?
    /// Whether records travel compressed to the followers of this node.
    package var replicationCompression = ReplicationCompression.auto

    // Threads; 0 means one for each core
    package var loopCount = 0
    package var workerCount = 0

    // Limits
    package var connectionCountMax = 10_000
    package var httpConnectionCountMax = 1_000
    package var frameByteCountMax = ByteCount(16 << 20)
    package var inFlightCountMax = 1_024
    package var streamCountMax = 16
    /// Change streams of one connection, and of all.
    package var subscriptionCountMax = 16
    package var nodeSubscriptionCountMax = 10_000
    /// Answers a client has not taken yet: above this the connection is not read any more.
    package var outputByteCountMax = ByteCount(1 << 20)
    /// Requests and answers of all connections together: above this only small connections are read.
    package var bufferByteCountMax = ByteCount(256 << 20)

    // Times
    package var handshakeLimit = TimeLimit.seconds(60)
    package var idleLimit = TimeLimit.off
    package var httpIdleLimit = TimeLimit.seconds(60)
    package var frameLimit = TimeLimit.seconds(30)
    package var writeStallLimit = TimeLimit.seconds(60)
    package var requestLimit = TimeLimit.seconds(30)
    /// A stream pins a snapshot: a client that gives it no credit for so long has left it.
    package var streamLimit = TimeLimit.seconds(60)
    package var shutdownLimit = TimeLimit.seconds(10)

    // Log
    package var logThreshold = LogThreshold.info
    package var logFormat = LogFormat.text

    package init() {}

    /// Whether this node takes part in replication.
    package var replicates: Bool { follow != nil || nodeName != nil || !members.isEmpty }

    /// The limits of replication that are settings.
    var replicationOptions: ReplicationOptions {
        var options = ReplicationOptions()
        options.slotByteCountMax = UInt64(slotByteCountMax.value)
        options.slotAgeMax = slotAgeMax.microseconds
        options.flowSoftByteCount = UInt64(flowSoftByteCount.value)
        options.flowHardByteCount = UInt64(flowHardByteCount.value)
        options.flowSoftAge = flowSoftLimit.microseconds
        options.flowHardAge = flowHardLimit.microseconds
        return options
    }

    /// What is remembered of writes that may be repeated.
    var operationOptions: OperationOptions {
        var options = OperationOptions()
        options.windowMicroseconds = Int64(operationWindow.milliseconds) * 1_000
        options.byteCountMax = operationByteCountMax.value
        return options
    }

    /// Checks what no single setting can see.
    package func validate() throws(ConfigurationError) {
        if frameByteCountMax.value < 4 << 10 || frameByteCountMax.value > 1 << 30 {
            throw ConfigurationError("max-frame is \(frameByteCountMax.text); it must lie between 4KiB and 1GiB")
        }
        if operationWindow.milliseconds < 1_000 || operationByteCountMax.value < 1 << 20 {
            throw ConfigurationError("op-id-window must be at least 1s, and op-id-bytes at least 1MiB")
        }
        if memory.value < 16 << 20 { throw ConfigurationError("memory is \(memory.text); at least 16MiB are needed") }
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw ConfigurationError("tls-cert and tls-key are given together")
        }
        if tlsAuthority != nil && tlsCertificate == nil { throw ConfigurationError("tls-ca needs tls-cert and tls-key") }
        if replicationTLSAuthority != nil && !replicationTLS {
            throw ConfigurationError("replication-tls-ca needs replication-tls")
        }
        try validateCluster()
    }

    /// Whether a node that asks for no log-in may listen where it is told to.
    package func checkExposure(asksForLogIn: Bool) throws(StartError) {
        if asksForLogIn || insecure { return }
        guard let host = [host, httpAddress?.host].lazy.compactMap(\.self).first(where: { !Self.isLoopback($0) }) else { return }
        throw StartError(
            "refusing to listen on \(host): this node asks nobody to log in, so anybody who reaches it could read and change all data. "
                + "Make a user (nexadb user add NAME --role admin --data-dir \(dataDirectory)), use --host 127.0.0.1, "
                + "or say --insecure if the network is closed")
    }

    private func validateCluster() throws(ConfigurationError) {
        guard flowSoftByteCount.value < flowHardByteCount.value, flowSoftLimit.microseconds <= flowHardLimit.microseconds else {
            throw ConfigurationError("lag-slow-bytes and lag-slow-time must lie below lag-refuse-bytes and lag-refuse-time")
        }
        guard (replicationUser == nil) == (replicationPasswordFile == nil) else {
            throw ConfigurationError("replication-user and replication-password-file are given together")
        }
        guard !members.isEmpty else {
            if commitQuorum > 0 { throw ConfigurationError("commit-quorum needs members") }
            return
        }
        guard let nodeName else { throw ConfigurationError("members needs node-name: which of them this node is") }
        if follow == nil && !members.contains(where: { $0.name == nodeName }) {
            throw ConfigurationError("node-name \(nodeName) is none of members, so this node could only follow: say --follow")
        }
        if commitQuorum > members.count {
            throw ConfigurationError("commit-quorum is \(commitQuorum), but there are \(members.count) members")
        }
    }

    /// Where the gateway is to listen; nil: nowhere.
    package var httpAddress: (host: String, port: Int)? {
        switch httpPort {
        case .auto: port == Self.portDefault ? (httpHost ?? host, Self.httpPortDefault) : nil
        case .number(let port): (httpHost ?? host, port)
        case .off: nil
        }
    }

    package var tlsFiles: ServerTLS.Files? {
        guard let tlsCertificate, let tlsKey else { return nil }
        return ServerTLS.Files(certificate: tlsCertificate, key: tlsKey, clientAuthority: tlsAuthority)
    }

    /// Whether only this machine can reach `host`.
    package static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || (host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." })
    }
}

extension TimeLimit {
    /// In the unit of replication; `off` is longer than any node runs.
    fileprivate var microseconds: UInt64 { isOff ? .max / 4 : UInt64(milliseconds) * 1_000 }
}

/// A setting that cannot be taken, as a sentence that names it and its source.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
