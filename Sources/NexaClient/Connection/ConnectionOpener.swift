import NIOCore
import NIOPosix
import NexaWire

/// Opens connections: the socket, TLS where it is wanted, the greeting. One time limit for all of it.
struct ConnectionOpener: Sendable {
    let configuration: ClientConfiguration
    let greeting: Document

    init(_ configuration: ClientConfiguration) {
        self.configuration = configuration
        greeting = Handshake.greeting(configuration)
    }

    /// Completes on `loop`. `onClose` is called once, on the loop, when the connection that came of it has ended.
    func open(
        _ host: HostAddress, on loop: any EventLoop, onClose: @escaping @Sendable (Connection, NexaError) -> Void
    ) -> EventLoopFuture<Connection> {
        let greeted = loop.makePromise(of: ServerHello.self)
        let handler = ConnectionHandler(
            host: host, greeting: greeting, frameByteCountMax: configuration.frameByteCountMax, ready: greeted, onClose: onClose)
        let limit = TimeAmount.nanoseconds(configuration.connectTimeout.nanoseconds)
        let timeout = loop.scheduleTask(in: limit) {
            handler.fail(NexaError(.connection, "\(host) did not take the connection within \(configuration.connectTimeout)"))
        }
        ClientBootstrap(group: loop)
            .connectTimeout(limit)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            // One read per wake-up takes what is there; a second one would only find nothing.
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 16 << 10, maximum: 256 << 10)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = configuration.tls, let transport = configuration.transport {
                        try transport.install(on: channel, settings: tls, host: host.host)
                    }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .connect(host: host.host, port: host.port)
            .whenFailure { error in
                handler.fail(NexaError(.connection, "Cannot connect to \(host): \(Self.reason(error))"))
            }
        return greeted.futureResult.map { hello in
            timeout.cancel()
            let connection = Connection(
                host: host, hello: hello, loop: loop, handler: handler,
                queueLimit: max(1, configuration.queueLimit / configuration.poolSize), compresses: configuration.compresses)
            handler.serve(connection)
            return connection
        }.flatMapErrorThrowing { error in
            timeout.cancel()
            throw error
        }
    }

    /// What a person can do something with, out of NIO's description.
    private static func reason(_ error: any Error) -> String {
        guard let failure = error as? NIOConnectionError else { return "\(error)" }
        if let first = failure.connectionErrors.first { return "\(first.error)" }
        return "the name is not known"
    }
}
