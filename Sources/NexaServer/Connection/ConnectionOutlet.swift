/// Where a connection's answers go and its requests come from: a socket, or a caller in this process.
///
/// All logic of a connection is `ConnectionHandler`, whoever is at its other end; this is all that differs. Confined to the loop.

import NIOCore

enum ConnectionOutlet {
    case socket(ChannelHandlerContext)
    case local(LocalConnection)

    /// Can be read and written; a read that is asked for earlier would be lost.
    var isActive: Bool {
        switch self {
        case .socket(let context): context.channel.isActive
        case .local(let connection): !connection.isClosed
        }
    }

    /// Takes bytes at once. A caller in this process always does: it asks for one answer at a time, and for streams in chunks.
    var isWritable: Bool {
        switch self {
        case .socket(let context): context.channel.isWritable
        case .local: true
        }
    }

    /// Bytes that were written and not taken yet.
    var unsentByteCount: Int {
        switch self {
        case .socket(let context): (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        case .local: 0
        }
    }

    var address: SocketAddress? {
        switch self {
        case .socket(let context): context.channel.remoteAddress
        case .local(let connection): connection.address
        }
    }

    /// Limits of time are for those whose bytes come and go by a network.
    var isSocket: Bool {
        if case .socket = self { true } else { false }
    }

    /// Writes whole frames.
    func send(_ frames: ByteBuffer) {
        switch self {
        case .socket(let context): context.writeAndFlush(NIOAny(frames), promise: nil)
        case .local(let connection): connection.take(frames)
        }
    }

    /// Asks for more input; a caller in this process hands its requests in unasked.
    func read() {
        if case .socket(let context) = self { context.read() }
    }

    func close() {
        switch self {
        case .socket(let context): context.close(promise: nil)
        case .local(let connection): connection.close()
        }
    }

    /// Closes behind what was written.
    func finish() {
        switch self {
        case .socket(let context):
            // Close takes its turn behind what the socket still holds.
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.writeAndFlush(NIOAny(ByteBuffer())).whenComplete { _ in bound.value.close(promise: nil) }
        case .local(let connection): connection.close()
        }
    }
}
