// The storage engine as the rooms above use it: ordered bytes with one LSN per atomic batch.
//
//     commit ── log buffer ──► log role: write + fdatasync ──► durable
//        └───── memtable ────► applied ──► (full) flush ──► L0 ──► compaction ──► L1 ... L6
//
// Invariants: `durable <= written`, `visible = min(applied, acknowledged)`, all of them only grow; what a reader sees by
// default is never taken back by a crash. A failed log write or sync is never tried again: writes are refused with the
// reason, reads go on at the acknowledged prefix, and `resume()` starts a new segment.

import Glibc
import Synchronization

/// An open database directory.
package final class Engine: Sendable {
    /// Latches for conditional writes.
    package let latches = KeyLatches()
    /// What the engine was opened with.
    package let options: EngineOptions
    /// Where the files are.
    package let layout: StoreLayout
    /// One line about what recovery found.
    package let recoverySummary: String
    /// The rollback file that keeps what only the store had whose place a full copy took when this one was opened; nil: nothing.
    package let keptTail: String?
    /// Identity of the store, the same on all its replicas.
    package let storeUUID: StoreUUID

    let fileSystem: any FileSystem
    let plan: MemoryPlan
    let lock: any FileLock
    let views: ViewStore
    /// What an idle reader holds.
    let emptyView = View(memTables: [], version: .empty, floor: 0)
    let snapshots: SnapshotList
    let tableStore: TableStore
    let segments: LogSegments
    let pipeline: CommitPipeline
    let log: LogRole
    let counters = EngineCounters()
    let pressureGauge = PressureGauge()
    /// Bit pattern of what the tables contribute to the pressure.
    let versionPressure = Atomic<UInt64>(0)
    let background: BackgroundWorkers
    /// One flush, one compaction, one edit at a time; taken in this order.
    let flushing = NexaLock()
    let compacting = NexaLock()
    let editing = NexaLock()
    /// Guarded by `editing`.
    let manifest: ManifestWriter
    let epochs: EpochHistory
    /// Held while replicated records are appended, and while the engine changes between leading and following.
    let appending = NexaLock()
    let catalogObservers = LogObservers<UnsafeRawBufferPointer>()
    let retentionFloors: RetentionFloors
    let flushCeiling = Atomic<LSN>(.max)
    /// Guarded by `appending`.
    let replicatedInput = ReplicatedInput()
    private let isClosed = Atomic<Bool>(false)

    init(_ parts: Parts, keptTail: String?) {
        options = parts.options
        layout = parts.layout
        recoverySummary = parts.recoverySummary
        self.keptTail = keptTail
        storeUUID = parts.storeUUID
        fileSystem = parts.fileSystem
        plan = parts.plan
        lock = parts.lock
        views = parts.views
        snapshots = SnapshotList(from: parts.views.load().view.floor)
        tableStore = parts.tableStore
        segments = parts.segments
        pipeline = parts.pipeline
        log = parts.log
        manifest = parts.manifest
        epochs = parts.epochs
        retentionFloors = RetentionFloors(parts.options.retention)
        background = BackgroundWorkers(manual: parts.options.backgroundWork == .manual)
    }

    /// What `open` puts together.
    struct Parts {
        var options: EngineOptions
        var layout: StoreLayout
        var recoverySummary: String
        var storeUUID: StoreUUID
        var fileSystem: any FileSystem
        var plan: MemoryPlan
        var lock: any FileLock
        var views: ViewStore
        var tableStore: TableStore
        var segments: LogSegments
        var pipeline: CommitPipeline
        var log: LogRole
        var manifest: ManifestWriter
        var epochs: EpochHistory
    }

    /// Finishes the log with an END record and stops all work. Later calls do nothing; commits throw `closed`.
    package func close() throws(StorageError) {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        defer { lock.release() }
        background.stop()
        pipeline.gate.withLock {
            if pipeline.state.pointee.refusal == nil { pipeline.state.pointee.refusal = .closed }
            pipeline.gate.broadcast()
        }
        while pipeline.ring.applied < pipeline.positions.reserved { sched_yield() }
        try log.close()
        // The log's last sector cannot testify for itself.
        var edit = VersionEdit()
        edit.durableMark = log.durableMark
        try publish(edit) { $0 }
        tableStore.removeDiscarded()
    }

    // MARK: - Positions

    /// Every batch up to here is in the memtable.
    package var appliedLSN: LSN { pipeline.ring.applied }
    /// Every batch up to here was handed to the kernel.
    package var writtenLSN: LSN { pipeline.positions.written }
    /// Every batch up to here is on disk.
    package var durableLSN: LSN { pipeline.positions.durable }
    /// Every batch up to here has met the durability it was committed with: answers up to here may leave.
    package var acknowledgedLSN: LSN { pipeline.positions.acknowledged }
    /// What readers see by default: `min(applied, acknowledged)`.
    package var visibleLSN: LSN { min(pipeline.ring.applied, pipeline.positions.acknowledged) }
    /// The leadership under which records are written.
    package var epoch: Epoch { pipeline.epoch }
    /// 0 (idle) ... 1 (writers are about to stand still).
    package var pressure: Double { pressureGauge.value }

    // MARK: - Writes

    /// Applies `batch` in memory and in the log buffer, and returns its LSN. It is acknowledged when `acknowledgedLSN`
    /// reaches that LSN: call `flushLogInline()` after the last commit of a round, or the log thread writes it within
    /// a few milliseconds. An empty batch returns the LSN of the newest one. With `mayBlock` false nothing is applied and
    /// `wouldBlock` is thrown where the batch would have to wait for memory.
    ///
    /// A batch that `changesCatalog` is told to the catalog observers of every follower.
    package func commit(
        _ batch: WriteBatch, changesCatalog: Bool = false, durability: Durability, mayBlock: Bool = true
    ) throws(StorageError) -> LSN {
        guard batch.count > 0 else { return pipeline.positions.reserved }
        let lsn = try pipeline.commit(
            batch, type: changesCatalog ? .ddl : .batch, durability: durability, mayBlock: mayBlock)
        background.noteCommit()
        if mayBlock && pressureGauge.delays { delayWriter(byteCount: batch.byteCount) }
        return lsn
    }

    /// When the log role is free, writes and syncs what is pending on this thread, without a hop, and returns true.
    /// Otherwise the holder of the role hands what this thread committed to the log thread when it is done. With `handsOver` false
    /// the caller promises to call once more, without it, before it does anything else for long.
    @discardableResult
    package func flushLogInline(handsOver: Bool = true) -> Bool {
        guard log.hasWork else { return true }
        guard log.runInline() else { return false }
        if handsOver && log.hasWork { background.wakeLog() }
        return true
    }

    /// Blocks until everything committed so far is on disk, whatever durability it was committed with.
    package func syncLog() throws(StorageError) { try log.syncAll() }

    /// Wakes the log thread for what is pending; for threads that must not block in `fdatasync`.
    package func wakeLog() { background.wakeLog() }

    /// Blocks until `lsn` is acknowledged. For tests and tools.
    package func waitDurable(_ lsn: LSN) throws(StorageError) {
        while acknowledgedLSN < lsn {
            guard flushLogInline() else {
                log.waitForRole()
                continue
            }
            if acknowledgedLSN < lsn, let refusal = pipeline.gate.withLock({ pipeline.state.pointee.refusal }) { throw refusal }
        }
    }

    /// Calls `body` on the thread with the log role, once per group, after `acknowledgedLSN` moved (with that LSN), or
    /// with the error after the log failed. It must not block and must not call the engine's writes.
    package func addDurabilityObserver(_ body: @escaping @Sendable (LSN, StorageError?) -> Void) -> ObserverToken {
        log.observers.add(body)
    }

    /// Ends the calls to an observer; one that is running may finish after this returns.
    package func removeDurabilityObserver(_ token: ObserverToken) { log.observers.remove(token) }

    // MARK: - Reads

    /// A reader for the calling thread.
    package func makeReader() -> Reader { Reader(engine: self) }

    /// Pins what is visible now, or, where `lsn` is above that, what was applied up to there.
    package func makeSnapshot(atLeast lsn: LSN = 0) -> Snapshot {
        Snapshot(lsn: snapshots.pin(atLeast: lsn) { visibleLSN }, list: snapshots)
    }

    /// A reader of the log behind its writer, from `lsn` on: the source of replication. Reads durable records only.
    package func tail(from lsn: LSN) -> LogTail { LogTail(segments: segments, from: lsn) }

    /// The LSN at which a view with this floor answers a read at `lsn`, which lies below: `lsn` itself while a snapshot pins
    /// it; else the floor, which was visible when the caller asked.
    func readable(_ lsn: LSN, floor: LSN) -> LSN { snapshots.isPinned(lsn) ? lsn : floor }
}
