/// Requests that are away in the work pool, and streams: departure, return, credit, cancellation.
///
/// A stream's next chunk is asked for when the client has credit for it and the connection's output is not full, so one stream
/// holds one chunk in the pool and at most the output limit here, whatever the size of its result. Other reads are given to the pool a few
/// at a time, and none while the output is full: a client that takes nothing makes the node hold a few answers, however many it asks for.

import NIOCore
import NexaDocuments
import NexaStorage
import NexaWire
import Synchronization

extension ConnectionHandler {
    /// A request leaves for the pool. A write that is large enough to be checked there keeps its place among the requests of its connection:
    /// with an id, too, it holds the others up, as it would on the loop.
    func depart(
        _ type: MessageType, _ frame: Frame, _ payload: UnsafeRawBufferPointer, wantsToken: Bool, isValidated: Bool = true
    ) {
        let task = PoolTask(
            type: type, requestID: frame.requestID, wantsToken: wantsToken, payload: payload, isValidated: isValidated,
            session: session, floor: floor, streamID: takeStreamID(), arrival: arrival)
        task.holdsConnection = frame.requestID == nil || (type.isWrite && !isValidated)
        machine.depart(holds: task.holdsConnection, byteCount: task.payloadByteCount)
        tasks.append(task)
        if let wait = loop.executor.pendingWait {
            loop.executor.pendingWait = nil
            park(task, wait)
        } else {
            submitInTurn(task)
        }
    }

    /// The request waits for a position, for the leader's word, for the gate or for time, holding neither a thread nor a snapshot.
    private func park(_ task: PoolTask, _ wait: RequestWait) {
        if loop.node.isDraining {
            task.stop()
            return submit(task)
        }
        task.isParked = true
        task.parkedAt = MonotonicTime.nanoseconds()
        if task.wait.since == 0 { task.wait.since = task.parkedAt }
        let home = TaskHome(handler: self, loop: loop)
        switch wait.event {
        case .visible(let lsn):
            task.wait.deadline = wait.deadline
            park(task, ParkedRequest(handler: self, task: task, event: .visible(lsn), deadline: wait.deadline))
        case .gate(let changes):
            task.wait.gateDeadline = wait.deadline
            park(task, ParkedRequest(handler: self, task: task, event: .gate(changes: changes), deadline: wait.deadline))
        case .readIndex:
            task.wait.deadline = wait.deadline
            loop.node.replication?.readIndex(visible: loop.node.engine.visibleLSN, deadline: wait.deadline / 1000) { index in
                home.eventLoop.execute {
                    // Cancelled meanwhile, it may be in the pool.
                    guard task.isParked else { return }
                    task.wait.index = index ?? .max
                    home.handler.value.resume(task)
                }
            }
        case .time:
            task.wait.isDelayed = true
            let left = Int64(clamping: wait.deadline &- min(wait.deadline, MonotonicTime.nanoseconds()))
            loop.eventLoop.scheduleTask(in: .nanoseconds(left)) { home.handler.value.resume(task) }
        }
    }

    private func park(_ task: PoolTask, _ request: ParkedRequest) {
        if !loop.park(request) { end(task, DocumentError(.overloaded, "Too many requests wait already")) }
    }

    /// What a parked request waited for is there, its time is over, or it is to end: it is asked again.
    func resume(_ task: PoolTask) {
        guard machine.phase != .closed, task.isParked else { return }
        task.isParked = false
        if !task.type.isWrite {
            loop.metrics.record(nanoseconds: MonotonicTime.nanoseconds() &- task.parkedAt, count: 1, in: .readWait)
        }
        submitInTurn(task)
    }

    /// The node stops: nothing is waited for any more.
    func endParked() {
        for task in tasks where task.isParked { task.stop() }
        pumpStreams()
    }

    /// Reads of one connection in the pool, at least; where there are more threads, as many as these.
    private static let poolReadCount = 4

    private var hasRoomForReads: Bool {
        machine.answers.byteCount <= machine.limits.outputByteCountMax
            && poolCount < max(Self.poolReadCount, loop.pool.threadCount)
    }

    /// Gives the task to the pool as soon as there is room for its answer. Writes do not wait: their answers are as small as they are.
    private func submitInTurn(_ task: PoolTask) {
        task.isQueued = !task.type.isWrite && !task.isEnding && !hasRoomForReads
        if !task.isQueued { submit(task) }
    }

    private func submit(_ task: PoolTask) {
        task.isAway = true
        loop.metrics.add(to: .jobs)
        let home = TaskHome(handler: self, loop: loop)
        if !Self.run(task, in: loop.pool, home: home) {
            return end(task, DocumentError(.overloaded, "Too many scans and searches wait already"))
        }
        poolCount += 1
    }

    /// Gives the task to the pool; a turn that used its time up goes to the end of the queue.
    private static func run(_ task: PoolTask, in pool: WorkPool<Executor>, home: TaskHome) -> Bool {
        pool.submit { executor in
            let turn = task.turn(executor) { pool.queuedCount > 0 }
            if case .finished(_, let commitCount) = turn, commitCount > 0 {
                // This thread may wait: it syncs by itself, and the answer leaves as soon as it is back on its loop.
                executor.engine.flushLogInline()
            }
            if turn == .again, run(task, in: pool, home: home) { return }
            home.eventLoop.execute { home.handler.value.returned(task, turn) }
        }
    }

