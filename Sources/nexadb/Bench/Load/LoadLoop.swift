import CSupport
import Glibc

/// One thread of the load generator: an epoll loop over its connections that keeps `depth` requests in flight on each (closed
/// loop), or sends on a schedule and measures from the scheduled time (open loop: a server that stalls pays for the requests that
/// would have come meanwhile).
///
/// Cost: one recv and one send per connection and turn, one clock reading per recv, no allocation per request. Answers are matched
/// to requests in order. Everything is confined to the thread that calls `run`.
struct LoadLoop<Dialect: LoadDialect>: ~Copyable {
    private let dialect: Dialect
    private let plan: LoadPlan
    private var source: RequestSource
    private let connections: UnsafeMutablePointer<LoadConnection>
    private let connectionCount: Int
    private let pollDescriptor: Int32
    private let events: UnsafeMutablePointer<nexa_poll_event>
    private static var eventsMax: Int { 512 }

    private(set) var tally: LoadTally
    private let toleratesMisses: Bool
    private var answered: UInt64 = 0
    private var inFlight = 0
    /// Requests that may still be issued.
    private var budget: UInt64 = .max
    private let requests: UInt64?
    private var isMeasuring = false
    /// Latencies of one read are equal in runs: counted here and recorded once.
    private var run: (operation: LoadOperation, nanoseconds: UInt64, count: UInt64) = (.ping, 0, 0)

    /// Takes over the (non-blocking, ready to use) descriptors.
    init(
        dialect: Dialect, plan: LoadPlan, workload: Workload, thread: Int, descriptors: [Int32], zipfian: ZipfianDistribution
    ) throws(LoadFailure) {
        self.dialect = dialect
        self.plan = plan
        source = RequestSource(workload: workload, plan: plan, thread: thread, zipfian: zipfian)
        tally = LoadTally(workload.parts.map { $0.operation == .modifyRead ? .modifyWrite : $0.operation })
        toleratesMisses = workload.keyChoice == .latest
        requests = plan.requests.map { plan.share(of: $0, thread: thread) }
        connectionCount = descriptors.count
        connections = .allocate(capacity: descriptors.count)
        events = .allocate(capacity: Self.eventsMax)
        pollDescriptor = nexa_poll_create()
        for (index, descriptor) in descriptors.enumerated() {
            (connections + index).initialize(to: LoadConnection(descriptor: descriptor, depth: plan.depth))
        }
        for (index, descriptor) in descriptors.enumerated() {
            let status = nexa_poll_watch(pollDescriptor, descriptor, UInt32(index), false, false)
            guard status == 0 else { throw LoadFailure(description: "cannot poll: \(String(cString: strerror(-status)))") }
        }
    }

    deinit {
        for index in 0..<connectionCount { connections[index].close() }
        connections.deallocate()
        events.deallocate()
        close(pollDescriptor)
    }

    /// Runs warm-up and measurement. `onMeasure` is called when the measured part begins.
    mutating func run(onMeasure: () -> Void) throws(LoadFailure) {
        let begin = Self.now()
        let measureFrom = begin + plan.warmUpNanoseconds
        let end = measureFrom + plan.durationNanoseconds
        var measuredFrom = begin
        var cpuBefore = Self.threadCPU()
        var schedule = OpenLoopSchedule(rate: plan.rate.map { $0 / Double(plan.threads) }, begin: begin)
        if plan.warmUpNanoseconds == 0 {
            isMeasuring = true
            budget = requests ?? .max
            onMeasure()
        }
        if !schedule.isOpenLoop {
            for index in 0..<connectionCount { try fill(connections + index, UInt32(index), at: begin) }
        }
        var now = begin
        while true {
            if schedule.isOpenLoop { try issueDue(&schedule, now: now) }
            try turn(waitAtMost: schedule.timeout(now: now, end: isMeasuring ? end : measureFrom), refill: !schedule.isOpenLoop)
            now = Self.now()
            if !isMeasuring && now >= measureFrom {
                isMeasuring = true
                settleRun()
                tally.restart()
                measuredFrom = now
                cpuBefore = Self.threadCPU()
                if let requests { budget = requests > UInt64(inFlight) ? requests - UInt64(inFlight) : 0 }
                onMeasure()
            }
            if now >= end || (budget == 0 && inFlight == 0) { break }
            if tally.errors > LoadPlan.errorsMax {
                throw LoadFailure(description: "too many errors; the first: \(tally.firstProblem ?? "unknown")")
            }
        }
        settleRun()
        tally.elapsedNanoseconds = now - measuredFrom
        tally.cpuNanoseconds = Self.threadCPU() - cpuBefore
    }

