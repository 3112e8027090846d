/// The admin port: `/metrics` for Prometheus, `/health` and `/readyz` for supervisors, `/leader` and `/replica` for
/// load balancers. GET and HEAD only, and loopback only unless `admin-host` says otherwise.
///
/// Bounded: 64 connections, no request body, one answer at a time, ten seconds of silence end a connection. On loopback the
/// `Host` header must name loopback, so a web page that resolves its own name to 127.0.0.1 reads nothing.

import NIOCore
import NIOHTTP1
import NIOPosix

/// What the admin port tells; the node implements it.
package protocol AdminSource: Sendable {
    /// Prometheus text format, version 0.0.4.
    func metricsText() -> String
    /// Nil while the node is well, otherwise what is wrong.
    func ailment() -> String?
    /// Whether requests are served now (recovery done, not stopping).
    func isReady() -> Bool
    /// Whether writes are taken here.
    func isLeader() -> Bool
    /// How old what this node's readers see is at most; nil when it leads, follows nobody, or does not know.
    func stalenessMilliseconds() -> Int?
}

package struct AdminListener {
    private let channel: any Channel

    /// The port it listens on.
    package var port: Int { channel.localAddress?.port ?? 0 }

    package static func start(
        host: String, port: Int, group: any EventLoopGroup, source: any AdminSource
    ) async throws -> AdminListener {
        let answersAnyHost = !ServerConfiguration.isLoopback(host)
        let count = AdminConnectionCount()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    guard count.enter() else { throw ChannelError.connectPending }
                    child.closeFuture.whenComplete { _ in count.leave() }
                    try child.pipeline.syncOperations.addHandler(IdleStateHandler(allTimeout: .seconds(10)))
                    try child.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try child.pipeline.syncOperations.addHandler(AdminHandler(source: source, answersAnyHost: answersAnyHost))
                }
            }
            .bind(host: host, port: port).get()
        return AdminListener(channel: channel)
    }

    package func close() async { try? await channel.close() }
}

/// Answers one request after the other.
final class AdminHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let source: any AdminSource
    private let answersAnyHost: Bool
    private var head: HTTPRequestHead?

    init(source: any AdminSource, answersAnyHost: Bool) {
        self.source = source
        self.answersAnyHost = answersAnyHost
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: refuse(context: context, status: .payloadTooLarge)
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context: context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
        let reply = AdminReply(
            method: head.method.rawValue, path: head.uri, hosts: head.headers[canonicalForm: "host"].map(String.init),
            answersAnyHost: answersAnyHost, source: source)
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: reply.contentType)
        headers.add(name: "content-length", value: "\(reply.body.utf8.count)")
        headers.add(name: "cache-control", value: "no-store")
        headers.add(name: "x-content-type-options", value: "nosniff")
        let status = HTTPResponseStatus(statusCode: reply.status)
        let keepsOpen = head.isKeepAlive && reply.status < 400
        if !keepsOpen { headers.add(name: "connection", value: "close") }
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: status, headers: headers))), promise: nil)
        if head.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: reply.body)))), promise: nil)
        }
        let done = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !keepsOpen {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            done.whenComplete { _ in bound.value.close(promise: nil) }
        }
    }

    private func refuse(context: ChannelHandlerContext, status: HTTPResponseStatus) {
        guard head != nil else { return }
        head = nil
        var headers = HTTPHeaders()
        headers.add(name: "content-length", value: "0")
        headers.add(name: "connection", value: "close")
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in bound.value.close(promise: nil) }
    }
}
