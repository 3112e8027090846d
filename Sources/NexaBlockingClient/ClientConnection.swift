import NexaTLS
import NexaWire

/// One answer frame, decoded.
package struct Reply: Sendable {
    package let type: MessageType
    package let payload: MessagePackValue
    /// The node asks for slower writes.
    package let isSlowDown: Bool
}

/// One answer frame as it came. `payload` is valid until the next call on the connection.
package struct RawReply {
    package let type: MessageType
    package let payload: UnsafeRawBufferPointer
    /// The node asks for slower writes.
    package let isSlowDown: Bool
    fileprivate let requestID: UInt32?
}

/// A blocking connection to a node for the tools: plain dialect unless asked otherwise, first in, first out, optionally pipelined.
///
/// Invariant: `owed` is the number of requests without an answer yet; answers are matched in order. After a time-out or a protocol
/// violation the order is lost, so the connection refuses further use instead of giving an answer to the wrong question. Confined
/// to one thread. The hot path of `nexadb bench` does not use it; the Swift client for applications is another module.
package final class ClientConnection {
    package struct Options: Sendable {
        package var clientName = "nexadb-tools"
        package var dialect = "plain"
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
    /// What cancels a request while its answer is waited for: with the feature "request_id" by CANCEL, else by giving the connection up.
    package var interruption: Interruption?
    private let output = OutputBytes()
    private var input = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 8)
    private var inputStart = 0
    private var inputEnd = 0
    private var owed = 0
    package private(set) var isBroken = false
    /// Of the newest message; nil while messages carry none.
    private var newestID: UInt32?
    /// Of the request whose answer `receive` waits for.
    private var awaitedID: UInt32?
    /// The node was asked to cancel the request that was sent last.
    package private(set) var isCancelled = false
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
            .init("client", .string(options.clientName)), .init("version", "1"),
            .init("dialect", .string(options.dialect)),
            .init("features", .array(options.features.map { .string($0) })),
        ]
        if let username = options.username { hello.append(.init("username", .string(username))) }
        if let password = options.password { hello.append(.init("password", .string(password))) }
        if let purpose = options.purpose { hello.append(.init("purpose", .string(purpose))) }
        connection.serverInfo = try connection.request(.connect, .map(hello)).payload
        if connection.serverInfo["features"]?.arrayValue?.contains("request_id") == true { connection.newestID = 0 }
        return connection
    }

    /// One request and its answer, which is one frame. An ERROR answer is thrown; NOT_FOUND and DUPLICATE are answers.
    package func request(_ type: MessageType, _ payload: MessagePackValue = .map([])) throws(ClientError) -> Reply {
        let reply = try beginRequest(type, payload)
        guard owed == 0 else { throw violated("\(reply.type.name) answers no \(type.name)") }
        return reply
    }

    /// One request and the first frame of its answer.
    func beginRequest(_ type: MessageType, _ payload: MessagePackValue) throws(ClientError) -> Reply {
        try expectUsable()
        precondition(owed == 0, "answers to pipelined requests are still to be received")
        isCancelled = false
        enqueue(type, payload)
        awaitedID = newestID
        return try receive()
    }

    /// Puts a request into the output without sending it: `receive` and `flush` send.
    package func enqueue(_ type: MessageType, _ payload: MessagePackValue) {
        enqueue(type) { payload.encode(into: $0) }
    }

    /// The same for a payload that `write` appends: nothing is built in between.
    package func enqueue(_ type: MessageType, _ write: (OutputBytes) -> Void) {
        newestID = newestID.map { $0 &+ 1 }
        let mark = output.beginFrame(type, requestID: newestID)
        write(output)
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
        let reply = try decoded(try receiveRaw())
        if reply.type == .error { throw .refused(Refusal(payload: reply.payload)) }
        return reply
    }

    /// The same without decoding the payload. ERROR is an answer here.
    package func receiveRaw() throws(ClientError) -> RawReply {
        var reply = try receiveFrame()
        // What answers a CANCEL says nothing that the answer to the request itself does not.
        while let id = reply.requestID, id != awaitedID { reply = try receiveFrame() }
        // A stream's answer is complete with its last frame.
        if reply.type != .streamStart && reply.type != .streamChunk { owed -= 1 }
        return reply
    }

    /// The next event of a subscription. The ERROR that ends one is thrown.
    package func receiveEvent() throws(ClientError) -> Reply {
        let reply = try decoded(try receiveFrame())
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

    private func decoded(_ reply: RawReply) throws(ClientError) -> Reply {
        try guarded { () throws(ClientError) in
            Reply(type: reply.type, payload: try Self.decode(reply.payload), isSlowDown: reply.isSlowDown)
        }
    }

    private func receiveFrame() throws(ClientError) -> RawReply {
        try flush()
        return try guarded { () throws(ClientError) in
            let deadline = ContinuousClock.now + timeout
            try heedInterruption()
            try fill(FrameHeader.byteCount, until: deadline)
            guard let header = FrameHeader(UnsafeRawBufferPointer(rebasing: input[inputStart...])) else {
                throw .protocolViolation("the answer does not begin with NEXA; is this another server?")
            }
            guard let type = MessageType(rawValue: header.type) else {
                throw .protocolViolation("unknown answer type \(header.type)")
            }
            let unexpected = header.flags.subtracting(newestID == nil ? [.slowDown] : [.slowDown, .requestID])
            guard unexpected.isEmpty else { throw .protocolViolation("flags \(unexpected.rawValue) were not negotiated") }
            let length = Int(header.payloadByteCount)
            guard length <= Self.frameByteCountMax else { throw .protocolViolation("an answer of \(length) bytes") }
            try fill(FrameHeader.byteCount + length, until: deadline)
            var payload = UnsafeRawBufferPointer(rebasing: input[inputStart..<(inputStart + FrameHeader.byteCount + length)])
            inputStart += payload.count
            payload = UnsafeRawBufferPointer(rebasing: payload.dropFirst(FrameHeader.byteCount))
            var requestID: UInt32?
            if header.flags.contains(.requestID) {
                guard length >= 4 else { throw .protocolViolation("an answer without its request id") }
                requestID = UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self))
                payload = UnsafeRawBufferPointer(rebasing: payload.dropFirst(4))
            }
            return RawReply(
                type: type, payload: payload, isSlowDown: header.flags.contains(.slowDown), requestID: requestID)
        }
    }

    /// Asks the node to cancel the request when a person wants that; who insists gives the connection up.
    private func heedInterruption() throws(ClientError) {
        guard let interruption, interruption.take() else { return }
        guard !isCancelled, let awaitedID else {
            throw .disconnected(operation: "waiting for an answer", reason: "the request was given up")
        }
        isCancelled = true
        try sendUnanswered(.cancel, ["request_id": .int(Int64(awaitedID))])
    }

    private static func decode(_ payload: UnsafeRawBufferPointer) throws(ClientError) -> MessagePackValue {
        if payload.isEmpty { return .map([]) }
        do throws(MessagePackError) {
            return try MessagePackValue(decoding: payload)
        } catch {
            throw .protocolViolation("an answer that cannot be read: \(error.wireError.message)")
        }
    }

    /// Reads until `byteCount` bytes lie at `inputStart`.
    private func fill(_ byteCount: Int, until deadline: ContinuousClock.Instant) throws(ClientError) {
        if inputEnd - inputStart >= byteCount { return }
        makeRoom(byteCount)
        while inputEnd - inputStart < byteCount {
            let room = UnsafeMutableRawBufferPointer(rebasing: input[inputEnd...])
            guard let received = try socket.receive(into: room, until: deadline, interrupt: interruption?.descriptor) else {
                try heedInterruption()
                continue
            }
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

    /// The failure of an exchange that makes no sense: which answer comes next is not known, so none is taken.
    func violated(_ what: String) -> ClientError {
        isBroken = true
        return .protocolViolation(what)
    }

    private func expectUsable() throws(ClientError) {
        guard !isBroken else { throw .disconnected(operation: "using a connection", reason: "it failed before") }
    }

    /// Runs `body`; when it fails the connection cannot be used any more.
    private func guarded<R>(_ body: () throws(ClientError) -> R) throws(ClientError) -> R {
        try expectUsable()
        do throws(ClientError) {
            return try body()
        } catch {
            isBroken = true
            throw error
        }
    }
}