    /// Waits once and serves everything that became ready.
    private mutating func turn(waitAtMost timeout: UInt64, refill: Bool) throws(LoadFailure) {
        let count = nexa_poll_wait(pollDescriptor, events, Int32(Self.eventsMax), Int64(timeout))
        guard count >= 0 else { throw LoadFailure(description: "cannot poll: \(String(cString: strerror(-count)))") }
        for at in 0..<Int(count) {
            let event = events[at]
            let connection = connections + Int(event.token)
            if event.ready & NEXA_POLL_WRITABLE != 0 { try flush(connection, event.token) }
            if event.ready & (NEXA_POLL_READABLE | NEXA_POLL_FAILED) != 0 {
                let received = try receive(connection)
                if received > 0 {
                    let now = Self.now()
                    try takeAnswers(connection, at: now)
                    if refill || connection.pointee.output.count > 0 { try fill(connection, event.token, at: now, issue: refill) }
                }
            }
        }
    }

    /// Issues requests until the connection is full and sends them.
    private mutating func fill(
        _ connection: UnsafeMutablePointer<LoadConnection>, _ token: UInt32, at now: UInt64, issue: Bool = true
    ) throws(LoadFailure) {
        while issue && budget > 0 && !connection.pointee.isFull { self.issue(on: connection, start: now) }
        try flush(connection, token)
    }

    private mutating func issue(on connection: UnsafeMutablePointer<LoadConnection>, start: UInt64) {
        let request = source.next()
        dialect.encode(request, into: &connection.pointee.output)
        connection.pointee.push(LoadSlot(start: start, request: request))
        inFlight += 1
        budget &-= 1
    }

    /// Sends what the schedule says is due, on connections that have room, in turn.
    private mutating func issueDue(_ schedule: inout OpenLoopSchedule, now: UInt64) throws(LoadFailure) {
        var tries = 0
        schedule.isBlocked = false
        while budget > 0, let due = schedule.nextDue(now: now) {
            let index = schedule.nextConnection(of: connectionCount)
            let connection = connections + index
            if connection.pointee.isFull {
                tries += 1
                if tries == connectionCount {
                    schedule.isBlocked = true
                    return
                }
                continue
            }
            tries = 0
            schedule.take()
            issue(on: connection, start: due)
            try flush(connection, UInt32(index))
        }
    }

    private mutating func flush(_ connection: UnsafeMutablePointer<LoadConnection>, _ token: UInt32) throws(LoadFailure) {
        while connection.pointee.output.count > 0 {
            let sent = send(
                connection.pointee.descriptor, connection.pointee.output.front, connection.pointee.output.count,
                Int32(MSG_NOSIGNAL))
            if sent >= 0 {
                connection.pointee.output.removeFirst(sent)
                tally.sentByteCount += UInt64(sent)
            } else if errno == EAGAIN {
                return watch(connection, token, writable: true)
            } else if errno != EINTR {
                throw LoadFailure(description: "sending failed: \(String(cString: strerror(errno)))")
            }
        }
        watch(connection, token, writable: false)
    }

    private func watch(_ connection: UnsafeMutablePointer<LoadConnection>, _ token: UInt32, writable: Bool) {
        guard connection.pointee.wantsWrite != writable else { return }
        connection.pointee.wantsWrite = writable
        _ = nexa_poll_watch(pollDescriptor, connection.pointee.descriptor, token, writable, true)
    }

