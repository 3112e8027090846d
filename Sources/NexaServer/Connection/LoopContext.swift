/// Everything that the connections of one event loop share: the executor, the counters, the list of connections that wait for
/// the log, the coarse clock. Confined to its loop.
///
///     read burst ─► commits ─► (once a round) endRound ─► sync inline, or wake the log thread
///                                                   └──► releaseHeldAnswers ◄── one wake-up a commit group (LoopPort)

import NIOCore
import NexaDocuments
import NexaStorage

final class LoopContext {
    /// How often time limits are looked at.
    static let tickMilliseconds: UInt64 = 250

    let node: NodeContext
    let pool: WorkPool<Executor>
    let eventLoop: any EventLoop
    let executor: Executor
    let metrics: LoopMetrics
    let policy: FlushPolicy
    private(set) var port: LoopPort!
    /// Milliseconds since the loop's start, advanced by the timer.
    private(set) var now: UInt64 = 0
    /// Reused for what is handed to sockets.
    var scratch = ByteBuffer()

    private var connections: [ConnectionHandler] = []
    private var waiting: [ConnectionHandler] = []
    private var spare: [ConnectionHandler] = []
    /// Requests that wait for a position, or for the gate.
    private var parked: [ParkedRequest] = []
    /// Writes among them: their requests are kept whole.
    private var parkedByteCount = 0
    private static let parkedCountMax = 100_000
    private static let parkedByteCountMax = 64 << 20
    /// Connections with subscriptions, and those among them that have more to tell at once.
    private var watchers: [ConnectionHandler] = []
    private var pumped: [ConnectionHandler] = []
    /// Connections that go on when others had their turn, oldest first.
    private var delayed = CircularBuffer<ConnectionHandler>()
    private var isDelayScheduled = false
    private static let delay = TimeAmount.microseconds(20)
    private static let delayedNanoseconds: UInt64 = 1_000_000
    private var commitCount = 0
    private var isRoundScheduled = false
    private var endRoundTask: (@Sendable () -> Void)!
    private var timer: RepeatedTask?

    init(node: NodeContext, pool: WorkPool<Executor>, eventLoop: any EventLoop, policy: FlushPolicy) {
        eventLoop.preconditionInEventLoop()
        self.node = node
        self.pool = pool
        self.eventLoop = eventLoop
        self.policy = policy
        executor = Executor(node: node, mayBlock: false)
        metrics = executor.metrics
        port = LoopPort(eventLoop: eventLoop, context: self)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        endRoundTask = { bound.value.endRound() }
        timer = eventLoop.scheduleRepeatedTask(
            initialDelay: .milliseconds(Int64(Self.tickMilliseconds)), delay: .milliseconds(Int64(Self.tickMilliseconds))
        ) { _ in bound.value.tick() }
    }

    // MARK: Connections

    /// Adds a connection and answers its place in the list.
    func add(_ connection: ConnectionHandler) -> Int {
        connections.append(connection)
        return connections.count - 1
    }

    /// Removes the connection at `place`; the last one takes its place.
    func remove(at place: Int) {
        let last = connections.removeLast()
        if place < connections.count {
            connections[place] = last
            last.place = place
        }
    }

    /// Ends all connections: they finish what is under way, or are cut when `isForced`.
    func stopConnections(isForced: Bool) {
        endParked()
        for connection in connections { connection.stop(isForced: isForced) }
        if isForced { timer?.cancel() }
    }

    var connectionCount: Int { connections.count }

    private func tick() {
        now += Self.tickMilliseconds
        // From the back: a connection that is closed is replaced by one that was looked at.
        var index = connections.count - 1
        while index >= 0 {
            if index < connections.count { connections[index].tick(now) }
            index -= 1
        }
        if node.replication != nil { releaseHeldAnswers(isWake: false) }
        if !watchers.isEmpty { port.noteOldestChange(watchers.lazy.compactMap(\.oldestChange).min()) }
        if now % 5_000 == 0 { executor.releaseViews() }
    }

    // MARK: Turns

    /// The connection goes on when others had their turn. One timer serves all who wait, for a moment at a time: a turn of the loop ends
    /// only when no timer is due, and if each connection had its own, one would always be, and no socket would be looked at.
    func goOnLater(_ connection: ConnectionHandler) {
        delayed.append(connection)
        if !isDelayScheduled { scheduleDelayed() }
    }

