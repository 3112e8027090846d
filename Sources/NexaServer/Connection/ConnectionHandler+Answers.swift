/// Answers on their way out: each leaves when it is acknowledged, in the order of the requests, one flush a burst.
///
///     answers | may leave | waits for the log, or for other nodes ...
///             └─► socket    └─► logMoved ─► flush
///
/// Each request is timed once, from its arrival: with its burst when nothing is waited for, else when its answer may leave.

import NIOCore
import NexaDocuments
import NexaStorage
import NexaWire
import Synchronization

extension ConnectionHandler {
    // MARK: Answers that wait

    /// Has the answer from `start` on wait for `lsn`, and for what the executor says that it needs beyond this disk. False: for nothing.
    /// `timing`: as what its request is timed when it may leave; nil: the request has more answers to come.
    func hold(
        from start: Int, until lsn: LSN, commitCount count: Int, requestID: UInt32?, arrival: UInt64, _ timing: LatencyClass?
    ) -> Bool {
        if loop.executor.concern != nil, let concern = loop.executor.takeConcern(at: lsn, requestID: requestID) {
            machine.answers.hold(from: start, until: lsn, arrival: arrival, timing, concern: concern)
            if let deadline = concern.deadline, deadline < nextLook { lookAgain(at: deadline) }
        } else if lsn > 0 {
            machine.answers.hold(from: start, until: lsn, arrival: arrival, timing)
        } else {
            return false
        }
        floor = max(floor, lsn)
        commitCount += count
        return true
    }

    /// Queues the frames of a task that came back, in front of nothing that was answered before; `isLast`: its request is answered.
    func enqueue(_ task: PoolTask, hold lsn: LSN, commitCount count: Int, isLast: Bool) {
        let start = machine.answers.byteCount
        machine.answers.bytes.append(task.output.bytes)
        task.output.removeAll(keepingCapacity: task.output.capacityByteCount <= 512 << 10)
        var lsn = lsn
        if task.concern != nil {
            loop.executor.concern = task.concern
            task.concern = nil
            // A scan read at what was visible then, which is not above what is visible now.
            if lsn == 0 { lsn = loop.node.engine.visibleLSN }
        }
        let timing: LatencyClass? = isLast ? (task.type.isWrite ? .write : .scan) : nil
        let isHeld = hold(
            from: start, until: lsn, commitCount: count, requestID: task.requestID, arrival: task.arrival, timing)
        if isLast && !isHeld { noteAnswered(since: task.arrival) }
    }

    /// A request that had left the event loop was answered.
    func noteAnswered(since arrival: UInt64) {
        loop.metrics.record(nanoseconds: MonotonicTime.nanoseconds() &- arrival, count: 1, in: .scan)
    }

    /// The loop's timer looks at deadlines four times a second; near ones get a timer, one at a time for each connection.
    private func lookAgain(at deadline: UInt64) {
        let left = Int64(clamping: deadline &- min(deadline, MonotonicTime.nanoseconds()))
        guard left < 10_000_000_000 else { return }
        nextLook = deadline
        let bound = bound
        loop.eventLoop.scheduleTask(in: .nanoseconds(left)) {
            let handler = bound.value
            guard handler.machine.phase != .closed else { return }
            handler.nextLook = .max
            handler.goOn()
            if let next = handler.machine.answers.earliestConcernDeadline { handler.lookAgain(at: next) }
        }
    }

    // MARK: Out

    /// What a burst of requests or a returned task leaves to do.
    func endBurst() {
        if answeredCount > 0 {
            let nanoseconds = MonotonicTime.nanoseconds() &- arrival
            loop.metrics.record(nanoseconds: nanoseconds, count: answeredCount, in: .read)
            answeredCount = 0
        }
        if commitCount > 0 {
            loop.committed(commitCount)
            commitCount = 0
        }
        flush()
        updateAccount()
        finishIfDone()
    }

    /// Hands over what was put into the output from elsewhere than a request.
    func flushEvents() {
        flush()
        updateAccount()
    }

    /// Hands the acknowledged prefix of the answers to the socket, as far as the client takes them.
    func flush() {
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
        return machine.answers.release(acknowledged) { arrival, latencyClass, requestCount in
            metrics.record(nanoseconds: now &- arrival, count: requestCount, in: latencyClass)
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
}
