import NIOCore
import NexaWire
import Synchronization

/// The event loop's half of a connection: sends what is in the outbox, splits what comes into frames, wakes who waits.
///
/// Invariant: confined to the event loop of its channel (hence `@unchecked Sendable`: it is passed along, and used on the loop alone).
/// Every request that was taken from the outbox is answered exactly once: by its frame, by giving up, or when the connection ends.
final class ConnectionHandler: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    private enum Phase {
        case connecting
        case greeting
        case ready(Connection)
        case closed
    }

    let outbox = Outbox()
    private let host: HostAddress
    private let greeting: Document
    /// Resolved with what the node said, or with why there is no connection.
    private let ready: EventLoopPromise<ServerHello>
    /// Told once, when a connection that was ready has ended.
    private let onClose: @Sendable (Connection, NexaError) -> Void
    private var phase = Phase.connecting
    private var context: ChannelHandlerContext?
    private var parser: FrameParser
    private var inflater: FrameInflater?
    private var table = PendingTable<Waiter>(isOrdered: false)
    private var input: ByteBuffer?
    private var timer: (deadline: UInt64, task: Scheduled<Void>)?
    private var lastHeard = NIODeadline.now()
    private var isProbing = false
    /// Frames of streams that nobody reads any more, since the last one that ended.
    private var strayFrameCount = 0

    /// A node that owes answers and is silent for so long is asked; silent as long again, it is given up.
    private static let silenceMax = TimeAmount.seconds(10)
    /// Answers that never came. A node that owes more than this is not worth waiting for.
    private static let tombstoneCountMax = 100_000

    init(
        host: HostAddress, greeting: Document, frameByteCountMax: Int, ready: EventLoopPromise<ServerHello>,
        onClose: @escaping @Sendable (Connection, NexaError) -> Void
    ) {
        self.host = host
        self.greeting = greeting
        self.ready = ready
        self.onClose = onClose
        parser = FrameParser(payloadByteCountMax: frameByteCountMax, acceptedFlags: .slowDown)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if case .closed = phase { return context.close(promise: nil) }
        if context.channel.isActive { greet(context) }
    }

    func channelActive(context: ChannelHandlerContext) { greet(context) }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    private func greet(_ context: ChannelHandlerContext) {
        guard case .connecting = phase else { return }
        phase = .greeting
        let output = OutputBytes()
        let mark = output.beginFrame(.connect, flags: .none)
        greeting.write(into: output)
        output.endFrame(mark)
        write(output.bytes, context)
    }

    /// The greeting was accepted and `connection` made of it: from now on the outbox is served.
    func serve(_ connection: Connection) {
        guard case .greeting = phase else { return }
        phase = .ready(connection)
        let hello = connection.hello
        table = PendingTable(isOrdered: !hello.hasRequestIDs)
        parser.payloadByteCountMax = min(parser.payloadByteCountMax, hello.frameByteCountMax)
        parser.acceptedFlags = [.slowDown, .token]
        if hello.hasRequestIDs { parser.acceptedFlags.insert(.requestID) }
        if hello.hasCompression { parser.acceptedFlags.insert(.compressed) }
        fetch()
        watchForSilence()
    }

    // MARK: Out

    private func write(_ bytes: UnsafeRawBufferPointer, _ context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: bytes.count)
        buffer.writeBytes(bytes)
        guard case .ready(let connection) = phase else {
            context.writeAndFlush(NIOAny(buffer), promise: nil)
            return
        }
        if bytes.count < 64 << 10, context.channel.isWritable {
            context.writeAndFlush(NIOAny(buffer), promise: nil)
            return
        }
        let count = bytes.count
        connection.unsentByteCount.add(count, ordering: .relaxed)
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.whenComplete { _ in connection.unsentByteCount.subtract(count, ordering: .relaxed) }
        context.writeAndFlush(NIOAny(buffer), promise: sent)
    }

    /// Sends all that has gathered in the outbox.
    func fetch() {
        guard case .ready(let connection) = phase, let context, let batch = outbox.take() else { return }
        for submission in batch.submissions {
            guard let waiter = submission.waiter else { continue }
            let id = table.insert(waiter, ticket: submission.ticket, deadline: submission.deadline)
            if connection.hello.hasRequestIDs { batch.bytes.storeBE(id, at: submission.offset + FrameHeader.byteCount) }
        }
        write(batch.bytes.bytes, context)
        outbox.recycle(batch)
        armTimer(context)
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        lastHeard = .now()
        isProbing = false
        if var waiting = input.take() {
            waiting.writeBuffer(&bytes)
            bytes = waiting
        }
        let used = parse(bytes)
        guard case .closed = phase else {
            bytes.moveReaderIndex(forwardBy: used)
            if bytes.readableBytes > 0 { input = bytes }
            return
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { fetch() }

    /// Serves every whole frame; answers how many bytes they took.
    private func parse(_ bytes: ByteBuffer) -> Int {
        var used = 0
        var settled = 0
        bytes.withUnsafeReadableBytes { raw in
            while used < raw.count {
                switch parser.step(UnsafeRawBufferPointer(rebasing: raw[used...])) {
                case .needMoreBytes: return
                case .frame(let frame):
                    let start = bytes.readerIndex + used + frame.byteCount - frame.payload.count
                    used += frame.byteCount
                    guard let reply = reply(frame, bytes.getSlice(at: start, length: frame.payload.count)) else { return }
                    settled += receive(reply, id: frame.requestID)
                case .rejected(let rejection): return violated(rejection.error.message)
                case .failed(let error): return violated(error.message)
                }
                if case .closed = phase { return }
            }
        }
        if settled > 0, case .ready(let connection) = phase { connection.settled(settled) }
        return used
    }

    private func reply(_ frame: Frame, _ slice: ByteBuffer?) -> Reply? {
        guard let type = frame.type, !type.isRequest, var payload = slice else {
            violated("type \(frame.header.type) is no answer")
            return nil
        }
        if frame.inflatedByteCount != nil {
            let inflater = self.inflater ?? FrameInflater()
            self.inflater = inflater
            do throws(WireError) {
                payload = ByteBuffer(bytes: try inflater.payload(of: frame))
            } catch {
                violated(error.message)
                return nil
            }
        }
        return Reply(type: type, token: frame.token, isSlowDown: frame.header.flags.contains(.slowDown), payload: payload)
    }

    /// Gives an answer to whom it belongs; answers how many requests are settled by it.
    private func receive(_ reply: Reply, id: UInt32?) -> Int {
        guard case .ready(let connection) = phase else {
            welcome(reply)
            return 0
        }
        let isLast = reply.type != .streamStart && reply.type != .streamChunk && reply.type != .changeEvent
        switch table.owner(of: id) {
        case .unknown:
            if reply.type == .error {
                // The node says why it is about to close.
                fail(reply.refusal)
            } else {
                violated("an answer to a request that was never sent")
            }
            return 0
        case .nobody(let id):
            guard isLast else {
                // A few chunks are on their way when a stream is cancelled. A node that goes on for ever leaves no room for others.
                strayFrameCount += 1
                if strayFrameCount > 16 * (1 + table.tombstoneCount) {
                    fail(NexaError(.connection, "\(host) goes on with a stream that was cancelled"))
                }
                return 0
            }
            strayFrameCount = 0
            table.release(id)
            return 1
        case .waiter(.once(let continuation), let id):
            guard isLast else {
                violated("\(reply.type.name) answers a request that has one answer")
                return 0
            }
            table.release(id)
            // First: the caller's next request may be placed before this returns.
            connection.settled(1)
            continuation.resume(returning: .reply(reply))
            return 0
        case .waiter(.nobody, let id):
            table.release(id)
            return 1
        case .waiter(.stream(let stream), let id):
            guard stream.add(reply) else {
                violated("more of a stream than it was given credit for")
                return 0
            }
            guard isLast, !(stream.isSubscription && reply.type == .success) else { return 0 }
            table.release(id)
            stream.finish(nil)
            return 1
        }
    }

    private func welcome(_ reply: Reply) {
        guard case .greeting = phase else { return violated("an answer before anything was asked") }
        do throws(NexaError) {
            ready.succeed(try Handshake.welcome(reply))
        } catch {
            fail(error)
        }
    }

    // MARK: Giving up

    /// The caller of `ticket` was cancelled.
    func giveUp(_ ticket: UInt64) {
        fetch()
        guard let (waiter, id) = table.giveUp(ticket) else { return }
        if case .once(let continuation) = waiter { continuation.resume(returning: .cancelled(sent: true)) }
        cancel(id)
    }

    func forget(_ ticket: UInt64) {
        guard let (_, id) = table.giveUp(ticket) else { return }
        table.release(id)
        if case .ready(let connection) = phase { connection.settled(1) }
    }

    /// Tells the node that nobody waits for `id` any more.
    private func cancel(_ id: UInt32) {
        guard case .ready(let connection) = phase, connection.hello.hasRequestIDs, let context else { return }
        guard table.tombstoneCount <= Self.tombstoneCountMax else {
            return fail(NexaError(.connection, "\(host) owes \(table.tombstoneCount) answers that nobody waits for any more"))
        }
        let output = OutputBytes(capacity: 64)
        let own = table.insert(.nobody, ticket: 0, deadline: .max)
        let mark = output.beginFrame(.cancel, requestID: own, flags: .none)
        output.writeMapHeader(1)
        output.writeString("request_id")
        output.writeUInt(UInt64(id))
        output.endFrame(mark)
        connection.took(1)
        write(output.bytes, context)
    }

    private func armTimer(_ context: ChannelHandlerContext) {
        let deadline = table.earliestDeadline
        guard deadline != .max else { return }
        if let timer {
            if timer.deadline <= deadline { return }
            timer.task.cancel()
        }
        let task = context.eventLoop.scheduleTask(deadline: .uptimeNanoseconds(deadline)) { [weak self] in
            guard let self else { return }
            timer = nil
            expire()
        }
        timer = (deadline, task)
    }

    private func expire() {
        for (waiter, id) in table.expire(NIODeadline.now().uptimeNanoseconds) {
            if case .once(let continuation) = waiter { continuation.resume(returning: .timedOut(sent: true)) }
            if case .stream(let stream) = waiter { stream.finish(NexaError(.timeout, "\(host) did not answer in time")) }
            cancel(id)
        }
        if let context { armTimer(context) }
    }

    /// Finds out about nodes that are gone without a word.
    private func watchForSilence() {
        context?.eventLoop.scheduleTask(in: Self.silenceMax) { [weak self] in
            guard let self, case .ready(let connection) = phase, let context else { return }
            if table.count > 0, lastHeard + Self.silenceMax <= .now() {
                if isProbing { return fail(NexaError(.connection, "\(host) is silent and owes answers")) }
                if connection.hello.hasRequestIDs {
                    isProbing = true
                    let output = OutputBytes(capacity: 64)
                    let mark = output.beginFrame(.ping, requestID: table.insert(.nobody, ticket: 0, deadline: .max), flags: .none)
                    output.writeMapHeader(0)
                    output.endFrame(mark)
                    connection.took(1)
                    write(output.bytes, context)
                }
            }
            watchForSilence()
        }
    }

    // MARK: The end

    private func violated(_ what: String) { fail(NexaError(.protocolViolation, "\(host) does not speak NEXA: \(what)")) }

    func channelInactive(context: ChannelHandlerContext) { fail(NexaError(.connection, "\(host) closed the connection")) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(NexaError(.connection, "The connection to \(host) failed: \(error)"))
    }

    /// Ends the connection for `error`, once. Requests that never left hear so; those in flight are unanswered.
    func fail(_ error: NexaError) {
        if case .closed = phase { return }
        let before = phase
        phase = .closed
        // Nobody chooses this connection any more before anybody hears that it has ended and tries again.
        if case .ready(let connection) = before { onClose(connection, error) }
        input = nil
        timer?.task.cancel()
        timer = nil
        let unsent = outbox.close(error)
        let inFlight = table.removeAll()
        ready.fail(error)
        for waiter in unsent { waiter.end(.notSent(error), error) }
        for waiter in inFlight { waiter.end(.unanswered(error), error) }
        context?.close(promise: nil)
    }
}

extension Waiter {
    fileprivate func end(_ outcome: Outcome, _ error: NexaError) {
        switch self {
        case .once(let continuation): continuation.resume(returning: outcome)
        case .stream(let stream): stream.finish(error)
        case .nobody: break
        }
    }
}
