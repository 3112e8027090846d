/// An encrypted connection as a plain descriptor: for clients that block, which know nothing of channels.

import NIOCore
import NIOPosix

package enum TLSBridge {
    /// Connects, shakes hands and answers a descriptor for what lies behind; the caller owns it. Blocks for at most twice `timeout`.
    package static func connect(host: String, port: Int, tls: ClientTLS, timeout: Duration) throws(TLSFailure) -> Int32 {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let limit = TimeAmount.nanoseconds(Int64(clamping: timeout.components.seconds) * 1_000_000_000)
        let greeting = loop.makePromise(of: NIOBSDSocket.Handle.self)
        do {
            let channel = try ClientBootstrap(group: loop)
                .connectTimeout(limit)
                .channelOption(.autoRead, value: false)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try tls.addHandler(to: channel, host: host)
                        try channel.pipeline.syncOperations.addHandler(Greeter(greeting))
                    }
                }
                .connect(host: host, port: port).wait()
            loop.scheduleTask(in: limit) { greeting.fail(TLSFailure("the TLS handshake was not done in time")) }
            greeting.futureResult.whenFailure { _ in channel.close(promise: nil) }
            return try greeting.futureResult.wait()
        } catch let failure as TLSFailure {
            throw failure
        } catch {
            greeting.fail(error)
            throw TLSFailure(TLSFailure.reason(of: error).map { "TLS: \($0)" } ?? "\(error)")
        }
    }
}

/// Waits for the end of the handshake, then makes way for a relay.
private final class Greeter: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let greeting: EventLoopPromise<NIOBSDSocket.Handle>

    init(_ greeting: EventLoopPromise<NIOBSDSocket.Handle>) { self.greeting = greeting }

    func channelActive(context: ChannelHandlerContext) { context.read() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard isHandshakeCompleted(event) else { return context.fireUserInboundEventTriggered(event) }
        let channel = context.channel
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
        greeting.completeWith(Result { try Relay.descriptor(for: channel) })
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        greeting.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        greeting.fail(TLSFailure("the connection was closed during the TLS handshake"))
    }
}
