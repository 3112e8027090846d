/// The pipeline of an HTTP connection: TLS where the node has a certificate, Hummingbird's HTTP/1, and its requests served on the event
/// loop that reads them.

import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NexaServer
import NexaTLS

struct GatewayChannel: ServerChildChannel {
    private let http: HTTP1Channel
    private let node: NodeContext
    private let executors: [ObjectIdentifier: LoopTaskExecutor]

    init(_ gateway: Gateway, _ eventLoops: any EventLoopGroup) {
        node = gateway.node
        var executors: [ObjectIdentifier: LoopTaskExecutor] = [:]
        for eventLoop in eventLoops.makeIterator() { executors[ObjectIdentifier(eventLoop)] = LoopTaskExecutor(eventLoop) }
        self.executors = executors
        let idle = node.configuration.httpIdleLimit
        http = HTTP1Channel(
            responder: { request, writer, channel in
                try await Self.respond(gateway, request, writer, channel)
            },
            configuration: .init(
                additionalChannelHandlers: [DepartureHandler()],
                idleTimeout: idle.isOff ? nil : .milliseconds(Int64(idle.milliseconds)),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100)))
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        node.http.connectionOpened()
        channel.closeFuture.whenComplete { [http = node.http] _ in http.connectionClosed() }
        do {
            try node.tls?.addHandlers(to: channel, plaintext: Self.plaintextGuard(node, channel.remoteAddress))
        } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
        return http.setup(channel: channel, logger: logger)
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        await withTaskExecutorPreference(executors[ObjectIdentifier(value.channel.eventLoop)]) {
            await http.handle(value: value, logger: logger)
        }
    }

    private static func respond(
        _ gateway: Gateway, _ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        if request.headers[.expect]?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let answer = await gateway.respond(to: request, channel: channel)
        var head = HTTPResponse(status: .init(code: answer.status), headerFields: answer.fields)
        switch answer.body {
        case .none:
            if answer.status != 204, answer.status != 304 { head.headerFields[.contentLength] = "0" }
            try await writer.writeResponse(head)
        case .bytes(let bytes):
            head.headerFields[.contentLength] = "\(bytes.readableBytes)"
            if request.method == .head {
                try await writer.writeResponse(head)
            } else {
                try await writer.write(response: head, body: ResponseBody(byteBuffer: bytes))
            }
        case .stream(let body):
            try await writer.write(response: head, body: ResponseBody { writer in try await body(&writer) })
        }
        // The client may be sending still: what it was told reaches it, then the connection ends.
        if answer.fields[.connection] == "close" {
            channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
            channel.close(mode: .output, promise: nil)
        }
    }

    /// What a client gets that does not speak TLS to a node that does.
    private static func plaintextGuard(_ node: NodeContext, _ address: SocketAddress?) -> PlaintextGuard {
        let body = "This node speaks TLS on this port: use https://\n"
        let text =
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
        return PlaintextGuard(refusal: Array(text.utf8)) {
            node.logger.notice("plaintext on the TLS port", metadata: ["address": "\(address?.ipAddress ?? "unknown")"])
        }
    }
}
