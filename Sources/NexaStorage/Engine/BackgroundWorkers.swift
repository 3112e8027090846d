// The threads behind the writers: log, flush, compaction. Each sleeps until it is asked, runs until there is nothing left, and
// after a failure waits before it tries again. With manual background work there are none and the caller steps.
//
// The log thread is asleep while nothing is written. The first commit wakes it; from then on it looks every few milliseconds
// whether somebody forgot to flush, syncs what durability `os` left unsynced, writes the MARK of an idle log, and goes back
// to sleep. So event loops that flush inline never pay for a wake-up.

import Glibc
import Synchronization

/// Threads and their wake-ups.
final class BackgroundWorkers: Sendable {
    /// How often an awake log thread looks, and how long it stays awake without a commit.
    static let tickNanoseconds: UInt64 = 5_000_000
    static let idleTicks = 10
    /// How long a log without commits lets range deletes wait in a memtable that is not full: what they hide stays on disk so long.
    static let rangeDeleteNanoseconds: UInt64 = 2_000_000_000

    let isManual: Bool
    private let logBell = NexaCondition()
    private let flushBell = Bell()
    private let compactionBell = Bell()
    private let isLogAsleep = Atomic<Bool>(true)
    private let isStopping = Atomic<Bool>(false)
    /// The flush thread is to take the active memtable, too.
    private let takesActive = Atomic<Bool>(false)
    nonisolated(unsafe) private var logIsCalled = false
    /// Written by `start`, taken by `stop`.
    private let threadsLock = NexaLock()
    nonisolated(unsafe) private var threads: [NexaThread] = []
    private let flushFailure = LastFailure()
    private let compactionFailure = LastFailure()

    init(manual: Bool) { isManual = manual }

    /// Work must end soon.
    var mustStop: Bool { isStopping.load(ordering: .relaxed) }

    /// Why the last flush failed; nil after one that succeeded. While it is set no memtable becomes free.
    var lastFlushFailure: StorageError? { flushFailure.value }

    /// Why the last flush, or else the last compaction, failed.
    var lastFailure: StorageError? { flushFailure.value ?? compactionFailure.value }

    /// Starts the threads for an engine; they end with `stop`.
    func start(_ engine: Engine) {
        guard !isManual else { return }
        threadsLock.withLock {
            threads = [
                NexaThread(name: "nexa-log") { self.runLog(engine) },
                NexaThread(name: "nexa-flush") { self.runFlush(engine) },
                NexaThread(name: "nexa-compact") { self.runCompaction(engine) },
            ]
        }
    }

