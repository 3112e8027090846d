/// Notices that the client of an HTTP connection has gone while its request is under way, and ends the work for it.
///
/// A client that only says that it sends no more looks like one that has left until something is written to it: it gets a moment for its
/// answer, or for each part of one that is streamed, then the work ends. Confined to its loop.

import NIOCore
import NexaServer

final class DepartureHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Never

    private static let patience = TimeAmount.seconds(1)

    private var client: LocalClient?
    /// Counts what was begun.
    private var number = 0
    private var inputHasEnded = false

    /// What is under way is served by `client`; answers its number.
    func begin(_ client: LocalClient, on eventLoop: any EventLoop) -> Int {
        number += 1
        self.client = client
        if inputHasEnded { loseHope(eventLoop) }
        return number
    }

    func end(_ number: Int) {
        if self.number == number { client = nil }
    }

    private func loseHope(_ eventLoop: any EventLoop) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.patience) { [number] in
            if bound.value.number == number { bound.value.client?.close() }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        client?.close()
        client = nil
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(ChannelEvent.inputClosed) = event as? ChannelEvent {
            inputHasEnded = true
            if client != nil { loseHope(context.eventLoop) }
        }
        context.fireUserInboundEventTriggered(event)
    }
}

/// The watch over one request to the node, or over one step of a stream.
struct Departure: Sendable {
    private let handler: NIOLoopBound<DepartureHandler>?
    private let number: Int

    init(_ channel: any Channel, _ client: LocalClient) async {
        let eventLoop = channel.eventLoop
        if eventLoop.inEventLoop {
            self.init(onLoopOf: channel, client)
        } else {
            self = await withCheckedContinuation { continuation in
                eventLoop.execute { continuation.resume(returning: Departure(onLoopOf: channel, client)) }
            }
        }
    }

    private init(onLoopOf channel: any Channel, _ client: LocalClient) {
        // A channel that is closed has no handlers any more.
        guard let found = try? channel.pipeline.syncOperations.handler(type: DepartureHandler.self) else {
            client.close()
            (handler, number) = (nil, 0)
            return
        }
        number = found.begin(client, on: channel.eventLoop)
        handler = NIOLoopBound(found, eventLoop: channel.eventLoop)
    }

    func end() {
        guard let handler else { return }
        if handler.eventLoop.inEventLoop { return handler.value.end(number) }
        handler.eventLoop.execute { [number] in handler.value.end(number) }
    }
}