    private func scheduleDelayed() {
        isDelayScheduled = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.delay) { bound.value.serveDelayed() }
    }

    private func serveDelayed() {
        let start = MonotonicTime.nanoseconds()
        // Who has still more to do comes in behind those who wait now.
        var count = delayed.count
        while count > 0, let connection = delayed.popFirst() {
            connection.goOnNow()
            count -= 1
            if MonotonicTime.nanoseconds() &- start > Self.delayedNanoseconds { break }
        }
        isDelayScheduled = false
        if !delayed.isEmpty { scheduleDelayed() }
    }

    // MARK: Change streams

    /// Nobody here waits for the log to move.
    private var isIdle: Bool { waiting.isEmpty && parked.isEmpty && watchers.isEmpty }

    /// The connection has subscriptions: it is called when there may be more to tell.
    func watch(_ connection: ConnectionHandler) {
        if isIdle { port.beginWaiting() }
        watchers.append(connection)
        port.noteWatchers(watchers.count)
    }

    func unwatch(_ connection: ConnectionHandler) {
        watchers.removeAll { $0 === connection }
        port.noteWatchers(watchers.count)
        if isIdle { port.endWaiting() }
    }

    /// There may be more to tell.
    func pumpWatchers() {
        for connection in watchers { connection.pumpChanges() }
    }

    /// The connection goes on telling when others had their turn.
    func pumpLater(_ connection: ConnectionHandler) {
        pumped.append(connection)
        guard pumped.count == 1 else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute {
            var due: [ConnectionHandler] = []
            swap(&due, &bound.value.pumped)
            for connection in due { connection.pumpChanges() }
        }
    }

    // MARK: Durability

    /// A connection committed batches in this round.
    @inline(__always)
    func committed(_ count: Int) {
        commitCount += count
        guard !isRoundScheduled else { return }
        isRoundScheduled = true
        eventLoop.execute(endRoundTask)
    }

    /// All connections that had input in this round were served: one sync for what they committed.
    private func endRound() {
        isRoundScheduled = false
        let count = commitCount
        commitCount = 0
        switch policy.choose(commitCount: count) {
        case .inline:
            if node.engine.flushLogInline(handsOver: false) {
                metrics.add(to: .inlineSyncs)
                releaseHeldAnswers(isWake: false)
                // Whoever found the role taken meanwhile relies on its holder: one more group here costs less than waking the log
                // thread, which then wakes the other loop.
                node.engine.flushLogInline()
            }
        case .logThread:
            node.engine.wakeLog()
        }
        releaseHeldAnswers(isWake: false)
    }

    /// The connection holds answers until the log moves; it is called again by `releaseHeldAnswers`.
    func wait(_ connection: ConnectionHandler) {
        if isIdle { port.beginWaiting() }
        waiting.append(connection)
    }

    func releaseHeldAnswers(isWake: Bool) {
        if isWake { metrics.add(to: .durabilityWakes) }
        if !parked.isEmpty { resumeParked() }
        if !watchers.isEmpty { pumpWatchers() }
        guard !waiting.isEmpty else { return }
        // A connection that still waits puts itself on the other list.
        var released = spare
        spare = []
        swap(&released, &waiting)
        for connection in released { connection.logMoved() }
        released.removeAll(keepingCapacity: true)
        spare = released
        if isIdle { port.endWaiting() }
    }

    // MARK: Requests that wait

    /// The request is asked again when what it waits for is there, or its time is over. False when too many wait already.
    func park(_ request: ParkedRequest) -> Bool {
        guard parked.count < Self.parkedCountMax, parkedByteCount < Self.parkedByteCountMax else { return false }
        if isIdle { port.beginWaiting() }
        parked.append(request)
        parkedByteCount += request.task.payloadByteCount
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        // What waits for the gate is looked at by the loop's timer, too, which is exact enough for it.
        if case .visible = request.event {
            let left = Int64(clamping: request.deadline &- min(request.deadline, MonotonicTime.nanoseconds()))
            eventLoop.scheduleTask(in: .nanoseconds(left)) { bound.value.resumeParked() }
        }
        // The log may have moved before the port knew that somebody waits.
        eventLoop.execute { bound.value.resumeParked() }
        return true
    }

    /// The request waits no longer. Costs a look at all that wait.
    func unpark(_ task: PoolTask) {
        guard let index = parked.firstIndex(where: { $0.task === task }) else { return }
        parkedByteCount -= task.payloadByteCount
        parked.remove(at: index)
        if isIdle { port.endWaiting() }
    }

    /// The node stops: nothing is waited for any more.
    private func endParked() {
        guard !parked.isEmpty else { return }
        var ended: [ParkedRequest] = []
        swap(&ended, &parked)
        parkedByteCount = 0
        if isIdle { port.endWaiting() }
        for request in ended {
            request.task.stop()
            request.handler.resume(request.task)
        }
    }

    private func resumeParked() {
        guard !parked.isEmpty else { return }
        let visible = node.engine.visibleLSN
        let doorChanges = node.gate.doorChanges
        let now = MonotonicTime.nanoseconds()
        func isDue(_ request: ParkedRequest) -> Bool {
            if request.deadline <= now { return true }
            switch request.event {
            case .visible(let lsn): return lsn <= visible
            case .gate(let changes): return changes != doorChanges
            }
        }
        let due = parked.filter(isDue)
        guard !due.isEmpty else { return }
        parked.removeAll(where: isDue)
        for request in due {
            parkedByteCount -= request.task.payloadByteCount
            request.handler.resume(request.task)
        }
        if isIdle { port.endWaiting() }
    }
}
