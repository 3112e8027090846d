// The storage engine as the rooms above use it: ordered bytes with one LSN per atomic batch.
//
//     commit ── log buffer ──► log role: write + fdatasync ──► durable
//        └───── memtable ────► applied ──► (full) flush ──► L0 ──► compaction ──► L1 ... L6
//
// Invariants: `durable <= written`, `visible = min(applied, acknowledged)`, all of them only grow; what a reader sees by
// default is never taken back by a crash. A failed log write or sync is never tried again: writes are refused with the
// reason, reads go on at the acknowledged prefix, and `resume()` starts a new segment.

/// Identifies an observer, for `removeDurabilityObserver`.
package struct ObserverToken: Sendable, Hashable {
    let id: UInt64
}

/// An open database directory.
package final class Engine: Sendable {
    /// Latches for conditional writes.
    package let latches = KeyLatches()

    private init() {}

    /// Opens the database in `directory`, creating it when it is empty. Throws `locked` when another process has it and
    /// `corruption` when the files contradict what is known to have been durable.
    package static func open(
        directory: String, fileSystem: any FileSystem, options: EngineOptions
    ) throws(StorageError) -> Engine {
        fatalError("not built yet")
    }

    /// Finishes the log with an END record and stops all work. Later calls do nothing.
    package func close() throws(StorageError) { fatalError("not built yet") }

    /// Every batch up to here is in the memtable.
    package var appliedLSN: LSN { fatalError("not built yet") }
    /// Every batch up to here was handed to the kernel.
    package var writtenLSN: LSN { fatalError("not built yet") }
    /// Every batch up to here is on disk.
    package var durableLSN: LSN { fatalError("not built yet") }
    /// Every batch up to here has met the durability it was committed with: answers up to here may leave.
    package var acknowledgedLSN: LSN { fatalError("not built yet") }
    /// What readers see by default: `min(applied, acknowledged)`.
    package var visibleLSN: LSN { fatalError("not built yet") }
    /// The leadership under which records are written.
    package var epoch: Epoch { fatalError("not built yet") }
    /// 0 (idle) ... 1 (writers are about to stand still).
    package var pressure: Double { fatalError("not built yet") }

    /// Applies `batch` in memory and in the log buffer, and returns its LSN. It is acknowledged when `acknowledgedLSN`
    /// reaches that LSN: call `flushLogInline()` after the last commit of a round, or the log thread writes it within
    /// a few milliseconds. An empty batch returns the current LSN.
    package func commit(_ batch: WriteBatch, durability: Durability) throws(StorageError) -> LSN {
        fatalError("not built yet")
    }

    /// When the log role is free, writes and syncs what is pending on this thread, without a hop, and returns true.
    /// Otherwise the holder of the role (or the log thread, which it wakes) takes what this thread committed.
    @discardableResult
    package func flushLogInline() -> Bool { fatalError("not built yet") }

    /// Wakes the log thread for what is pending; for threads that must not block in `fdatasync`.
    package func wakeLog() { fatalError("not built yet") }

    /// Blocks until `lsn` is acknowledged. For tools and tests.
    package func waitDurable(_ lsn: LSN) throws(StorageError) { fatalError("not built yet") }

    /// Calls `body` on the thread with the log role, once per group, after `acknowledgedLSN` moved (with that LSN), or
    /// with the error after the log failed. It must not block and must not call the engine's writes.
    package func addDurabilityObserver(_ body: @escaping @Sendable (LSN, StorageError?) -> Void) -> ObserverToken {
        fatalError("not built yet")
    }

    /// Ends the calls to an observer; one that is running may finish after this returns.
    package func removeDurabilityObserver(_ token: ObserverToken) { fatalError("not built yet") }

    /// A reader for the calling thread.
    package func makeReader() -> Reader { Reader(engine: self) }

    /// Pins what is visible now.
    package func makeSnapshot() -> Snapshot { fatalError("not built yet") }

    /// Makes `directory`, which must not exist or be empty, a database with everything visible now: hard links to the
    /// tables and a manifest.
    package func checkpoint(into directory: String) throws(StorageError) { fatalError("not built yet") }

    /// Reads and checks every byte of the database.
    package func verify(progress: (VerifyProgress) -> Void) throws(StorageError) { fatalError("not built yet") }

    /// Counters and gauges.
    package func metrics() -> EngineMetrics { fatalError("not built yet") }

    /// After a failed log write: starts a new segment behind the last durable record and accepts writes again. What was
    /// applied but never acknowledged is dropped.
    package func resume() throws(StorageError) { fatalError("not built yet") }
}

/// How far a verification is.
package struct VerifyProgress: Sendable {
    /// File that was checked last.
    package let file: String
    /// Bytes checked so far.
    package let checkedByteCount: UInt64
    /// Bytes to check in all.
    package let totalByteCount: UInt64
}
