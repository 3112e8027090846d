/// What the admin port answers to a request: a pure decision over method, path and `Host`.

import Synchronization

package struct AdminReply: Equatable {
    package var status: Int
    package var contentType = "text/plain; charset=utf-8"
    package var body: String

    private init(_ status: Int, _ body: String) {
        self.status = status
        self.body = body
    }

    /// - Parameter answersAnyHost: The port listens beyond loopback, where `Host` is whatever the network calls this machine.
    package init(method: String, path: String, hosts: [String], answersAnyHost: Bool = false, source: any AdminSource) {
        guard answersAnyHost || (hosts.count == 1 && Self.isLoopback(host: hosts[0])) else {
            self.init(403, "this port answers to loopback names only\n")
            return
        }
        guard method == "GET" || method == "HEAD" else {
            self.init(405, "GET and HEAD only\n")
            return
        }
        switch path.prefix(while: { $0 != "?" }) {
        case "/metrics":
            self.init(200, source.metricsText())
            contentType = "text/plain; version=0.0.4; charset=utf-8"
        case "/health":
            if let ailment = source.ailment() { self.init(503, ailment + "\n") } else { self.init(200, "ok\n") }
        case "/readyz":
            if source.isReady() { self.init(200, "ready\n") } else { self.init(503, "not ready\n") }
        case "/leader":
            if source.isLeader() { self.init(200, "leader\n") } else { self.init(503, "not the leader\n") }
        case "/replica": self.init(replica: path, source: source)
        default: self.init(404, "there are /metrics, /health, /readyz, /leader and /replica\n")
        }
    }

    /// `/replica?lag=500ms`: a follower that is not more than so far behind; without `lag` any that follows.
    private init(replica path: String, source: any AdminSource) {
        guard let staleness = source.stalenessMilliseconds() else {
            self.init(503, "not a follower, or nothing was heard of the leader yet\n")
            return
        }
        for part in path.drop(while: { $0 != "?" }).dropFirst().split(separator: "&") where part.hasPrefix("lag=") {
            guard let limit = TimeLimit(parsing: String(part.dropFirst(4))) else {
                self.init(400, "lag is a time such as 500ms or 2s\n")
                return
            }
            guard limit.isOff || staleness <= limit.milliseconds else {
                self.init(503, "up to \(staleness) ms behind\n")
                return
            }
        }
        self.init(200, "follower, up to \(staleness) ms behind\n")
    }

    private static func isLoopback(host: String) -> Bool {
        let name: Substring
        if host.hasPrefix("[") {
            name = host.prefix { $0 != "]" }.dropFirst()
        } else {
            name = host.prefix { $0 != ":" }
        }
        return ServerConfiguration.isLoopback(String(name))
    }
}

/// At most 64 admin connections at a time.
final class AdminConnectionCount: Sendable {
    private let count = Atomic<Int>(0)

    func enter() -> Bool {
        if count.wrappingAdd(1, ordering: .relaxed).newValue <= 64 { return true }
        leave()
        return false
    }

    func leave() { count.wrappingSubtract(1, ordering: .relaxed) }
}