    /// Ends the threads after what they are at.
    func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        logBell.withLock { logBell.broadcast() }
        flushBell.ring()
        compactionBell.ring()
        let joined = threadsLock.withLock { () -> [NexaThread] in
            defer { threads = [] }
            return threads
        }
        for thread in joined { thread.join() }
    }

    // MARK: - Calls

    /// After each commit: a relaxed load while the log thread is awake.
    @inline(__always)
    func noteCommit() {
        if isLogAsleep.load(ordering: .sequentiallyConsistent) { wakeSleepingLog() }
    }

    private func wakeSleepingLog() {
        guard !isManual else { return }
        logBell.withLock {
            if isLogAsleep.exchange(false, ordering: .sequentiallyConsistent) { logBell.signal() }
        }
    }

    /// Has the log thread look now.
    func wakeLog() {
        guard !isManual else { return }
        logBell.withLock {
            logIsCalled = true
            isLogAsleep.store(false, ordering: .sequentiallyConsistent)
            logBell.signal()
        }
    }

    /// A memtable was closed.
    func wakeFlush() { flushBell.ring() }

    /// The set of tables changed, or the last reader of one that is to go has ended. What a snapshot holds back waits for the next change.
    func wakeCompaction() { compactionBell.ring() }

    // MARK: - Threads

    private func runLog(_ engine: Engine) {
        let unsyncedLimit = UInt64(engine.options.unsyncedMilliseconds) * 1_000_000
        var quietTicks = 0
        while true {
            let holdsRangeDeletes = quietTicks > Self.idleTicks && engine.holdsRangeDeletes
            var isLongQuiet = false
            let wasCalled = logBell.withLock { () -> Bool in
                if quietTicks > Self.idleTicks {
                    isLogAsleep.store(true, ordering: .sequentiallyConsistent)
                    // A commit that came before this store did not wake us: look once more.
                    if engine.log.hasWork { isLogAsleep.store(false, ordering: .sequentiallyConsistent) }
                    while isLogAsleep.load(ordering: .relaxed) && !logIsCalled && !mustStop && !isLongQuiet {
                        if holdsRangeDeletes {
                            isLongQuiet = !logBell.wait(nanoseconds: Self.rangeDeleteNanoseconds)
                        } else {
                            logBell.wait()
                        }
                    }
                    isLogAsleep.store(false, ordering: .sequentiallyConsistent)
                    quietTicks = 0
                } else if !logIsCalled && !mustStop {
                    _ = logBell.wait(nanoseconds: Self.tickNanoseconds)
                }
                defer { logIsCalled = false }
                return logIsCalled
            }
            if mustStop { return }
            if isLongQuiet {
                takesActive.store(true, ordering: .relaxed)
                wakeFlush()
            }
            if engine.log.hasWork {
                quietTicks = 0
                while engine.log.hasWork && engine.log.runInline() {
                    engine.log.syncIfDue(now: monotonicNanoseconds(), unsyncedLimit: unsyncedLimit)
                }
            } else if !wasCalled {
                let isBusy = engine.log.runIdle(now: monotonicNanoseconds(), unsyncedLimit: unsyncedLimit)
                quietTicks = isBusy ? 0 : quietTicks + 1
            }
        }
    }

    private func runFlush(_ engine: Engine) {
        run(flushBell, flushFailure) { () throws(StorageError) in
            if self.takesActive.exchange(false, ordering: .relaxed) { try engine.closeActiveMemTable() }
            let didFlush = try engine.flushClosedMemTables()
            if didFlush { self.wakeCompaction() }
            try engine.releaseLog()
            return didFlush
        }
    }

    private func runCompaction(_ engine: Engine) {
        // On few cores a merge must not take turns with the event loops as their equal. Of the calling thread only.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
        run(compactionBell, compactionFailure) { () throws(StorageError) in try engine.compactOnce() }
    }

    /// Sleeps until called, then works until `work` says that nothing is left.
    private func run(_ bell: Bell, _ failure: LastFailure, _ work: () throws(StorageError) -> Bool) {
        var hasFailed = false
        while true {
            // After a failure it tries again by itself: the disk may have room by then.
            bell.wait(nanosecondsMax: hasFailed ? 1_000_000_000 : nil, unless: { mustStop })
            if mustStop { return }
            do throws(StorageError) {
                while !mustStop, try work() {}
                hasFailed = false
                failure.value = nil
            } catch {
                hasFailed = true
                if !mustStop { failure.value = error }
            }
        }
    }
}

/// Why a thread's last piece of work failed.
private final class LastFailure: Sendable {
    private let lock = NexaLock()
    nonisolated(unsafe) private var failure: StorageError?

    var value: StorageError? {
        get { lock.withLock { failure } }
        set { lock.withLock { failure = newValue } }
    }
}

/// What one thread sleeps on: a call that comes while it works is not lost.
private final class Bell: Sendable {
    private let condition = NexaCondition()
    /// Guarded by `condition`.
    nonisolated(unsafe) private var isCalled = false

    func ring() {
        condition.withLock {
            isCalled = true
            condition.signal()
        }
    }

    /// Returns when it rang, `isDone` says so, or the time is over.
    func wait(nanosecondsMax: UInt64?, unless isDone: () -> Bool) {
        condition.withLock {
            while !isCalled && !isDone() {
                guard let nanosecondsMax else {
                    condition.wait()
                    continue
                }
                if !condition.wait(nanoseconds: nanosecondsMax) { break }
            }
            isCalled = false
        }
    }
}
