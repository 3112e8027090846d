/// Connections to the node that are logged in and wait for their next request: per event loop and identity, so that a log-in, which is
/// slow by design, is paid once and not per HTTP request.
///
/// A connection serves one request at a time. It comes back only if its answer was taken whole; whatever else happened, it is closed and
/// the node ends what is under way for it. Confined to its loop.

import NIOCore
import NexaServer
import NexaWire

final class ConnectionPool {
    private struct Idle {
        let client: LocalClient
        let since: NIODeadline
    }

    /// Connections that wait, over all identities.
    static let idleCountMax = 256
    static let idleTime = TimeAmount.seconds(60)

    private let port: LocalPort
    private var idle: [Identity: [Idle]] = [:]
    private var idleCount = 0
    private var timer: RepeatedTask?

    init(_ port: LocalPort) {
        self.port = port
        let bound = NIOLoopBound(self, eventLoop: port.eventLoop)
        timer = port.eventLoop.scheduleRepeatedTask(initialDelay: Self.idleTime, delay: Self.idleTime) { _ in
            bound.value.expire()
        }
    }

    /// A connection of `identity` that waits, or a new one that has to log in.
    func take(_ identity: Identity, address: SocketAddress?) -> (client: LocalClient, isNew: Bool) {
        while let client = idle[identity]?.popLast()?.client {
            idleCount -= 1
            if idle[identity]?.isEmpty == true { idle[identity] = nil }
            if !client.isClosed { return (client, false) }
        }
        return (open(address: address), true)
    }

    func open(address: SocketAddress?) -> LocalClient { port.open(address: address) }

    func giveBack(_ client: LocalClient, of identity: Identity) {
        guard idleCount < Self.idleCountMax, timer != nil else { return client.close() }
        idle[identity, default: []].append(Idle(client: client, since: .now()))
        idleCount += 1
    }

    /// Ends those that wait, and takes none back.
    func close() {
        timer?.cancel()
        timer = nil
        for one in idle.values.joined() { one.client.close() }
        idle.removeAll()
        idleCount = 0
    }

    private func expire() {
        let limit = NIODeadline.now() - Self.idleTime
        for (identity, connections) in idle {
            let kept = connections.filter { $0.since > limit && !$0.client.isClosed }
            for one in connections where one.since <= limit { one.client.close() }
            idleCount -= connections.count - kept.count
            idle[identity] = kept.isEmpty ? nil : kept
        }
    }
}
