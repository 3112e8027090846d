// The one writer of the log. Whoever holds the role takes everything that committers have reserved, writes it, syncs once if a
// record asks for it, moves the positions and tells the observers. An event loop takes the role itself (`runInline`), which
// spares two thread switches; the log thread takes what is left when nobody is there.
//
// Invariants: the writer and what stands beside it are touched by the holder only. A failed write or sync is final: the role
// is poisoned, nothing is written again, and no position moves, until `restart` gives it a writer on a new segment.

import Glibc
import Synchronization

/// Writes groups of records.
final class LogRole: Sendable {
    private let pipeline: CommitPipeline
    private let isHeld = Atomic<Bool>(false)
    private let isPoisoned = Atomic<Bool>(false)
    let observers = DurabilityObservers()

    /// Touched by the holder of the role only.
    nonisolated(unsafe) private var confined: Confined

    struct Confined {
        var writer: LogWriter
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
        confined = Confined(writer: writer)
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
        if let since = confined.unsyncedSince {
            guard now &- since >= unsyncedLimit else { return true }
            runGroup(synced: true)
            return true
        }
        if confined.needsMark {
            attempt { writer throws(StorageError) in try writer.writeMark(durable: pipeline.positions.durable) }
            confined.needsMark = false
        }
        return false
    }

    /// Syncs the rest and finishes the log with END. No commit may come after it.
    func close() throws(StorageError) {
        take()
        defer { release() }
        guard !isPoisoned.load(ordering: .acquiring) else { return }
        runGroup(synced: true)
        guard !isPoisoned.load(ordering: .acquiring) else { throw refusal }
        try confined.writer.close()
    }

    /// Runs `body` with the writer while nobody else can write.
    func withWriter<Result>(_ body: (inout LogWriter) throws(StorageError) -> Result) throws(StorageError) -> Result {
        take()
        defer { release() }
        return try body(&confined.writer)
    }

    /// After `withWriter` has replaced a failed writer.
    func clearPoison() {
        confined.taken.removeAll()
        confined.unsyncedSince = nil
        confined.needsMark = false
        isPoisoned.store(false, ordering: .releasing)
    }

    // MARK: - Taking the role

    private func tryTake() -> Bool {
        isHeld.compareExchange(expected: false, desired: true, ordering: .sequentiallyConsistent).exchanged
    }

    private func take() {
        while !tryTake() { sched_yield() }
    }

    /// Sequentially consistent with `tryTake`: a committer that found the role taken reserved before the holder's next look.
    private func release() { isHeld.store(false, ordering: .sequentiallyConsistent) }

    // MARK: - One group

    private var refusal: StorageError {
        pipeline.gate.withLock { pipeline.state.refusal } ?? .closed
    }

    private func runGroup(synced: Bool) {
        guard !isPoisoned.load(ordering: .acquiring) else { return }
        pipeline.gate.withLock { pipeline.state.buffers.take(into: &confined.taken) }
        guard !confined.taken.isEmpty || (synced && confined.unsyncedSince != nil) else { return }
        let start = monotonicNanoseconds()
        let succeeded = attempt { writer throws(StorageError) in try writeTaken(&writer, synced: synced, now: start) }
        nanoseconds.add(monotonicNanoseconds() &- start, ordering: .relaxed)
        if succeeded {
            pipeline.gate.withLock {
                for buffer in confined.taken { pipeline.state.buffers.recycle(buffer) }
                if pipeline.state.waiterCount > 0 { pipeline.gate.broadcast() }
            }
            observers.notify(pipeline.positions.acknowledged, nil)
        }
        confined.taken.removeAll(keepingCapacity: true)
    }

    private func writeTaken(_ writer: inout LogWriter, synced: Bool, now: UInt64) throws(StorageError) {
        let positions = pipeline.positions
        var last = positions.written
        var needsSync = synced
        for buffer in confined.taken where !buffer.isEmpty {
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
            confined.unsyncedSince = nil
            confined.needsMark = true
        } else if confined.unsyncedSince == nil {
            confined.unsyncedSince = now
        }
        positions.noteAcknowledged(last)
    }

    /// Runs `body`; a failure poisons the log.
    @discardableResult
    private func attempt(_ body: (inout LogWriter) throws(StorageError) -> Void) -> Bool {
        do {
            try body(&confined.writer)
            return true
        } catch {
            isPoisoned.store(true, ordering: .releasing)
            let refusal = StorageError.writesRefused(reason: "the log failed: \(error)")
            pipeline.gate.withLock {
                pipeline.state.refusal = refusal
                pipeline.gate.broadcast()
            }
            observers.notify(pipeline.positions.acknowledged, refusal)
            return false
        }
    }
}
