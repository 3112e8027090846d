/// The one handler of a connection: carries bytes between the socket, the machine and the executor. Confined to its event loop.
///
///     channelRead ─► frames in place ─► executor (inline) ─► answers ─► channelReadComplete: one flush
///                          └─► PoolTask (work pool) ─► taskReturned ─┘
///
/// Per burst of requests, not per request: one clock call, one flush, one round of the log. A whole request of a few bytes costs
/// no allocation here.

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
    /// Place in the loop's list.
    var place = -1
    private(set) var outlet: ConnectionOutlet?
    /// Input that could not be dropped yet: the beginning of a frame, or frames that wait for their turn.
    private var inbound: ByteBuffer?
    private var account = BufferAccount()
    /// The newest position that this connection wrote: its reads see at least this.
    private var floor: LSN = 0
    private var commitCount = 0
    private var requestCount = 0
    private var arrival: UInt64 = 0
    private var isReadPending = false
    /// What the channel says of itself, kept here because asking costs a walk through it for each burst.
    private var isWritable = true
    /// The socket is registered; a read that is asked for earlier would be lost.
    private var isActive = false
    private var isWaiting = false
    /// The TLS handshake is not done: nothing can be said to the client.
    private var awaitsHandshake: Bool
    private var isFlushing = false
    /// The front of `inbound` is a request that waits for its turn, or for answers to leave.
    private var requestWaits = false
    /// `goOn` is already on its way.
    private var isGoingOn = false
    /// When answers with a concern are looked at again though nothing has moved.
    private var nextLook = UInt64.max
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

    private func served() {
        endBurst()
        serveRestSoon()
        pumpChanges()
        readOn()
    }

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

    // MARK: Input

    /// Takes whole frames from a caller in this process.
    func receive(_ frames: UnsafeRawBufferPointer) {
        arrival = MonotonicTime.nanoseconds()
        if inbound == nil {
            // Served where they are; what has to wait is kept.
            let used = serve(frames)
            if used < frames.count { inbound = ByteBuffer(bytes: frames[used...]) }
        } else {
            inbound!.writeBytes(frames)
            takeInbound()
        }
        served()
    }

    private func receive(_ buffer: inout ByteBuffer, allocator: ByteBufferAllocator) {
        arrival = MonotonicTime.nanoseconds()
        if inbound == nil {
            take(&buffer)
            if buffer.readableBytes > 0 {
                // Copied, so that the receive buffer can be used again.
                var rest = allocator.buffer(capacity: max(512, buffer.readableBytes))
                rest.writeBuffer(&buffer)
                inbound = rest
            }
        } else {
            inbound!.writeBuffer(&buffer)
            takeInbound()
        }
    }

    /// Serves the whole frames at the front of `buffer` and drops them.
    private func take(_ buffer: inout ByteBuffer) {
        var used = 0
        buffer.withUnsafeReadableBytes { bytes in used = serve(bytes) }
        buffer.moveReaderIndex(forwardBy: used)
    }

    private func takeInbound() {
        guard var buffer = inbound else { return }
        inbound = nil
        take(&buffer)
        guard buffer.readableBytes > 0, machine.phase == .open else { return }
        if buffer.readerIndex > 64 << 10 || buffer.readerIndex > buffer.readableBytes { buffer.discardReadBytes() }
        inbound = buffer
    }

    private func serve(_ bytes: UnsafeRawBufferPointer) -> Int {
        var offset = 0
        var isPartial = false
        requestWaits = false
        loop: while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            switch machine.decide(rest) {
            case .execute(let frame), .control(let frame):
                execute(frame)
                offset += frame.byteCount
            case .reject(let rejection):
                refuse(DocumentError(rejection.error), requestID: rejection.requestID)
                offset += rejection.byteCount
            case .fail(let error):
                refuse(DocumentError(TLSHello.begins(rest) ? TLSHello.refusal : error), requestID: nil)
                drain()
            case .needMoreBytes:
                isPartial = !rest.isEmpty
                if machine.inputHasEnded {
                    machine.drain()
                    offset = bytes.count
                }
                break loop
            case .wait:
                requestWaits = true
                break loop
            case .discard:
                offset = bytes.count
                break loop
            }
        }
        machine.clock.partialFrame(isPartial, at: self.loop.now)
        return offset
    }

    private func execute(_ frame: Frame) {
        requestCount += 1
        loop.metrics.countRequest(frame.header.type)
        machine.clock.served(at: loop.now)
        guard let type = frame.type else {
            refuse(Executor.unknownType(frame.header.type), requestID: frame.requestID)
            return
        }
        let payload: UnsafeRawBufferPointer
        do throws(WireError) {
            payload = try loop.executor.inflater.payload(of: frame)
        } catch {
            refuse(DocumentError(error), requestID: frame.requestID)
            drain()
            return
        }
        let start = machine.answers.byteCount
        let wantsToken = frame.header.flags.contains(.token)
        let outcome = loop.executor.execute(
            type: type, requestID: frame.requestID, wantsToken: wantsToken, payload: payload, session: &session, floor: floor,
            into: machine.answers.bytes)
        switch outcome {
        case .answered(let hold, let count):
            if loop.executor.concern != nil {
                heldForOthers(from: start, until: hold, commitCount: count, requestID: frame.requestID)
            } else if hold > 0 {
                held(from: start, until: hold, commitCount: count)
            }
            if type == .connect { connected() }
        case .logIn(let credentials): begin(credentials, frame, payload, wantsToken: wantsToken)
        case .offload: depart(type, frame, payload, wantsToken: wantsToken)
        case .disconnect:
            for task in tasks { task.cancel() }
            drain()
        case .replicate(let principal): handOver(payload, principal)
        case .cancel(let target): cancel(target, requestID: frame.requestID)
        case .credit(let stream, let count): credit(stream, count)
        case .subscribe(let request): subscribe(request, requestID: frame.requestID)
        case .unsubscribe(let target): unsubscribe(target, requestID: frame.requestID)
        case .work: preconditionFailure("long work does not begin on an event loop")
        }
    }

    /// CONNECT was answered, with what was agreed on or an error.
    func connected() {
        if session.features.contains(.lz4) { machine.acceptCompressedRequests() }
        if session.isUnlimited || session.principal != nil { machine.loggedIn() }
    }

    private func held(from start: Int, until lsn: LSN, commitCount count: Int) {
        machine.answers.hold(from: start, until: lsn, arrival: arrival)
        floor = max(floor, lsn)
        commitCount += count
    }

    /// The answer needs more than this disk, unless it has that already.
    private func heldForOthers(from start: Int, until lsn: LSN, commitCount count: Int, requestID: UInt32?) {
        if let concern = loop.executor.takeConcern(at: lsn, requestID: requestID) {
            machine.answers.hold(from: start, until: lsn, arrival: arrival, concern: concern)
            floor = max(floor, lsn)
            commitCount += count
            if let deadline = concern.deadline, deadline < nextLook { lookAgain(at: deadline) }
        } else if lsn > 0 {
            held(from: start, until: lsn, commitCount: count)
        }
    }

    /// The loop's timer looks at deadlines four times a second; near ones get a timer, one at a time for each connection.
    private func lookAgain(at deadline: UInt64) {
        let left = Int64(clamping: deadline &- min(deadline, MonotonicTime.nanoseconds()))
        guard left < 10_000_000_000 else { return }
        nextLook = deadline
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        loop.eventLoop.scheduleTask(in: .nanoseconds(left)) {
            let handler = bound.value
            guard handler.machine.phase != .closed else { return }
            handler.nextLook = .max
            handler.goOn()
            if let next = handler.machine.answers.earliestConcernDeadline { handler.lookAgain(at: next) }
        }
    }

    func refuse(_ error: DocumentError, requestID: UInt32?) {
        loop.executor.fail(error, session, requestID: requestID, into: machine.answers.bytes)
    }

    // MARK: Output

    /// What a burst of requests or a returned task leaves to do.
    private func endBurst() {
        if requestCount > 0 {
            let nanoseconds = MonotonicTime.nanoseconds() &- arrival
            loop.metrics.record(nanoseconds: nanoseconds, count: requestCount, in: .read)
            requestCount = 0
        }
        if commitCount > 0 {
            loop.committed(commitCount)
            commitCount = 0
        }
        flush()
        updateAccount()
        finishIfDone()
    }

    /// Hands the acknowledged prefix of the answers to the socket, as far as the client takes them.
    private func flush() {
        guard let outlet, !isFlushing else { return }
        isFlushing = true
        defer { isFlushing = false }
        var acknowledged: LSN
        var changes: UInt64
        repeat {
            changes = machine.answers.concernCount > 0 ? settle() : 0
            acknowledged = machine.answers.isHeld ? loop.node.engine.acknowledgedLSN : 0
            let count = releasableByteCount(acknowledged)
            if count > 0 && isWritable { send(count, outlet) }
            guard machine.answers.isHeld, !isWaiting else { return }
            isWaiting = true
            loop.wait(self)
            // The log may have moved between the look and the entry in the list.
        } while loop.node.engine.acknowledgedLSN != acknowledged
            || (machine.answers.concernCount > 0 && loop.node.gate.changes != changes)
    }

    /// Looks at the answers that need other disks; answers what it looked at.
    private func settle() -> UInt64 {
        let gate = loop.node.gate
        let changes = gate.changes
        let now = MonotonicTime.nanoseconds()
        var settled: [(requestID: UInt32?, isMet: Bool)] = []
        machine.answers.settle { concern in
            let verdict = gate.judge(concern, now: now)
            guard verdict != .wait else { return verdict }
            if concern.isWrite { loop.metrics.record(nanoseconds: now &- min(now, concern.heldAt), count: 1, in: .concernWait) }
            if case .failed = verdict, let counters = loop.node.replication?.counters {
                if concern.isWrite { counters.concernTimedOut() } else { counters.answeredStale(.commit) }
            }
            if !concern.isWrite && !tasks.isEmpty { settled.append((concern.requestID, verdict == .met)) }
            return verdict
        }
        for (requestID, isMet) in settled { streamSettled(requestID: requestID, isMet: isMet) }
        return changes
    }

    private func releasableByteCount(_ acknowledged: LSN) -> Int {
        guard machine.answers.isHeld else { return machine.answers.byteCount }
        let now = MonotonicTime.nanoseconds()
        let metrics = loop.metrics
        return machine.answers.release(acknowledged) { arrival, requestCount in
            metrics.record(nanoseconds: now &- arrival, count: requestCount, in: .write)
        }
    }

    private func send(_ count: Int, _ outlet: ConnectionOutlet) {
        if outlet.isSocket {
            loop.metrics.add(count, to: .bytesSent)
            loop.metrics.add(to: .flushes)
        }
        loop.scratch.clear()
        loop.scratch.writeBytes(UnsafeRawBufferPointer(rebasing: machine.answers.bytes.bytes[..<count]))
        // Before it is sent: who takes it may ask for more at once.
        machine.answers.consume(count)
        outlet.send(loop.scratch)
        if loop.scratch.capacity > 1 << 20 { loop.scratch = ByteBuffer() }
    }

    /// The log moved, or failed.
    func logMoved() {
        isWaiting = false
        guard machine.phase != .closed else { return }
        if loop.node.logHasFailed {
            flush()
            if machine.answers.isHeld {
                machine.answers.dropHeld()
                endHeldStreams()
                let reason = loop.node.engine.metrics().refusal.map { " (\($0))" } ?? ""
                refuse(
                    DocumentError(
                        .storageFailed, "The log could not be written\(reason): whether the last writes are durable is unknown"),
                    requestID: nil)
                machine.drain()
            }
        }
        goOn()
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

    // MARK: End

    /// Takes no more requests. Streams that wait for credit end, because none can come any more.
    private func drain() {
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

    // MARK: Access for the other files of this handler

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

    /// Hands over what was put into the output from elsewhere than a request.
    func flushEvents() {
        flush()
        updateAccount()
    }

    private func updateAccount() {
        account.update(machine.answers.byteCount + machine.awayByteCount + (inbound?.readableBytes ?? 0), in: loop.node)
    }

    var burstArrival: UInt64 { arrival }
    var readFloor: LSN { floor }

    /// Queues the frames of a task that came back, in front of nothing that was answered before.
    func enqueue(_ task: PoolTask, hold: LSN, commitCount count: Int) {
        let start = machine.answers.byteCount
        machine.answers.bytes.append(task.output.bytes)
        task.output.removeAll(keepingCapacity: task.output.capacityByteCount <= 512 << 10)
        if task.concern != nil {
            loop.executor.concern = task.concern
            task.concern = nil
            // A scan read at what was visible then, which is not above what is visible now.
            let lsn = hold > 0 ? hold : loop.node.engine.visibleLSN
            heldForOthers(from: start, until: lsn, commitCount: count, requestID: task.requestID)
        } else if hold > 0 {
            machine.answers.hold(from: start, until: hold, arrival: task.arrival)
            floor = max(floor, hold)
            commitCount += count
        }
    }

    func streamEnded() {
        loop.node.streamCount.wrappingSubtract(1, ordering: .relaxed)
        loop.metrics.add(to: .streamsClosed)
    }
}
