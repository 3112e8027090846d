/// Notices that the client of an HTTP connection has gone while its request is under way, and ends the work for it.
///
/// A client that only says that it sends no more looks like one that has left until something is written to it: it gets a moment for its
/// answer, then a scan for it ends. Confined to its loop.

import NIOCore
import NexaServer

final class DepartureHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Never

    private static let patience = TimeAmount.seconds(1)

    private var client: LocalClient?
    /// Counts requests to the node.
    private var number = 0

    /// The request under way is served by `client`.
    func begin(_ client: LocalClient) {
        number += 1
        self.client = client
    }

    func end() { client = nil }

    func channelInactive(context: ChannelHandlerContext) {
        client?.close()
        client = nil
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(ChannelEvent.inputClosed) = event as? ChannelEvent, client != nil {
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: Self.patience) { [number] in
                if bound.value.number == number { bound.value.client?.close() }
            }
        }
        context.fireUserInboundEventTriggered(event)
    }
}

/// The watch over one request to the node.
struct Departure {
    private let handler: NIOLoopBound<DepartureHandler>?

    init(_ channel: any Channel, _ client: LocalClient) {
        guard channel.eventLoop.inEventLoop,
            let found = try? channel.pipeline.syncOperations.handler(type: DepartureHandler.self)
        else {
            handler = nil
            return
        }
        found.begin(client)
        handler = NIOLoopBound(found, eventLoop: channel.eventLoop)
    }

    func end() {
        guard let handler else { return }
        if handler.eventLoop.inEventLoop { return handler.value.end() }
        handler.eventLoop.execute { handler.value.end() }
    }
}
