// The flags of `nexadb serve`: one for each row of `Setting.all`, as text that the row itself reads.

import ArgumentParser

struct ServeSettings: ParsableArguments {
    @Option(help: "Directory of this node's data. (default: ./data)") var dataDir: String?
    @Option(help: "Address to listen on. (default: 127.0.0.1)") var host: String?
    @Option(help: "Port of the NEXA protocol; 0 takes a free one. (default: 6970)") var port: String?
    @Option(help: "Port of /metrics, /health, /leader, /replica; 0 takes a free one, 'off' none. (default: 6971)")
    var adminPort: String?
    @Option(help: "Address that the admin port listens on. (default: 127.0.0.1)") var adminHost: String?
    @Option(help: "Port of the HTTP/JSON gateway; 0 takes a free one. (default: 6969 beside port 6970, else none)")
    var httpPort: String?
    @Flag(name: .customLong("no-http"), help: "No gateway.") var hasNoHTTP = false
    @Option(help: "Address that the gateway listens on. (default: that of the node)") var httpHost: String?
    @Option(help: "Names in Host that a gateway on loopback answers to besides loopback's: NAME,...") var httpAllowedHosts:
        String?
    @Option(help: "Origin of web pages that may use the gateway. (default: none)") var httpCorsOrigin: String?
    @Option(help: "Whether clients must log in: auto (once there is a user), on or off. (default: auto)") var auth: String?
    @Option(help: "PEM file of the certificate: the port speaks TLS 1.3.") var tlsCert: String?
    @Option(help: "PEM file of the certificate's key.") var tlsKey: String?
    @Option(help: "PEM file of who signs the certificates that clients must have.") var tlsCa: String?
    @Flag(help: "Listen beyond loopback without authentication.") var insecure = false
    @Option(help: "disk: answer after fdatasync; os: answer after write. (default: disk)") var durability: String?
    @Option(help: "Memory for memtables and block cache. (default: 1GiB)") var memory: String?
    @Option(help: "Time for which writes with an op_id are remembered. (default: 10m)") var opIDWindow: String?
    @Option(help: "Space for them. (default: 1GiB)") var opIDBytes: String?
    @Option(help: "Log that is kept for change streams that resume. (default: 256MiB)") var changeLogBytes: String?
    @Option(help: "HOST:PORT of the node to follow.") var follow: String?
    @Option(help: "HOST:PORT at which other nodes reach this one. (default: host and port)") var advertise: String?
    @Option(help: "Name of this node in its cluster; turns replication on. (default: its id)") var nodeName: String?
    @Option(help: "The nodes whose disks count: NAME=HOST:PORT,... (default: this one alone)") var members: String?
    @Option(help: "Members that must have a record before it is committed. (default: a majority)") var commitQuorum: String?
    @Option(help: "Records to followers as LZ4: auto (to other machines), on or off. (default: auto)")
    var replicationCompression: String?
    @Option(help: "User that this node logs in as at other nodes.") var replicationUser: String?
    @Option(help: "File whose first line is that user's password.") var replicationPasswordFile: String?
    @Flag(help: "Speak TLS to other nodes.") var replicationTls = false
    @Option(help: "PEM file of who signs other nodes' certificates. (default: whom the system trusts)")
    var replicationTlsCa: String?
    @Option(help: "Log that is kept for a follower that is away. (default: 10GiB)") var slotBytes: String?
    @Option(help: "Time for which it is kept. (default: 24h)") var slotTime: String?
    @Option(help: "Lag of the followers that a commit needs that slows writes. (default: 32MiB)") var lagSlowBytes: String?
    @Option(help: "The same in time. (default: 1s)") var lagSlowTime: String?
    @Option(help: "Lag of the followers that a commit needs that has writes refused. (default: 256MiB)")
    var lagRefuseBytes: String?
    @Option(help: "The same in time. (default: 5s)") var lagRefuseTime: String?
    @Option(help: "Event loops; 0: one for each core.") var threads: String?
    @Option(help: "Threads for scans and reads from disk; 0: one for each core, at least 2.") var workers: String?
    @Option(help: "Connections at the same time. (default: 10000)") var maxConnections: String?
    @Option(help: "HTTP connections at the same time. (default: 1000)") var httpMaxConnections: String?
    @Option(help: "Largest request or answer. (default: 16MiB)") var maxFrame: String?
    @Option(help: "Requests under way for each connection. (default: 1024)") var maxInFlight: String?
    @Option(help: "Open streams for each connection. (default: 16)") var maxStreams: String?
    @Option(help: "Change streams for each connection. (default: 16)") var maxSubscriptions: String?
    @Option(help: "Change streams of all connections. (default: 10000)") var maxNodeSubscriptions: String?
    @Option(help: "Answers kept for a slow reader. (default: 1MiB)") var maxOutput: String?
    @Option(help: "Requests and answers kept for all connections. (default: 256MiB)") var maxBuffers: String?
    @Option(help: "Time for the first request of a connection. (default: 60s)") var handshakeTimeout: String?
    @Option(help: "Time without a request after which a connection is closed. (default: off)") var idleTimeout: String?
    @Option(help: "Time without a request after which an HTTP connection is closed. (default: 60s)") var httpIdleTimeout: String?
    @Option(help: "Time for a request to arrive whole. (default: 30s)") var frameTimeout: String?
    @Option(help: "Time a client may leave its answers untaken. (default: 60s)") var writeTimeout: String?
    @Option(help: "Time for one scan or search. (default: 30s)") var requestTimeout: String?
    @Option(help: "Time to finish requests when the node is asked to stop. (default: 10s)") var shutdownTimeout: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical. (default: info)") var logLevel: String?
    @Option(help: "text or json. (default: text)") var logFormat: String?

