/// The pipeline of an HTTP connection, and its requests served on the event loop that reads them.
///
///     socket ─► (TLS) ─► SocketWatch ─► NIO's HTTP/1 ─► HTTPCodec ─► DepartureHandler ─► Hummingbird: idle time, one task a connection

import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NexaServer
import NexaTLS

struct GatewayChannel: HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: HTTPChannelHandler.Responder
    private let node: NodeContext
    private let executors: [ObjectIdentifier: LoopTaskExecutor]

    private static let decoderLimits: NIOHTTPDecoderLimitConfiguration = {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 16 << 10
        limits.maxHeaderListSize = 32 << 10
        limits.maxHeaderFieldCount = 100
        return limits
    }()

    init(_ gateway: Gateway, _ eventLoops: any EventLoopGroup) {
        node = gateway.node
        var executors: [ObjectIdentifier: LoopTaskExecutor] = [:]
        for eventLoop in eventLoops.makeIterator() { executors[ObjectIdentifier(eventLoop)] = LoopTaskExecutor(eventLoop) }
        self.executors = executors
        responder = { request, writer, channel in try await Self.respond(gateway, request, writer, channel) }
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        node.http.connectionOpened()
        channel.closeFuture.whenComplete { [http = node.http] _ in http.connectionClosed() }
        return channel.eventLoop.makeCompletedFuture {
            try node.tls?.addHandlers(to: channel, plaintext: Self.plaintextGuard(node, channel.remoteAddress))
            let pipeline = channel.pipeline.syncOperations
            let limits = node.limits
            try pipeline.addHandler(SocketWatch(node, stallTime: Self.time(limits.writeStallMilliseconds)))
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false,
                withEncoderConfiguration: .init(), withDecoderLimitConfiguration: Self.decoderLimits)
            let idle = node.configuration.httpIdleLimit
            try pipeline.addHandlers([
                HTTPCodec(drainTime: Self.time(limits.frameMilliseconds)),
                DepartureHandler(),
                HTTPConnectionStateHandler(idleTimeout: idle.isOff ? nil : .milliseconds(idle.milliseconds), logger: logger),
            ])
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    private static func time(_ milliseconds: UInt64) -> TimeAmount? {
        milliseconds == 0 ? nil : .milliseconds(Int64(milliseconds))
    }

    /// Cancelled, it ends at once, whatever its client does.
    func handle(value: Value, logger: Logger) async {
        await withTaskExecutorPreference(executors[ObjectIdentifier(value.channel.eventLoop)]) {
            await withTaskCancellationHandler {
                await handleHTTP(asyncChannel: value, logger: logger)
            } onCancel: {
                value.channel.close(promise: nil)
            }
        }
    }

    private static func respond(
        _ gateway: Gateway, _ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        let admission = gateway.admit(request, channel)
        // Who asks before it sends its body is told to go on only when the head is in order.
        if case .serve = admission.verdict, request.headers[.expect]?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let answer = await gateway.respond(to: request, admission)
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
