/// Connections to the node that are logged in and wait for their next request: per event loop and identity, so that a log-in, which is
/// slow by design, is paid once and not per HTTP request.
///
/// A connection serves one request at a time. It comes back only if its answer was taken whole; whatever else happened, it is closed and
/// the node ends what is under way for it. When any account has changed since it logged in it is not used again: what its identity is
/// worth by now, a new log-in finds out. Confined to its loop.

import NIOCore
import NexaDocuments
import NexaServer
import NexaWire

final class ConnectionPool {
    /// A connection, and the state of the accounts (`Catalog.usersVersion`) before it logged in.
    struct Connection: Sendable {
        let client: LocalClient
        let usersVersion: UInt64
    }

    private struct Idle {
        let connection: Connection
        let since: NIODeadline
    }

    /// Connections that wait, over all identities.
    static let idleCountMax = 256
    static let idleTime = TimeAmount.seconds(60)

    private let port: LocalPort
    private let catalog: Catalog
    private var idle: [Identity: [Idle]] = [:]
    private var idleCount = 0
    private var timer: RepeatedTask?

    init(_ port: LocalPort, _ catalog: Catalog) {
        self.port = port
        self.catalog = catalog
        let bound = NIOLoopBound(self, eventLoop: port.eventLoop)
        timer = port.eventLoop.scheduleRepeatedTask(initialDelay: Self.idleTime, delay: Self.idleTime) { _ in
            bound.value.expire()
        }
    }

    /// A connection of `identity` that waits, or a new one that has to log in.
    func take(_ identity: Identity, address: SocketAddress?) -> (connection: Connection, isNew: Bool) {
        while let connection = idle[identity]?.popLast()?.connection {
            idleCount -= 1
            if idle[identity]?.isEmpty == true { idle[identity] = nil }
            if connection.client.isClosed { continue }
            if connection.usersVersion == catalog.usersVersion { return (connection, false) }
            connection.client.close()
        }
        return (open(address: address), true)
    }

    func open(address: SocketAddress?) -> Connection {
        let usersVersion = catalog.usersVersion
        return Connection(client: port.open(address: address), usersVersion: usersVersion)
    }

    func giveBack(_ connection: Connection, of identity: Identity) {
        guard idleCount < Self.idleCountMax, timer != nil else { return connection.client.close() }
        idle[identity, default: []].append(Idle(connection: connection, since: .now()))
        idleCount += 1
    }

    /// Ends those that wait, and takes none back.
    func close() {
        timer?.cancel()
        timer = nil
        for one in idle.values.joined() { one.connection.client.close() }
        idle.removeAll()
        idleCount = 0
    }

    private func expire() {
        let limit = NIODeadline.now() - Self.idleTime
        for (identity, connections) in idle {
            let kept = connections.filter { $0.since > limit && !$0.connection.client.isClosed }
            for one in connections where one.since <= limit { one.connection.client.close() }
            idleCount -= connections.count - kept.count
            idle[identity] = kept.isEmpty ? nil : kept
        }
    }
}