    /// Name and text of each flag that was given.
    var flags: [(name: String, text: String)] {
        let given: [(name: String, text: String?)] = [
            ("data-dir", dataDir), ("host", host), ("port", port), ("admin-port", adminPort),
            ("admin-host", adminHost),
            ("http-port", hasNoHTTP ? "off" : httpPort), ("http-host", httpHost), ("http-allowed-hosts", httpAllowedHosts),
            ("http-cors-origin", httpCorsOrigin),
            ("auth", auth), ("tls-cert", tlsCert), ("tls-key", tlsKey), ("tls-ca", tlsCa),
            ("insecure", insecure ? "true" : nil), ("durability", durability), ("memory", memory),
            ("op-id-window", opIDWindow), ("op-id-bytes", opIDBytes),
            ("change-log-bytes", changeLogBytes), ("follow", follow),
            ("advertise", advertise), ("node-name", nodeName), ("members", members), ("commit-quorum", commitQuorum),
            ("replication-compression", replicationCompression), ("replication-user", replicationUser),
            ("replication-password-file", replicationPasswordFile), ("replication-tls", replicationTls ? "true" : nil),
            ("replication-tls-ca", replicationTlsCa), ("slot-bytes", slotBytes), ("slot-time", slotTime),
            ("lag-slow-bytes", lagSlowBytes), ("lag-slow-time", lagSlowTime), ("lag-refuse-bytes", lagRefuseBytes),
            ("lag-refuse-time", lagRefuseTime), ("threads", threads),
            ("workers", workers), ("max-connections", maxConnections), ("http-max-connections", httpMaxConnections),
            ("max-frame", maxFrame),
            ("max-in-flight", maxInFlight), ("max-streams", maxStreams),
            ("max-subscriptions", maxSubscriptions), ("max-node-subscriptions", maxNodeSubscriptions), ("max-output", maxOutput),
            ("max-buffers", maxBuffers), ("handshake-timeout", handshakeTimeout), ("idle-timeout", idleTimeout),
            ("http-idle-timeout", httpIdleTimeout),
            ("frame-timeout", frameTimeout), ("write-timeout", writeTimeout), ("request-timeout", requestTimeout),
            ("shutdown-timeout", shutdownTimeout), ("log-level", logLevel), ("log-format", logFormat),
        ]
        return given.compactMap { flag in flag.text.map { (flag.name, $0) } }
    }
}
