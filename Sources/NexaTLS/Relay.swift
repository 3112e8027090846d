/// Joins two channels of one event loop: what comes on one is written to the other. It reads on only while the other side takes what it
/// gets, so a slow reader at one end slows the writer at the other, and a few buffers are all that lies between.
///
/// By this an encrypted connection goes on behind a plain descriptor, for code that owns sockets of its own: the loop of replication, and
/// the blocking client of the tools.

import NIOCore
import NIOPosix

package final class Relay: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private var context: ChannelHandlerContext?
    private var partner: Relay?
    private var isReadPending = false
    /// What came before the two were joined.
    private var early: [ByteBuffer] = []

    package init() {}

    /// A descriptor that speaks for `channel`, whose last handler this becomes. `channel` must be registered and not read by itself
    /// (`autoRead` off); on its event loop. The caller owns the descriptor.
    package static func descriptor(for channel: any Channel) throws -> NIOBSDSocket.Handle {
        let pair = try SocketPair()
        let (near, far) = (Relay(), Relay())
        do {
            try channel.pipeline.syncOperations.addHandler(near)
        } catch {
            pair.close()
            throw error
        }
        let bound = NIOLoopBound((near, far), eventLoop: channel.eventLoop)
        ClientBootstrap(group: channel.eventLoop)
            .channelOption(.autoRead, value: false)
            .channelInitializer { inner in
                inner.eventLoop.makeCompletedFuture { try inner.pipeline.syncOperations.addHandler(bound.value.1) }
            }
            .withConnectedSocket(pair.inner)
            .whenComplete { result in
                let (near, far) = bound.value
                guard case .success = result, near.context != nil else {
                    near.close()
                    far.close()
                    return
                }
                near.join(far)
            }
        return pair.outer
    }

    private func join(_ other: Relay) {
        partner = other
        other.partner = self
        for buffer in early { other.context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }
        early = []
        readOn()
        other.readOn()
    }

    package func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    package func handlerRemoved(context: ChannelHandlerContext) { forget() }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReadPending = false
        guard let other = partner?.context else { return early.append(unwrapInboundIn(data)) }
        other.write(data, promise: nil)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        partner?.context?.flush()
        readOn()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { partner?.readOn() }
    }

    package func channelInactive(context: ChannelHandlerContext) { forget() }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) { close() }

    private func readOn() {
        guard let context, !isReadPending, let other = partner?.context, other.channel.isWritable else { return }
        isReadPending = true
        context.read()
    }

    private func close() {
        context?.close(promise: nil)
        forget()
    }

    /// The end of one side is the end of the other, behind what was written to it.
    private func forget() {
        context = nil
        guard let other = partner else { return }
        partner = nil
        other.partner = nil
        guard let context = other.context else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(other.wrapOutboundOut(ByteBuffer())).whenComplete { _ in bound.value.close(promise: nil) }
    }
}
