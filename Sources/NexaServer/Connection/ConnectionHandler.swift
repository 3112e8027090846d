/// The one handler of a connection: carries bytes between the socket, the machine and the executor. Confined to its event loop.
///
///     channelRead ─► frames in place ─► executor (inline) ─► answers ─► channelReadComplete: one flush
///                          └─► PoolTask (work pool) ─► taskReturned ─┘
///
/// Per burst of requests, not per request: one clock call, one flush, one round of the log. A whole request of a few bytes costs
/// no allocation here. What comes in is in `+Requests`, what goes out in `+Answers`; this file says when, from the first byte to the last.

import Logging
import NIOCore
import NexaDocuments
import NexaStorage
import NexaTLS
import NexaWire
import Synchronization

final class ConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let loop: LoopContext
    var machine: ConnectionMachine
    var session = Session()
    /// Requests in the pool and open streams, oldest first.
    var tasks: [PoolTask] = []
    /// Those of them that are in the pool or on their way back.
    var poolCount = 0
    /// A CONNECT whose credentials are being looked at.
    var logIn: LogInAttempt?
    var subscriptions: [ChangeSubscription] = []
    /// Why the subscription without a request id ended, to be said behind the stream that holds the connection.
    var farewell: DocumentError?
    /// Place in the loop's list.
    var place = -1
    private(set) var outlet: ConnectionOutlet?
    /// Input that could not be dropped yet: the beginning of a frame, or frames that wait for their turn.
    var inbound: ByteBuffer?
    /// When the burst of requests arrived that is served, in `MonotonicTime`.
    var arrival: UInt64 = 0
    /// Requests of this burst that were answered and wait for nothing.
    var answeredCount = 0
    /// Batches that this burst committed.
    var commitCount = 0
    /// The newest position that this connection wrote: its reads see at least this.
    var floor: LSN = 0
    private var account = BufferAccount()
    private var isReadPending = false
    /// What the channel says of itself, kept here because asking costs a walk through it for each burst.
    private(set) var isWritable = true
    /// The socket is registered; a read that is asked for earlier would be lost.
    private var isActive = false
    /// The loop calls when the log moves.
    var isWaiting = false
    /// The TLS handshake is not done: nothing can be said to the client.
    private var awaitsHandshake: Bool
    var isFlushing = false
    /// The front of `inbound` is a request that waits for its turn, or for answers to leave.
    var requestWaits = false
    /// `goOn` is already on its way.
    private var isGoingOn = false
    /// When answers with a concern are looked at again though nothing has moved.
    var nextLook = UInt64.max
    private var nextStreamID: UInt64 = 1
    private var nextSubscriptionNumber: UInt64 = 1

    init(loop: LoopContext) {
        self.loop = loop
        awaitsHandshake = loop.node.tls != nil
        machine = ConnectionMachine(limits: loop.node.limits, now: loop.now)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) { open(.socket(context)) }

    func channelActive(context: ChannelHandlerContext) {
        isActive = true
        readOn()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        isReadPending = false
        loop.metrics.add(buffer.readableBytes, to: .bytesReceived)
        receive(&buffer, allocator: context.channel.allocator)
    }

    func channelReadComplete(context: ChannelHandlerContext) { served() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        // What happens within a flush is looked at behind it.
        guard isWritable, !isFlushing else { return }
        goOn()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if awaitsHandshake, isHandshakeCompleted(event) {
            awaitsHandshake = false
            loop.metrics.add(to: .handshakes)
        }
        // The client will send no more, but may be waiting for answers.
        if case .some(ChannelEvent.inputClosed) = event as? ChannelEvent {
            machine.endInput()
            if inbound == nil { drain() }
            goOn()
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if awaitsHandshake, let reason = TLSFailure.reason(of: error) {
            loop.metrics.add(to: .handshakesFailed)
            loop.node.logger.notice(
                "TLS handshake failed",
                metadata: ["address": "\(context.channel.remoteAddress?.ipAddress ?? "unknown")", "reason": "\(reason)"])
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { forget() }

    func handlerRemoved(context: ChannelHandlerContext) { forget() }

    /// Somebody is at the other end from now on.
    func open(_ outlet: ConnectionOutlet) {
        self.outlet = outlet
        place = loop.add(self)
        if loop.node.authenticator.isRequired { machine.awaitLogIn() }
        guard !outlet.isSocket else { return }
        awaitsHandshake = false
        isActive = true
    }

    /// The client is gone: everything done for it ends.
    func forget() {
        guard machine.phase != .closed else { return }
        machine.close()
        for task in tasks { task.cancel() }
        for task in tasks where task.isStream && !task.isAway { streamEnded() }
        tasks.removeAll()
        dropSubscriptions()
        inbound = nil
        account.update(0, in: loop.node)
        if place >= 0 { loop.remove(at: place) }
        place = -1
        if outlet?.isSocket == true {
            loop.metrics.add(to: .connectionsClosed)
            loop.node.connectionCount.wrappingSubtract(1, ordering: .relaxed)
        }
        outlet = nil
    }

    // MARK: Turns

    /// A read's worth of requests was taken.
    func served() {
        endBurst()
        serveRestSoon()
        pumpChanges()
        readOn()
    }

    /// Something that was in the way is gone: serve what waits, send what may leave, read on.
    func goOn() {
        guard machine.phase != .closed else { return }
        flush()
        if inbound != nil {
            arrival = MonotonicTime.nanoseconds()
            takeInbound()
        }
        endBurst()
        serveRestSoon()
        pumpStreams()
        pumpChanges()
        readOn()
    }

    /// A socket that took all answers at once tells nobody so later: what waited for them is served then, after the other connections.
    private func serveRestSoon() {
        guard requestWaits, inbound != nil, isWritable, !isGoingOn, machine.takesRequests else { return }
        isGoingOn = true
        loop.goOnLater(self)
    }

    /// The others had their turn.
    func goOnNow() {
        isGoingOn = false
        goOn()
    }

    /// Asks the socket for more, unless something has to be taken or finished first.
    private func readOn() {
        guard let outlet, isActive, !isReadPending else { return }
        let buffered = inbound?.readableBytes ?? 0
        guard machine.wantsInput(bufferedByteCount: buffered) else { return }
        if loop.node.buffersAreFull && account.isLarge {
            loop.metrics.add(to: .readPauses)
            return
        }
        isReadPending = true
        outlet.read()
    }

    /// Tells the node what is buffered here.
    func updateAccount() {
        account.update(machine.answers.byteCount + machine.awayByteCount + (inbound?.readableBytes ?? 0), in: loop.node)
    }

    // MARK: End

    /// Takes no more requests. Streams that wait for credit end, because none can come any more.
    func drain() {
        machine.drain()
        dropSubscriptions()
        pumpStreams()
    }

    func finishIfDone() {
        guard let outlet, machine.isFinished(socketIsEmpty: true) else { return }
        outlet.finish()
    }

    /// The node stops: finish what is under way and close, or close at once. A caller in this process closes its connection itself when it
    /// is done, until it is cut.
    func stop(isForced: Bool) {
        guard let outlet else { return }
        if isForced || awaitsHandshake { return outlet.close() }
        endParked()
        if outlet.isSocket {
            endSubscriptions(.shuttingDown)
            drain()
            inbound = nil
            flush()
            finishIfDone()
        }
    }

    /// Looks at the time limits; several times a second at the most.
    func tick(_ now: UInt64) {
        // A read that is asked for before the channel is active is lost, and `channelActive` would not ask again.
        guard let outlet, outlet.isActive else { return }
        if outlet.isWritable {
            machine.clock.allTaken()
        } else {
            machine.clock.taken(Int64(machine.answers.sentByteCount) - Int64(outlet.unsentByteCount), at: now)
        }
        expireStreams(now)
        // Who listens is not idle.
        if !subscriptions.isEmpty { machine.clock.served(at: now) }
        tickChanges(now)
        let isBusy = !tasks.isEmpty || logIn != nil || machine.answers.byteCount > 0
        if outlet.isSocket, let limit = machine.clock.passed(machine.limits, isBusy: isBusy, at: now) {
            loop.metrics.add(to: .connectionsTimedOut)
            loop.node.logger.debug("connection closed", metadata: ["reason": "\(limit.text)"])
            if !awaitsHandshake, limit == .frame || limit == .handshake {
                refuse(DocumentError(.timeout, "Closing: \(limit.text)"), requestID: nil)
                machine.drain()
                inbound = nil
                goOn()
            } else {
                outlet.close()
            }
            return
        }
        if machine.answers.byteCount == 0 && inbound == nil { machine.answers.shrink() }
        if !isReadPending { readOn() }
    }

    // MARK: For the other files of this handler

    func takeStreamID() -> UInt64 {
        defer { nextStreamID += 1 }
        return nextStreamID
    }

    func takeSubscriptionNumber() -> UInt64 {
        defer { nextSubscriptionNumber += 1 }
        return nextSubscriptionNumber
    }

    /// The socket takes bytes.
    var canSend: Bool { isWritable && outlet != nil }
    var bound: NIOLoopBound<ConnectionHandler> { NIOLoopBound(self, eventLoop: loop.eventLoop) }
}
