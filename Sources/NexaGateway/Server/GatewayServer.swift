/// The gateway as a door of a node: opened when the node listens, closed before it stops.
///
///     open:  bind ─► accept on the node's event loops
///     close: no new connections ─► requests under way are answered ─► (at the deadline, cut) ─► connections to the node end

import HummingbirdCore
import Logging
import NIOCore
import NexaDocuments
import NexaServer
import NexaStorage

package final class GatewayServer: NodeDoor {
    package let port: Int
    package let address: String?
    private let gateway: Gateway
    private let server: Server<GatewayChannel>
    private let running: Task<Void, any Error>

    private init(_ gateway: Gateway, _ server: Server<GatewayChannel>, _ running: Task<Void, any Error>, host: String, port: Int)
    {
        self.gateway = gateway
        self.server = server
        self.running = running
        self.port = port
        let scheme = gateway.node.tls == nil ? "http" : "https"
        address = "\(scheme)://\(StartLine.bracketed(host)):\(port)"
    }

    /// The door of a node that is told to have one.
    package static let open: NodeDoorOpener = { node in
        let configuration = node.context.configuration
        guard let (host, port) = configuration.httpAddress else { return nil }
        do {
            return try await start(node, host: host, port: port)
        } catch {
            throw StartError(
                "cannot listen on \(host):\(port) for HTTP: \(error) (another port: --http-port N; none: --no-http)")
        }
    }

    private static func start(_ node: NexaNode, host: String, port: Int) async throws -> GatewayServer {
        let gateway = try await Gateway(node, listensOn: host)
        var quiet = node.context.logger
        quiet.logLevel = .critical
        let (bound, continuation) = AsyncStream<Int>.makeStream()
        let server = Server(
            childChannelSetup: GatewayChannel(gateway, node.eventLoops),
            configuration: HummingbirdCore.ServerConfiguration(
                address: .hostname(host, port: port), backlog: 1_024,
                availableConnectionsDelegate: .maximum(
                    node.context.configuration.httpConnectionCountMax, logger: quiet)),
            onServerRunning: { channel in
                continuation.yield(channel.localAddress?.port ?? port)
                continuation.finish()
            }, eventLoopGroup: node.eventLoops, logger: quiet)
        let running = Task {
            defer { continuation.finish() }
            try await server.run()
        }
        for await port in bound { return GatewayServer(gateway, server, running, host: host, port: port) }
        await gateway.access.close()
        try await running.value
        throw CancellationError()
    }

    package func close(deadline: UInt64) async {
        let cut = Task {
            let now = MonotonicTime.nanoseconds()
            try await Task.sleep(nanoseconds: deadline > now ? deadline - now : 0)
            running.cancel()
        }
        try? await server.shutdownGracefully()
        cut.cancel()
        running.cancel()
        _ = await running.result
        await gateway.access.close()
    }
}
