import NexaTLS
import NexaWire

/// One answer frame, decoded.
package struct Reply: Sendable {
    package let type: MessageType
    package let payload: MessagePackValue
    /// The node asks for slower writes.
    package let isSlowDown: Bool
}

/// A blocking connection to a node for the tools: plain dialect, first in, first out, optionally pipelined.
///
/// Invariant: `owed` is the number of requests without an answer yet; answers are matched in order. After a time-out or a protocol
/// violation the order is lost, so the connection refuses further use instead of giving an answer to the wrong question. Confined
/// to one thread. The hot path of `nexadb bench` does not use it; the Swift client for applications is another module.
package final class ClientConnection {
    package struct Options: Sendable {
        package var clientName = "nexadb-tools"
        package var username: String?
        package var password: String?
        /// Things to negotiate beyond the core, such as "stream" and "compact".
        package var features: [String] = []
        /// "replication" for messages between nodes and their administration.
        package var purpose: String?
        /// Nil: plaintext.
        package var tls: ClientTLS?
        /// For connecting and for each answer.
        package var timeout: Duration = .seconds(30)

        package init() {}
    }

    private let socket: BlockingSocket
    private let timeout: Duration
    private let output = OutputBytes()
    private var input = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 8)
    private var inputStart = 0
    private var inputEnd = 0
    private var owed = 0
    private var isBroken = false
    /// What the node said about itself in the answer to CONNECT.
    package private(set) var serverInfo: MessagePackValue = .null
    /// Largest frame that this client takes; a node announces its own limit in CONNECT.
    private static let frameByteCountMax = 256 * 1024 * 1024

    private init(socket: BlockingSocket, timeout: Duration) {
        self.socket = socket
        self.timeout = timeout
    }

    deinit { input.deallocate() }

    package var endpoint: Endpoint { socket.endpoint }

    /// Connects and introduces itself.
    package static func open(_ endpoint: Endpoint, _ options: Options = Options()) throws(ClientError) -> ClientConnection {
        let socket =
            if let tls = options.tls {
                try BlockingSocket.connect(to: endpoint, tls: tls, timeout: options.timeout)
            } else {
                try BlockingSocket.connect(to: endpoint, timeout: options.timeout)
            }
        let connection = ClientConnection(socket: socket, timeout: options.timeout)
        var hello: [MessagePackValue.Entry] = [
            .init("client", .string(options.clientName)), .init("version", "1"), .init("dialect", "plain"),
            .init("features", .array(options.features.map { .string($0) })),
        ]
        if let username = options.username { hello.append(.init("username", .string(username))) }
        if let password = options.password { hello.append(.init("password", .string(password))) }
        if let purpose = options.purpose { hello.append(.init("purpose", .string(purpose))) }
        connection.serverInfo = try connection.request(.connect, .map(hello)).payload
        return connection
    }

    /// One request and its answer. An ERROR answer is thrown; NOT_FOUND and DUPLICATE are answers.
    package func request(_ type: MessageType, _ payload: MessagePackValue = .map([])) throws(ClientError) -> Reply {
        precondition(owed == 0, "answers to pipelined requests are still to be received")
        enqueue(type, payload)
        return try receive()
    }

    /// Puts a request into the output without sending it: `receive` and `flush` send.
    package func enqueue(_ type: MessageType, _ payload: MessagePackValue) {
        let mark = output.beginFrame(type)
        payload.encode(into: output)
        output.endFrame(mark)
        owed += 1
    }

    /// Sends what was enqueued.
    package func flush() throws(ClientError) {
        guard !output.isEmpty else { return }
        try guarded { () throws(ClientError) in
            try socket.sendAll(output.bytes, until: .now + timeout)
        }
        output.removeAll(keepingCapacity: true)
    }

    /// The answer to the oldest request without one.
    package func receive() throws(ClientError) -> Reply {
        let reply = try receiveFrame()
        // A stream's answer is complete with its last frame.
        if reply.type != .streamStart && reply.type != .streamChunk { owed -= 1 }
        if reply.type == .error { throw .refused(Refusal(payload: reply.payload)) }
        return reply
    }

    /// The next event of a subscription. The ERROR that ends one is thrown.
    package func receiveEvent() throws(ClientError) -> Reply {
        let reply = try receiveFrame()
        if reply.type == .error { throw .refused(Refusal(payload: reply.payload)) }
        return reply
    }

    /// Sends a request that has no answer of its own (CURSOR_CREDIT).
    package func sendUnanswered(_ type: MessageType, _ payload: MessagePackValue) throws(ClientError) {
        enqueue(type, payload)
        owed -= 1
        try flush()
    }

    /// Gives the (non-blocking) descriptor away, for a caller that goes on by itself after the handshake.
    package func releaseDescriptor() -> Int32 {
        precondition(owed == 0 && inputStart == inputEnd, "nothing may be in flight")
        isBroken = true
        return socket.releaseDescriptor()
    }

    private func receiveFrame() throws(ClientError) -> Reply {
        try flush()
        return try guarded { () throws(ClientError) in
            let deadline = ContinuousClock.now + timeout
            try fill(FrameHeader.byteCount, until: deadline)
            guard let header = FrameHeader(UnsafeRawBufferPointer(rebasing: input[inputStart...])) else {
                throw .protocolViolation("the answer does not begin with NEXA; is this another server?")
            }
            guard let type = MessageType(rawValue: header.type) else {
                throw .protocolViolation("unknown answer type \(header.type)")
            }
            let unexpected = header.flags.subtracting([.slowDown])
            guard unexpected.isEmpty else { throw .protocolViolation("flags \(unexpected.rawValue) were not negotiated") }
            let length = Int(header.payloadByteCount)
            guard length <= Self.frameByteCountMax else { throw .protocolViolation("an answer of \(length) bytes") }
            try fill(FrameHeader.byteCount + length, until: deadline)
            inputStart += FrameHeader.byteCount
            defer { inputStart += length }
            return Reply(type: type, payload: try decode(length), isSlowDown: header.flags.contains(.slowDown))
        }
    }

    private func decode(_ length: Int) throws(ClientError) -> MessagePackValue {
        if length == 0 { return .map([]) }
        do throws(MessagePackError) {
            return try MessagePackValue(decoding: UnsafeRawBufferPointer(rebasing: input[inputStart..<(inputStart + length)]))
        } catch {
            throw .protocolViolation("the payload is not MessagePack (\(error))")
        }
    }

    /// Reads until `byteCount` bytes lie at `inputStart`.
    private func fill(_ byteCount: Int, until deadline: ContinuousClock.Instant) throws(ClientError) {
        if inputEnd - inputStart >= byteCount { return }
        makeRoom(byteCount)
        while inputEnd - inputStart < byteCount {
            let room = UnsafeMutableRawBufferPointer(rebasing: input[inputEnd...])
            let received = try socket.receive(into: room, until: deadline)
            guard received > 0 else {
                throw .disconnected(operation: "waiting for an answer", reason: "the node closed the connection")
            }
            inputEnd += received
        }
    }

    /// Moves what is unread to the front, into larger memory when `byteCount` bytes would not fit.
    private func makeRoom(_ byteCount: Int) {
        let unread = UnsafeRawBufferPointer(rebasing: input[inputStart..<inputEnd])
        if input.count >= byteCount {
            input.baseAddress!.copyMemory(from: unread.baseAddress!, byteCount: unread.count)
        } else {
            let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 8)
            larger.copyMemory(from: unread)
            input.deallocate()
            input = larger
        }
        inputEnd -= inputStart
        inputStart = 0
    }

    /// Runs `body`; when it fails the connection cannot be used any more.
    private func guarded<R>(_ body: () throws(ClientError) -> R) throws(ClientError) -> R {
        guard !isBroken else { throw .disconnected(operation: "using a connection", reason: "it failed before") }
        do throws(ClientError) {
            return try body()
        } catch {
            isBroken = true
            throw error
        }
    }
}
