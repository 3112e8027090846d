import NIOCore
import NexaWire
import Synchronization

/// One connection to a node after its greeting, shared by any number of tasks.
///
/// A call encodes its request into the outbox on its own thread and waits; the event loop fetches all that has gathered, sends it with
/// one write and wakes each caller with the slice of input that answers it. So a request crosses threads once in each direction, in
/// batches, and allocates nothing in between. Giving up (cancellation, time-out) never disturbs other requests: see `PendingTable`.
package final class Connection: Sendable {
    package let host: HostAddress
    package let hello: ServerHello
    package let loop: any EventLoop
    let opened = NIODeadline.now()
    let outbox: Outbox
    /// Requests whose answers have not come, tombstones included.
    private let inFlight: Atomic<Int> = Atomic(0)
    private let tickets = Atomic<UInt64>(0)
    private let queueLimit: Int
    private let compresses: Bool
    private let handler: ConnectionHandler
    /// Bytes handed to the channel and not yet taken by the socket.
    let unsentByteCount = Atomic<Int>(0)
    /// Until when writes are asked to wait, in `NIODeadline` nanoseconds, and by how much they are spread.
    let slowDown = SlowDown()

    /// Bytes that may wait for a node that does not read.
    private static let unsentByteCountMax = 64 << 20

    init(
        host: HostAddress, hello: ServerHello, loop: any EventLoop, handler: ConnectionHandler, queueLimit: Int, compresses: Bool
    ) {
        self.host = host
        self.hello = hello
        self.loop = loop
        self.handler = handler
        self.queueLimit = min(queueLimit, PendingTable<Waiter>.slotCountMax / 2)
        self.compresses = compresses && hello.hasCompression
        outbox = handler.outbox
    }

    package var inFlightCount: Int { inFlight.load(ordering: .relaxed) }

    func settled(_ count: Int) { inFlight.subtract(count, ordering: .relaxed) }
    /// Requests of the connection itself: CANCEL and PING.
    func took(_ count: Int) { inFlight.add(count, ordering: .relaxed) }

    /// A name for a request, by which it can be given up.
    func nextTicket() -> UInt64 { tickets.add(1, ordering: .relaxed).newValue }

    /// Sends a request and waits for its one answer, until `deadline` (`NIODeadline` nanoseconds; `.max`: for ever).
    package func send(_ request: Request, _ attempt: Attempt, _ standing: StandingFields, deadline: UInt64) async -> Outcome {
        let ticket = nextTicket()
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if Task.isCancelled { return continuation.resume(returning: .cancelled(sent: false)) }
                if let refusal = submit(request, attempt, standing, .once(continuation), ticket: ticket, deadline: deadline) {
                    return continuation.resume(returning: .notSent(refusal))
                }
                // Cancelled since the look above: the handler below may have run before there was anything to give up.
                if Task.isCancelled { giveUp(ticket) }
            }
        } onCancel: {
            giveUp(ticket)
        }
    }

    /// Sends a request whose answer has several frames. Nil, or why it was not sent.
    package func open(
        _ stream: AnswerStream, _ request: Request, _ attempt: Attempt, _ standing: StandingFields, ticket: UInt64,
        deadline: UInt64
    ) -> NexaError? {
        submit(request, attempt, standing, .stream(stream), ticket: ticket, deadline: deadline)
    }

    /// Sends a request that has no answer of its own (CURSOR_CREDIT).
    package func post(_ request: Request) {
        _ = submit(request, Attempt(), StandingFields(), nil, ticket: 0, deadline: .max)
    }

    private func submit(
        _ request: Request, _ attempt: Attempt, _ standing: StandingFields, _ waiter: Waiter?, ticket: UInt64, deadline: UInt64
    ) -> NexaError? {
        if waiter != nil, inFlight.add(1, ordering: .relaxed).newValue > queueLimit {
            settled(1)
            return NexaError(.queueFull, "\(queueLimit) operations wait for \(host) already (maxQueue)")
        }
        if unsentByteCount.load(ordering: .relaxed) > Self.unsentByteCountMax {
            if waiter != nil { settled(1) }
            return NexaError(.queueFull, "\(Self.unsentByteCountMax) bytes wait for \(host), which does not read")
        }
        let placed = outbox.place(waiter, ticket: ticket, deadline: deadline) { output in
            encode(request, attempt, standing, hasAnswer: waiter != nil, into: output)
        }
        switch placed {
        case .placed(let wakesLoop):
            if wakesLoop { wakeLoop() }
            return nil
        case .refused(let error):
            if waiter != nil { settled(1) }
            return error
        }
    }

    /// Sees to it that what is in the outbox is sent. With little in flight at once. With much in flight answers come in batches and so do
    /// the requests that follow them: then the loop is woken by a job that queues behind the tasks that are about to ask, so that a
    /// wake-up and a write are shared by all of them; answers that come before that fetch the outbox too.
    private func wakeLoop() {
        if inFlight.load(ordering: .relaxed) < Self.batchingInFlightMin {
            loop.execute { [handler] in handler.fetch() }
        } else {
            Task { [loop, handler] in loop.execute { handler.fetch() } }
        }
    }

    private static let batchingInFlightMin = 16

    private func encode(
        _ request: Request, _ attempt: Attempt, _ standing: StandingFields, hasAnswer: Bool, into output: OutputBytes
    ) -> Result<Int, NexaError> {
        let mark = output.beginFrame(
            request.type, requestID: hasAnswer && hello.hasRequestIDs ? 0 : nil,
            flags: attempt.wantsToken && hello.hasTokens ? .token : .none)
        request.writePayload(attempt, standing, into: output)
        let length = output.payloadByteCount(since: mark)
        guard length <= hello.frameByteCountMax - FrameHeader.byteCount else {
            output.abandonFrame(mark)
            return .failure(
                NexaError(
                    .tooLarge, "A request of \(length) bytes; the node takes frames of \(hello.frameByteCountMax) (max_frame)"))
        }
        if compresses { output.endFrameCompressed(mark) } else { output.endFrame(mark) }
        return .success(mark.offset)
    }

    /// Gives up a request: its caller hears of it at once, the node is told to stop, the answer is dropped when it comes.
    package func giveUp(_ ticket: UInt64) {
        loop.execute { [handler] in handler.giveUp(ticket) }
    }

    /// A subscription that the node has ended in an answer to another request: no more frames will come for it.
    package func forget(_ ticket: UInt64) {
        loop.execute { [handler] in handler.forget(ticket) }
    }

    /// Closes the connection; requests in flight are `unanswered`.
    package func close(_ error: NexaError) {
        loop.execute { [handler] in handler.fail(error) }
    }
}
