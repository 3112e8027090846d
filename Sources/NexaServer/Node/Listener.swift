/// Accepts connections and gives each to the loop that NIO chose for it.
///
/// Above `max-connections` a client gets one ERROR frame and is closed. When the process runs out of file descriptors the
/// accept pauses for a second (`AcceptBackoffHandler`) instead of spinning.

import Logging
import NIOCore
import NIOPosix
import NexaDocuments
import NexaTLS
import NexaWire
import Synchronization

enum Listener {
    static func start(
        _ configuration: ServerConfiguration, group: MultiThreadedEventLoopGroup, context: NodeContext,
        loops: [NIOLoopBound<LoopContext>]
    ) async throws -> any Channel {
        let loopOf = Dictionary(uniqueKeysWithValues: loops.map { (ObjectIdentifier($0.eventLoop), $0) })
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler())
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // The handler asks for each read itself: that is its back-pressure.
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1 << 10, initial: 2 << 10, maximum: 64 << 10)
            )
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let loop = loopOf[ObjectIdentifier(channel.eventLoop)]?.value else {
                        throw ChannelError.ioOnClosedChannel
                    }
                    loop.metrics.add(to: .connectionsAccepted)
                    let count = context.connectionCount.wrappingAdd(1, ordering: .relaxed).newValue
                    if count > context.configuration.connectionCountMax {
                        try channel.pipeline.syncOperations.addHandler(RefusalHandler(loop: loop))
                    } else {
                        try context.tls?.addHandlers(to: channel, plaintext: plaintextGuard(loop, channel.remoteAddress))
                        try channel.pipeline.syncOperations.addHandler(ConnectionHandler(loop: loop))
                    }
                }
            }
        do {
            return try await bootstrap.bind(host: configuration.host, port: configuration.port).get()
        } catch {
            throw StartError("cannot listen on \(configuration.host):\(configuration.port): \(error) (another port: --port N)")
        }
    }
}

extension Listener {
    /// What a client gets that does not speak TLS to a node that does.
    private static func plaintextGuard(_ loop: LoopContext, _ address: SocketAddress?) -> PlaintextGuard {
        let output = OutputBytes(capacity: 256)
        output.writeErrorFrame(WireError(.unsupported, "This node speaks TLS on this port: connect with nexadbs://"))
        return PlaintextGuard(refusal: Array(output.bytes)) {
            loop.metrics.add(to: .handshakesFailed)
            loop.node.logger.notice(
                "plaintext on the TLS port", metadata: ["address": "\(address?.ipAddress ?? "unknown")"])
        }
    }
}

/// Says that the node is full, and closes.
private final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let loop: LoopContext
    private var isCounted = true

    init(loop: LoopContext) { self.loop = loop }

    func channelActive(context: ChannelHandlerContext) {
        loop.metrics.add(to: .connectionsRefused)
        let output = OutputBytes(capacity: 256)
        let limit = loop.node.configuration.connectionCountMax
        output.writeErrorFrame(
            WireError(
                .overloaded, "This node serves at most \(limit) connections (max-connections)",
                details: [.init("limit", .int(Int64(limit)))]))
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: output.bytes))).whenComplete { _ in
            bound.value.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) { leave() }
    func handlerRemoved(context: ChannelHandlerContext) { leave() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func leave() {
        guard isCounted else { return }
        isCounted = false
        loop.node.connectionCount.wrappingSubtract(1, ordering: .relaxed)
    }
}
