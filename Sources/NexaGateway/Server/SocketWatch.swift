/// Watches what goes through the socket of an HTTP connection: counts its bytes, those of large answers that wait for their client as part of
/// what the node buffers (`max-buffers`), and ends a connection whose client takes nothing of its answers for `write-timeout`, as the NEXA
/// port does. Confined to its loop.

import NIOCore
import NexaServer
import Synchronization

final class SocketWatch: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = IOData

    private let node: NodeContext
    /// nil: without limit.
    private let stallTime: TimeAmount?
    private var timer: Scheduled<Void>?

    init(_ node: NodeContext, stallTime: TimeAmount?) {
        self.node = node
        self.stallTime = stallTime
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        node.http.received(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let byteCount = unwrapOutboundIn(data).readableBytes
        node.http.sent(byteCount)
        guard byteCount > BodyAccount.smallByteCount else { return context.write(data, promise: promise) }
        let taken = promise ?? context.eventLoop.makePromise()
        node.bufferedByteCount.wrappingAdd(byteCount, ordering: .relaxed)
        taken.futureResult.whenComplete { [node] _ in node.bufferedByteCount.wrappingSubtract(byteCount, ordering: .relaxed) }
        context.write(data, promise: taken)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if timer == nil, !context.channel.isWritable { watch(context) }
        context.fireChannelWritabilityChanged()
    }

    /// Nothing is written to a channel that is not writable: as many bytes later as before means that none were taken.
    private func watch(_ context: ChannelHandlerContext) {
        guard let stallTime else { return }
        let before = unsentByteCount(context)
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: stallTime) {
            let (handler, context) = bound.value
            handler.timer = nil
            guard !context.channel.isWritable else { return }
            if handler.unsentByteCount(context) >= before { context.close(promise: nil) } else { handler.watch(context) }
        }
    }

    private func unsentByteCount(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }
}
