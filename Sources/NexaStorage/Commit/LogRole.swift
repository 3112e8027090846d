// The one writer of the log. Whoever holds the role takes everything that committers have reserved, writes it, syncs once if a
// record asks for it, moves the positions and tells the observers. An event loop takes the role itself (`runInline`), which
// spares two thread switches; the log thread takes what is left when nobody is there.
//
// Invariants: the writer and what stands beside it are touched by the holder only. A failed write or sync is final: the role
// is poisoned, nothing is written again, and no position moves, until `restart` gives it a writer on a new segment.

import Synchronization

/// Writes groups of records.
final class LogRole: Sendable {
    private let pipeline: CommitPipeline
    private let isHeld = Atomic<Bool>(false)
    private let isPoisoned = Atomic<Bool>(false)
    let observers = LogObservers<StorageError?>()

    /// Touched by the holder of the role only. Behind a pointer, so that no access is checked at run time once more.
    nonisolated(unsafe) private let confined: UnsafeMutablePointer<Confined>
    /// Where threads that wait for a group sleep.
    private let groupBell = NexaCondition()
    private let waiterCount = Atomic<Int>(0)

    struct Confined {
        var writer: LogWriter
        /// Where the last acknowledged record ends: behind it writing goes on after a failure.
        var acknowledgedEnd: LogEnd
        /// Where the last record known to be on disk ends.
        var durableEnd: LogEnd
        var taken: [LogBuffer] = []
        /// When the oldest record that was written and not synced was written; nil when everything is synced.
        var unsyncedSince: UInt64?
        /// A sync has happened since the last MARK.
        var needsMark = false
    }

    /// Counters, written by the holder.
    let groupCount = Atomic<UInt64>(0)
    let syncCount = Atomic<UInt64>(0)
    let byteCount = Atomic<UInt64>(0)
    let nanoseconds = Atomic<UInt64>(0)

    init(pipeline: CommitPipeline, writer: LogWriter) {
        self.pipeline = pipeline
        confined = .allocate(capacity: 1)
        confined.initialize(to: Confined(writer: writer, acknowledgedEnd: writer.end, durableEnd: writer.end))
    }

    deinit {
        confined.deinitialize(count: 1)
        confined.deallocate()
    }

    /// Something is reserved that was not written, and the log takes it.
    var hasWork: Bool { !isPoisoned.load(ordering: .acquiring) && pipeline.positions.hasPending }

    /// Writes one group on this thread if the role is free. False when somebody else has it: the holder looks again after
    /// it let go.
    func runInline() -> Bool {
        guard tryTake() else { return false }
        runGroup(synced: false)
        release()
        return true
    }

    /// Writes everything pending and syncs it, whatever durability it was committed with. Waits for the role.
    func syncAll() throws(StorageError) {
        take()
        runGroup(synced: true)
        let failed = isPoisoned.load(ordering: .acquiring)
        release()
        if failed { throw refusal }
    }

    /// What is due at this time when nobody commits: the sync of records of durability `os`, then the MARK that proves what
    /// was durable. False when nothing will be due until the next commit.
    func runIdle(now: UInt64, unsyncedLimit: UInt64) -> Bool {
        guard tryTake() else { return true }
        defer { release() }
        guard !isPoisoned.load(ordering: .acquiring) else { return false }
        if confined.pointee.unsyncedSince != nil {
            runDueSync(now: now, unsyncedLimit: unsyncedLimit)
            return true
        }
        if confined.pointee.needsMark {
            attempt { writer throws(StorageError) in try writer.writeMark(durable: pipeline.positions.durable) }
            confined.pointee.needsMark = false
        }
        return false
    }

    /// The sync of records of durability `os`, if it is due while others commit.
    func syncIfDue(now: UInt64, unsyncedLimit: UInt64) {
        guard tryTake() else { return }
        defer { release() }
        if !isPoisoned.load(ordering: .acquiring) { runDueSync(now: now, unsyncedLimit: unsyncedLimit) }
    }

    /// The role is held.
    private func runDueSync(now: UInt64, unsyncedLimit: UInt64) {
        if let since = confined.pointee.unsyncedSince, now &- since >= unsyncedLimit { runGroup(synced: true) }
    }

    /// Syncs the rest and finishes the log with END. No commit may come after it.
    func close() throws(StorageError) {
        take()
        defer { release() }
        guard !isPoisoned.load(ordering: .acquiring) else { return confined.pointee.writer.segments.preparer.stop() }
        runGroup(synced: true)
        guard !isPoisoned.load(ordering: .acquiring) else { throw refusal }
        try confined.pointee.writer.close()
    }

