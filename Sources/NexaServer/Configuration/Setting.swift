/// The table of settings: one row each, with the name that flags and files share, how its text is read, and how it is shown.
///
///     name          flag            variable              file
///     max-frame     --max-frame     NEXADB_MAX_FRAME      max-frame = 16MiB

import NexaStorage

package struct Setting: Sendable {
    package let name: String
    package let help: String
    let read: @Sendable (inout ServerConfiguration, String) -> Bool
    let show: @Sendable (ServerConfiguration) -> String

    /// The environment variable of this setting.
    package var variable: String { "NEXADB_" + name.uppercased().map { $0 == "-" ? "_" : $0 } }

    /// Reads `text` into `configuration`; `source` is named in the error.
    package func apply(_ text: String, to configuration: inout ServerConfiguration, source: String) throws(ConfigurationError) {
        guard read(&configuration, text) else {
            throw ConfigurationError("\(source): '\(text)' is not a value for \(name) (\(help))")
        }
    }

    /// The value as text that `apply` reads back.
    package func text(in configuration: ServerConfiguration) -> String { show(configuration) }

    package static func named(_ name: String) -> Setting? { all.first { $0.name == name } }

    package static let all: [Setting] = [
        text("data-dir", "directory of this node's data", \.dataDirectory),
        text("host", "address to listen on", \.host),
        number("port", "port of the NEXA protocol, 0 takes a free one", \.port, 0...65_535),
        Setting(
            name: "admin-port", help: "port of /metrics, /health, /leader and /replica, 0 takes a free one, off turns it off",
            read: { configuration, text in
                if text == "off" {
                    configuration.adminPort = nil
                    return true
                }
                guard let value = Int(text), (0...65_535).contains(value) else { return false }
                configuration.adminPort = value
                return true
            },
            show: { $0.adminPort.map { "\($0)" } ?? "off" }),
        text("admin-host", "address that the admin port listens on", \.adminHost),
        Setting(
            name: "http-port",
            help: "port of the HTTP/JSON gateway, 0 takes a free one, auto: 6969 beside port 6970, else none, off turns it off",
            read: { configuration, text in
                switch text {
                case "auto": configuration.httpPort = .auto
                case "off": configuration.httpPort = .off
                default:
                    guard let value = Int(text), (0...65_535).contains(value) else { return false }
                    configuration.httpPort = .number(value)
                }
                return true
            },
            show: { configuration in
                switch configuration.httpPort {
                case .auto: "auto"
                case .off: "off"
                case .number(let port): "\(port)"
                }
            }),
        optionalText("http-host", "address that the gateway listens on, off: that of the node", \.httpHost) { !$0.isEmpty },
        Setting(
            name: "http-allowed-hosts",
            help: "names in Host that a gateway on loopback answers to besides loopback's, NAME,..., off: none",
            read: { configuration, text in
                let names = text == "off" ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
                configuration.httpAllowedHosts = names.map { $0.lowercased() }
                return names.allSatisfy { !$0.isEmpty && !$0.contains(" ") }
            },
            show: { $0.httpAllowedHosts.isEmpty ? "off" : $0.httpAllowedHosts.joined(separator: ",") }),
        optionalText("http-cors-origin", "origin of web pages that may use the gateway, * for all, off: none", \.httpCrossOrigin)
        {
            !$0.isEmpty && $0.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        },
        choice("auth", "whether clients must log in: auto (once there is a user), on or off", \.authentication),
        optionalText("tls-cert", "PEM file of the certificate: the port speaks TLS 1.3, off: it does not", \.tlsCertificate) {
            !$0.isEmpty
        },
        optionalText("tls-key", "PEM file of the certificate's key", \.tlsKey) { !$0.isEmpty },
        optionalText("tls-ca", "PEM file of who signs the certificates that clients must have, off: none", \.tlsAuthority) {
            !$0.isEmpty
        },
        flag("insecure", "true: listen beyond loopback without authentication", \.insecure),
        Setting(
            name: "durability", help: "disk: answer after fdatasync; os: answer after write",
            read: { configuration, text in
                switch text {
                case "disk": configuration.durability = .disk
                case "os": configuration.durability = .os
                default: return false
                }
                return true
            },
            show: { $0.durability == .disk ? "disk" : "os" }),
        byteCount("memory", "memory for memtables and block cache", \.memory),
        limit("op-id-window", "time for which writes with an op_id are remembered", \.operationWindow),
        byteCount("op-id-bytes", "space for them; when it is full, the older half goes", \.operationByteCountMax),
        byteCount("change-log-bytes", "log that is kept for change streams that resume", \.changeLogByteCount),
        optionalText("follow", "HOST:PORT of the node to follow, off: none", \.follow, isValid: ClusterMember.isAddress),
        optionalText(
            "advertise", "HOST:PORT at which other nodes reach this one, off: host and port", \.advertise,
            isValid: ClusterMember.isAddress),
        optionalText("node-name", "name of this node in its cluster, off: its id", \.nodeName, isValid: ClusterMember.isName),
        Setting(
            name: "members", help: "the nodes whose disks count, NAME=HOST:PORT,..., at most 16, off: this one alone",
            read: { configuration, text in
                guard let members = ClusterMember.list(parsing: text) else { return false }
                configuration.members = members
                return true
            },
            show: { $0.members.isEmpty ? "off" : $0.members.map(\.text).joined(separator: ",") }),
        number("commit-quorum", "members that must have a record before it is committed, 0: a majority", \.commitQuorum, 0...16),
        choice(
            "replication-compression", "records to followers as LZ4: auto (to other machines), on or off",
            \.replicationCompression),
        optionalText("replication-user", "user that this node logs in as at other nodes, off: none", \.replicationUser) {
            !$0.isEmpty
        },
        optionalText("replication-password-file", "file whose first line is that user's password", \.replicationPasswordFile) {
            !$0.isEmpty
        },
        flag("replication-tls", "true: speak TLS to other nodes", \.replicationTLS),
        optionalText(
            "replication-tls-ca", "PEM file of who signs other nodes' certificates, off: whom the system trusts",
            \.replicationTLSAuthority
        ) { !$0.isEmpty },
        byteCount("slot-bytes", "log that is kept for a follower that is away", \.slotByteCountMax),
        limit("slot-time", "time for which it is kept", \.slotAgeMax),
        byteCount(
            "lag-slow-bytes", "lag of the followers that a commit needs from which on writes are slowed", \.flowSoftByteCount),
        limit("lag-slow-time", "the same in time", \.flowSoftLimit),
        byteCount(
            "lag-refuse-bytes", "lag of the followers that a commit needs at which writes are refused", \.flowHardByteCount),
        limit("lag-refuse-time", "the same in time", \.flowHardLimit),
        number("threads", "event loops, 0: one for each core", \.loopCount, 0...256),
        number("workers", "threads for scans and reads from disk, 0: one for each core, at least 2", \.workerCount, 0...256),
        number("max-connections", "connections at the same time", \.connectionCountMax, 1...1_000_000),
        number("http-max-connections", "HTTP connections at the same time", \.httpConnectionCountMax, 1...1_000_000),
        byteCount("max-frame", "largest request or answer", \.frameByteCountMax),
        number("max-in-flight", "requests under way for each connection", \.inFlightCountMax, 1...1_000_000),
        number("max-streams", "open streams for each connection", \.streamCountMax, 1...10_000),
        number("max-subscriptions", "change streams for each connection", \.subscriptionCountMax, 1...10_000),
        number("max-node-subscriptions", "change streams of all connections", \.nodeSubscriptionCountMax, 1...1_000_000),
        byteCount("max-output", "answers kept for a slow reader before its connection is no longer read", \.outputByteCountMax),
        byteCount("max-buffers", "requests and answers kept for all connections", \.bufferByteCountMax),
        limit("handshake-timeout", "time for the first request of a connection", \.handshakeLimit),
        limit("idle-timeout", "time without a request after which a connection is closed", \.idleLimit),
        limit("http-idle-timeout", "time without a request after which an HTTP connection is closed", \.httpIdleLimit),
        limit("frame-timeout", "time for a request to arrive whole once it has begun", \.frameLimit),
        limit("write-timeout", "time a client may leave its answers untaken", \.writeStallLimit),
        limit("request-timeout", "time for one scan or search", \.requestLimit),
        limit("stream-timeout", "time a stream waits for credit from its client", \.streamLimit),
        limit("shutdown-timeout", "time to finish requests when the node is asked to stop", \.shutdownLimit),
        choice("log-level", "trace, debug, info, notice, warning, error or critical", \.logThreshold),
        choice("log-format", "text or json", \.logFormat),
    ]

    private typealias Path<Value> = any WritableKeyPath<ServerConfiguration, Value> & Sendable

    private static func text(_ name: String, _ help: String, _ path: Path<String>) -> Setting {
        Setting(
            name: name, help: help,
            read: { configuration, text in
                configuration[keyPath: path] = text
                return !text.isEmpty
            }, show: { $0[keyPath: path] })
    }

    private static func optionalText(
        _ name: String, _ help: String, _ path: Path<String?>, isValid: @escaping @Sendable (String) -> Bool
    ) -> Setting {
        Setting(
            name: name, help: help,
            read: { configuration, text in
                configuration[keyPath: path] = text == "off" ? nil : text
                return text == "off" || isValid(text)
            }, show: { $0[keyPath: path] ?? "off" })
    }

    private static func flag(_ name: String, _ help: String, _ path: Path<Bool>) -> Setting {
        Setting(
            name: name, help: help,
            read: { configuration, text in
                switch text {
                case "true", "yes", "1": configuration[keyPath: path] = true
                case "false", "no", "0": configuration[keyPath: path] = false
                default: return false
                }
                return true
            }, show: { "\($0[keyPath: path])" })
    }

    private static func number(_ name: String, _ help: String, _ path: Path<Int>, _ range: ClosedRange<Int>) -> Setting {
        Setting(
            name: name, help: "\(help), \(range.lowerBound) to \(range.upperBound)",
            read: { configuration, text in
                guard let value = Int(text), range.contains(value) else { return false }
                configuration[keyPath: path] = value
                return true
            }, show: { "\($0[keyPath: path])" })
    }

    private static func byteCount(_ name: String, _ help: String, _ path: Path<ByteCount>) -> Setting {
        Setting(
            name: name, help: "\(help), such as 64KiB, 16MiB, 1GiB",
            read: { configuration, text in
                guard let value = ByteCount(parsing: text) else { return false }
                configuration[keyPath: path] = value
                return true
            }, show: { $0[keyPath: path].text })
    }

    private static func limit(_ name: String, _ help: String, _ path: Path<TimeLimit>) -> Setting {
        Setting(
            name: name, help: "\(help), such as 250ms, 30s, 10m, off",
            read: { configuration, text in
                guard let value = TimeLimit(parsing: text) else { return false }
                configuration[keyPath: path] = value
                return true
            }, show: { $0[keyPath: path].text })
    }

    private static func choice<Value: RawRepresentable<String> & Sendable>(
        _ name: String, _ help: String, _ path: Path<Value>
    ) -> Setting {
        Setting(
            name: name, help: help,
            read: { configuration, text in
                guard let value = Value(rawValue: text) else { return false }
                configuration[keyPath: path] = value
                return true
            }, show: { $0[keyPath: path].rawValue })
    }
}