    /// Bytes read; 0 when there was nothing after all.
    private mutating func receive(_ connection: UnsafeMutablePointer<LoadConnection>) throws(LoadFailure) -> Int {
        let target = connection.pointee.input.reserve(16 * 1024)
        let count = recv(connection.pointee.descriptor, target, connection.pointee.input.freeByteCount, 0)
        if count > 0 {
            connection.pointee.input.advanceEnd(count)
            tally.receivedByteCount += UInt64(count)
            return count
        }
        if count < 0 && (errno == EAGAIN || errno == EINTR) { return 0 }
        let reason = count == 0 ? "the server closed a connection" : "receiving failed: \(String(cString: strerror(errno)))"
        throw LoadFailure(description: tally.firstProblem.map { "\(reason); before that: \($0)" } ?? reason)
    }

    /// Matches complete answers with the oldest requests.
    private mutating func takeAnswers(_ connection: UnsafeMutablePointer<LoadConnection>, at now: UInt64) throws(LoadFailure) {
        var used = 0
        let bytes = connection.pointee.input.front
        let count = connection.pointee.input.count
        while used < count && connection.pointee.hasWaiting {
            let slot = connection.pointee.first
            let answer = dialect.scan(bytes + used, count - used, answering: slot.request.operation)
            if answer.byteCount == 0 { break }
            connection.pointee.removeFirst()
            inFlight -= 1
            settle(slot, answer, bytes + used, at: now)
            guard answer.kind != .malformed else {
                throw LoadFailure(description: "unexpected answer to \(slot.request.operation.name)")
            }
            used += answer.byteCount
            if slot.request.operation == .modifyRead && answer.kind == .fine {
                var write = slot
                write.request.operation = .modifyWrite
                dialect.encode(write.request, into: &connection.pointee.output)
                connection.pointee.push(write)
                inFlight += 1
            }
        }
        if used > 0 { connection.pointee.input.removeFirst(used) }
    }

    /// Counts one answer.
    @inline(__always)
    private mutating func settle(_ slot: LoadSlot, _ answer: ScannedAnswer, _ bytes: UnsafeRawPointer, at now: UInt64) {
        answered += 1
        guard answer.kind == .fine else { return settleProblem(slot, answer, bytes) }
        if answered & (LoadPlan.sampleEvery - 1) == 0 { verify(slot.request, bytes, answer.byteCount) }
        if slot.request.operation == .modifyRead { return }
        let nanoseconds = now > slot.start ? now - slot.start : 0
        if run.nanoseconds == nanoseconds && run.operation == slot.request.operation {
            run.count += 1
        } else {
            settleRun()
            run = (slot.request.operation, nanoseconds, 1)
        }
    }

    private mutating func settleRun() {
        if run.count > 0 { tally.record(run.operation, nanoseconds: run.nanoseconds, count: run.count) }
        run.count = 0
    }

    private mutating func verify(_ request: LoadRequest, _ bytes: UnsafeRawPointer, _ count: Int) {
        tally.verified += 1
        guard !dialect.isRight(bytes, count, answering: request) else { return }
        tally.wrong += 1
        tally.note("wrong answer to \(request.operation.name) of \(BenchRecord.key(of: request.id))")
    }

    private mutating func settleProblem(_ slot: LoadSlot, _ answer: ScannedAnswer, _ bytes: UnsafeRawPointer) {
        switch answer.kind {
        case .miss:
            if toleratesMisses {
                tally.toleratedMisses += 1
            } else {
                tally.misses += 1
                tally.note("\(BenchRecord.key(of: slot.request.id)) is missing; is the key space loaded (--records)?")
            }
        case .refused:
            tally.refused += 1
            if tally.firstProblem == nil { tally.note(dialect.refusal(bytes, answer.byteCount)) }
        case .fine, .malformed: break
        }
    }

    private static func now() -> UInt64 { MonotonicClock.nanoseconds() }

    private static func threadCPU() -> UInt64 { MonotonicClock.nanoseconds(of: CLOCK_THREAD_CPUTIME_ID) }
}