    /// What the manifest may testify about the log.
    var durableMark: DurableMark {
        take()
        defer { release() }
        return confined.pointee.durableEnd.durableMark
    }

    /// After a failure: leaves the failed segment behind and begins a new one behind the last acknowledged record. Tables must
    /// hold everything up to there. Returns the id of the segment; writes are still refused.
    func restart() throws(StorageError) -> UInt64 {
        take()
        defer { release() }
        precondition(isPoisoned.load(ordering: .acquiring), "the log has not failed")
        let writer = try LogWriter.restart(after: confined.pointee.writer, at: confined.pointee.acknowledgedEnd)
        confined.pointee = Confined(writer: writer, acknowledgedEnd: writer.end, durableEnd: writer.end)
        isPoisoned.store(false, ordering: .releasing)
        return writer.end.segmentID
    }

    // MARK: - Taking the role

    private func tryTake() -> Bool {
        isHeld.compareExchange(expected: false, desired: true, ordering: .sequentiallyConsistent).exchanged
    }

    /// For the few callers that must have it; the holder may be in a sync.
    private func take() {
        while !tryTake() { waitForRole() }
    }

    /// Sequentially consistent with `tryTake`: a committer that found the role taken reserved before the holder's next look.
    private func release() {
        isHeld.store(false, ordering: .sequentiallyConsistent)
        if waiterCount.load(ordering: .sequentiallyConsistent) > 0 { groupBell.withLock { groupBell.broadcast() } }
    }

    /// Sleeps while somebody else has the role, a millisecond at most.
    func waitForRole() {
        waiterCount.add(1, ordering: .sequentiallyConsistent)
        groupBell.withLock {
            if isHeld.load(ordering: .sequentiallyConsistent) { _ = groupBell.wait(nanoseconds: 1_000_000) }
        }
        waiterCount.subtract(1, ordering: .sequentiallyConsistent)
    }

    // MARK: - One group

    private var refusal: StorageError {
        pipeline.gate.withLock { pipeline.state.pointee.refusal } ?? .closed
    }

    private func runGroup(synced: Bool) {
        guard !isPoisoned.load(ordering: .acquiring) else { return }
        pipeline.gate.withLock { pipeline.state.pointee.buffers.take(into: &confined.pointee.taken) }
        guard !confined.pointee.taken.isEmpty || (synced && confined.pointee.unsyncedSince != nil) else { return }
        let start = monotonicNanoseconds()
        let succeeded = attempt { writer throws(StorageError) in try writeTaken(writer, synced: synced, now: start) }
        nanoseconds.add(monotonicNanoseconds() &- start, ordering: .relaxed)
        if succeeded {
            pipeline.gate.withLock {
                for buffer in confined.pointee.taken { pipeline.state.pointee.buffers.recycle(buffer) }
                if pipeline.state.pointee.waiterCount > 0 { pipeline.gate.broadcast() }
            }
            observers.notify(pipeline.positions.acknowledged, nil)
        }
        confined.pointee.taken.removeAll(keepingCapacity: true)
    }

    private func writeTaken(_ writer: LogWriter, synced: Bool, now: UInt64) throws(StorageError) {
        let positions = pipeline.positions
        var last = positions.written
        var needsSync = synced
        for buffer in confined.pointee.taken where !buffer.isEmpty {
            buffer.waitUntilFilled()
            try writer.append(buffer.records, durable: positions.durable)
            byteCount.add(UInt64(buffer.records.count), ordering: .relaxed)
            last = buffer.lastLSN
            needsSync = needsSync || buffer.needsSync
        }
        groupCount.add(1, ordering: .relaxed)
        positions.noteWritten(last)
        if needsSync {
            try writer.sync()
            syncCount.add(1, ordering: .relaxed)
            positions.noteDurable(last)
            confined.pointee.durableEnd = writer.end
            confined.pointee.unsyncedSince = nil
            confined.pointee.needsMark = true
        } else if confined.pointee.unsyncedSince == nil {
            confined.pointee.unsyncedSince = now
        }
        positions.noteAcknowledged(last)
        confined.pointee.acknowledgedEnd = writer.end
    }

    /// Runs `body`; a failure poisons the log.
    @discardableResult
    private func attempt(_ body: (LogWriter) throws(StorageError) -> Void) -> Bool {
        do {
            try body(confined.pointee.writer)
            return true
        } catch {
            isPoisoned.store(true, ordering: .releasing)
            let refusal = StorageError.writesRefused(reason: "the log failed: \(error)")
            pipeline.gate.withLock {
                pipeline.state.pointee.refusal = refusal
                pipeline.gate.broadcast()
            }
            observers.notify(pipeline.positions.acknowledged, refusal)
            return false
        }
    }
}
