/// The way from an HTTP request to the node: a connection for whoever asks, one request after the other on it, errors as problems.

import HTTPTypes
import NIOCore
import NexaDocuments
import NexaServer
import NexaWire

/// The pools of all event loops.
struct NodeAccess: Sendable {
    private let pools: [ObjectIdentifier: NIOLoopBound<ConnectionPool>]

    init(_ node: NexaNode) async throws {
        var pools: [ObjectIdentifier: NIOLoopBound<ConnectionPool>] = [:]
        for port in node.localPorts {
            pools[ObjectIdentifier(port.eventLoop)] = try await port.eventLoop.submit {
                NIOLoopBound(ConnectionPool(port, node.context.store.catalog), eventLoop: port.eventLoop)
            }.get()
        }
        self.pools = pools
    }

    func close() async {
        for pool in pools.values { try? await pool.eventLoop.submit { pool.value.close() }.get() }
    }

    /// A connection that is logged in, and what to do with it when its answer was taken whole.
    func connect(
        _ identity: Identity, _ channel: any Channel
    ) async throws(Problem) -> (NodeConnection, giveBack: @Sendable () -> Void) {
        let pool = try pool(of: channel.eventLoop)
        let (taken, isNew) = await Self.take(pool, identity, channel.remoteAddress)
        let connection = NodeConnection(client: taken.client)
        if isNew {
            do throws(Problem) {
                _ = try await connection.ask(identity.connect())
            } catch {
                taken.client.close()
                throw error
            }
        }
        return (connection, { Self.giveBack(pool, taken, identity) })
    }

    /// Logs in anew, and keeps the connection for whoever proved to be `identity`. Answers what the node said.
    func logIn(_ identity: Identity, _ channel: any Channel) async throws(Problem) -> LocalFrame {
        let pool = try pool(of: channel.eventLoop)
        let opened = await Self.open(pool, channel.remoteAddress)
        do throws(Problem) {
            let answer = try await NodeConnection(client: opened.client).ask(identity.connect())
            Self.giveBack(pool, opened, identity)
            return answer
        } catch {
            opened.client.close()
            throw error
        }
    }

    private func pool(of eventLoop: any EventLoop) throws(Problem) -> NIOLoopBound<ConnectionPool> {
        guard let pool = pools[ObjectIdentifier(eventLoop)] else {
            throw Problem(.internal, "The request is on no event loop of the node")
        }
        return pool
    }

    private static func open(_ pool: NIOLoopBound<ConnectionPool>, _ address: SocketAddress?) async -> ConnectionPool.Connection {
        if pool.eventLoop.inEventLoop { return pool.value.open(address: address) }
        return await withCheckedContinuation { continuation in
            pool.eventLoop.execute { continuation.resume(returning: pool.value.open(address: address)) }
        }
    }

    private static func take(
        _ pool: NIOLoopBound<ConnectionPool>, _ identity: Identity, _ address: SocketAddress?
    ) async -> (ConnectionPool.Connection, Bool) {
        if pool.eventLoop.inEventLoop { return pool.value.take(identity, address: address) }
        return await withCheckedContinuation { continuation in
            pool.eventLoop.execute { continuation.resume(returning: pool.value.take(identity, address: address)) }
        }
    }

    private static func giveBack(
        _ pool: NIOLoopBound<ConnectionPool>, _ connection: ConnectionPool.Connection, _ identity: Identity
    ) {
        if pool.eventLoop.inEventLoop { return pool.value.giveBack(connection, of: identity) }
        pool.eventLoop.execute { pool.value.giveBack(connection, of: identity) }
    }
}

/// A logged-in connection to the node, for one HTTP request.
struct NodeConnection: Sendable {
    let client: LocalClient

    /// The answer to `frame`: SUCCESS, NOT_FOUND or the beginning of a stream; anything else is a problem.
    func ask(_ frame: OutputBytes, isWrite: Bool = false) async throws(Problem) -> LocalFrame {
        let answer: LocalFrame
        do throws(LocalConnectionClosed) { answer = try await client.request(frame) } catch { throw Self.ended(isWrite: isWrite) }
        return try Self.checked(answer)
    }

    /// The next frame of a stream.
    func next() async throws(Problem) -> LocalFrame {
        let answer: LocalFrame
        do throws(LocalConnectionClosed) { answer = try await client.next() } catch { throw Self.ended(isWrite: false) }
        return try Self.checked(answer)
    }

    private static func checked(_ frame: LocalFrame) throws(Problem) -> LocalFrame {
        if frame.type == .error || frame.type == .duplicate { throw Problem(answer: frame.payload) }
        return frame
    }

    private static func ended(isWrite: Bool) -> Problem {
        var problem = Problem(
            .shuttingDown, "The node stops, or its client has left" + (isWrite ? ": whether the write was done is unknown" : ""),
            details: isWrite ? [.init("outcome", "unknown")] : [])
        problem.leavesConnectionUsable = false
        return problem
    }
}
