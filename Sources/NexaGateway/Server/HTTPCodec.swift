/// Between NIO's HTTP/1 and Hummingbird's messages: reads heads (`RequestHead`) and ends connections as `ConnectionLife` decides. Confined
/// to its loop.
///
/// A connection ends behind its last answer in two steps, because a client that still sends would lose that answer to a reset: our side is
/// closed, what comes is dropped for a moment, then the socket goes.

import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

final class HTTPCodec: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private static let lingerTime = TimeAmount.seconds(1)

    private var life = ConnectionLife()
    /// Time for a body that nobody reads; nil: without limit.
    private let drainTime: TimeAmount?
    private var drainTimer: Scheduled<Void>?

    init(drainTime: TimeAmount?) { self.drainTime = drainTime }

    func handlerRemoved(context: ChannelHandlerContext) { drainTimer?.cancel() }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            do throws(HTTPParserError) {
                let head = try RequestHead(head)
                take(life.head(head), .head(head.request), context)
            } catch {
                life.fail()
                context.fireErrorCaught(error)
            }
        case .body(let bytes): take(life.body(bytes.readableBytes), .body(bytes), context)
        case .end:
            if !life.isOver { drainTimer?.cancel() }
            take(life.end(), .end(nil), context)
        }
    }

    private func take(_ input: ConnectionLife.Input, _ part: HTTPRequestPart, _ context: ChannelHandlerContext) {
        switch input {
        case .forward: context.fireChannelRead(wrapInboundOut(part))
        case .drop: break
        case .cut: context.close(promise: nil)
        }
    }

    // MARK: Out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head): context.write(wrapOutboundOut(.head(answerHead(head))), promise: promise)
        case .body(let bytes): context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: promise)
        case .end:
            context.write(wrapOutboundOut(.end(nil)), promise: promise)
            switch life.answerEnd() {
            case .goOn: break
            case .drain: close(context, in: drainTime)
            case .close:
                context.flush()
                context.close(mode: .output, promise: nil)
                close(context, in: Self.lingerTime)
            }
        }
    }

    private func answerHead(_ head: HTTPResponse) -> HTTPResponseHead {
        let status = HTTPResponseStatus(statusCode: head.status.code, reasonPhrase: head.status.reasonPhrase)
        guard head.status.kind != .informational else { return HTTPResponseHead(version: .http1_1, status: status) }
        let isFramed = head.headerFields.contains(.contentLength) || head.status.code == 204 || head.status.code == 304
        let (closes, isOld) = life.answerHead(closes: head.headerFields[.connection] == "close", isFramed: isFramed)
        var fields = HTTPHeaders()
        fields.reserveCapacity(head.headerFields.count + 1)
        for field in head.headerFields where field.name != .connection {
            fields.add(name: field.name.rawName, value: field.value)
        }
        if closes || isOld { fields.add(name: "Connection", value: closes ? "close" : "keep-alive") }
        return HTTPResponseHead(version: isOld ? .http1_0 : .http1_1, status: status, headers: fields)
    }

    private func close(_ context: ChannelHandlerContext, in time: TimeAmount?) {
        guard let time else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        drainTimer?.cancel()
        drainTimer = context.eventLoop.scheduleTask(in: time) { bound.value.close(promise: nil) }
    }
}
