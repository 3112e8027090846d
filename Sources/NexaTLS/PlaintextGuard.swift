/// Looks at the first byte of a connection to a TLS port. A client that does not speak TLS gets an answer that it can read, and is
/// closed; without this it would wait for bytes that never make sense.

import NIOCore

package final class PlaintextGuard: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Every TLS connection begins with a handshake record.
    private static let handshakeRecord: UInt8 = 22

    private let refusal: [UInt8]
    private let onPlaintext: () -> Void
    private var isRefused = false

    /// - Parameters:
    ///   - refusal: what a client is sent that does not speak TLS.
    ///   - onPlaintext: called when one came; on the event loop.
    package init(refusal: [UInt8], onPlaintext: @escaping () -> Void) {
        self.refusal = refusal
        self.onPlaintext = onPlaintext
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        let bytes = unwrapInboundIn(data)
        if bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) == Self.handshakeRecord {
            context.fireChannelRead(data)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
            return
        }
        isRefused = true
        onPlaintext()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: refusal))).whenComplete { _ in bound.value.close(promise: nil) }
    }
}