    private func returned(_ task: PoolTask, _ turn: PoolTask.Turn) {
        task.isAway = false
        poolCount -= 1
        guard machine.phase != .closed else {
            if task.isStream { streamEnded() }
            return
        }
        switch turn {
        case .waiting(let wait):
            letOthersPass(task)
            park(task, wait)
        case .again:
            // The pool took it no more.
            end(task, DocumentError(.shuttingDown, "The node is stopping"))
        case .chunk:
            if !task.isStream {
                guard tasks.count(where: \.isStream) < machine.limits.streamCountMax else {
                    end(
                        task,
                        DocumentError(
                            .overloaded, "A connection has at most \(machine.limits.streamCountMax) streams (max-streams)"))
                    break
                }
                task.isStream = true
                loop.node.streamCount.wrappingAdd(1, ordering: .relaxed)
                loop.metrics.add(to: .streamsOpened)
                machine.becomeStream(holds: task.holdsConnection)
            }
            task.credit -= 1
            let concernCount = machine.answers.concernCount
            enqueue(task, hold: 0, commitCount: 0, isLast: false)
            task.isHeldForOthers = machine.answers.concernCount > concernCount
            if task.credit <= 0 {
                task.park()
                task.waitsSince = loop.now
            }
        case .finished(let hold, let commitCount):
            if task.type == .changePassword || task.type == .alterUser { passwordChanged(task) }
            enqueue(task, hold: hold, commitCount: commitCount, isLast: true)
            end(task)
        }
        goOn()
    }

    /// Whoever changes the own password stays logged in.
    private func passwordChanged(_ task: PoolTask) {
        guard let principal = task.session.principal, principal.user.name == session.principal?.user.name else { return }
        session.principal = principal
        session.usersVersion = 0
    }

    /// What it waits for may take long: a request that has an id holds the others up no longer.
    private func letOthersPass(_ task: PoolTask) {
        guard task.holdsConnection, task.requestID != nil else { return }
        task.holdsConnection = false
        machine.letGo()
    }

    /// The request was answered.
    private func end(_ task: PoolTask) {
        if task.isStream { streamEnded() }
        tasks.removeAll { $0 === task }
        machine.arrive(holds: task.holdsConnection, byteCount: task.payloadByteCount)
        sayFarewell()
    }

    /// The request is refused in the place of an answer from the pool.
    private func end(_ task: PoolTask, _ error: DocumentError) {
        refuse(error, requestID: task.requestID)
        noteAnswered(since: task.arrival)
        end(task)
    }

    func streamEnded() {
        loop.node.streamCount.wrappingSubtract(1, ordering: .relaxed)
        loop.metrics.add(to: .streamsClosed)
    }

    /// Asks the pool for the answers that have room now, for the next chunk of every stream whose client can take one, and for the last
    /// word of what was cancelled. A stream without credit on a connection that is not read any more is cancelled.
    func pumpStreams() {
        guard !tasks.isEmpty, machine.phase != .closed else { return }
        for task in tasks {
            if task.isParked, task.isEnding {
                loop.unpark(task)
                resume(task)
            } else if task.isQueued, task.isEnding || hasRoomForReads {
                task.isQueued = false
                submit(task)
            }
        }
        for task in tasks where task.isStream && !task.isAway && !task.isHeldForOthers {
            if task.credit <= 0 && !machine.takesCredit { task.cancel() }
            let canSend = task.credit > 0 && machine.answers.byteCount <= machine.limits.outputByteCountMax
            if canSend || task.isEnding { submit(task) }
        }
    }

    /// Other nodes have, or have not, what the first chunk of a stream shows: it goes on, or its error was its end.
    func streamSettled(requestID: UInt32?, isMet: Bool) {
        guard let task = tasks.first(where: { $0.isHeldForOthers && $0.requestID == requestID }) else { return }
        task.isHeldForOthers = false
        guard !isMet else { return }
        noteAnswered(since: task.arrival)
        end(task)
    }

    /// The log failed, and what waited for it is gone: so are the first chunks that waited for other nodes, and their streams.
    func endHeldStreams() {
        for task in tasks where task.isHeldForOthers { end(task) }
    }

    /// Ends the streams whose clients gave no credit for too long, so that nobody's silence pins a snapshot for ever.
    func expireStreams(_ now: UInt64) {
        let limit = machine.limits.streamMilliseconds
        guard limit > 0, !tasks.isEmpty else { return }
        var hasExpired = false
        for task in tasks where task.isStream && !task.isAway {
            guard let since = task.waitsSince, now &- since > limit else { continue }
            task.expire()
            hasExpired = true
        }
        if hasExpired { pumpStreams() }
    }

    func credit(_ stream: UInt64, _ count: Int) {
        // A stream that is not there any more has ended meanwhile: nothing to say.
        guard let task = tasks.first(where: { $0.streamID == stream }) else { return }
        task.credit = min(task.credit + count, 1_000_000)
        if task.credit > 0 { task.waitsSince = nil }
        pumpStreams()
    }

    func cancel(_ target: CancelTarget, requestID: UInt32?) {
        let task = tasks.first { task in
            switch target {
            case .stream(let id): task.streamID == id
            case .request(let id): task.requestID == id
            }
        }
        task?.cancel()
        var isCancelled = task != nil
        if !isCancelled, case .request(let id) = target { isCancelled = cancelSubscription(requestID: id) }
        let output = machine.answers.bytes
        let mark = output.beginFrame(.success, requestID: requestID)
        output.writeMapHeader(1)
        output.writeString("cancelled")
        output.writeBool(isCancelled)
        output.endFrame(mark)
        pumpStreams()
    }
}

/// Where a task returns to.
private struct TaskHome: Sendable {
    let eventLoop: any EventLoop
    let handler: NIOLoopBound<ConnectionHandler>

    init(handler: ConnectionHandler, loop: LoopContext) {
        eventLoop = loop.eventLoop
        self.handler = NIOLoopBound(handler, eventLoop: loop.eventLoop)
    }
}
