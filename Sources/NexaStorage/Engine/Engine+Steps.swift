// Work on request: what the threads do by themselves, done by the caller. Simulations step an engine with manual background
// work; tools and checkpoints flush.

extension Engine {
    /// Writes one group of the log if something is pending. False when nothing was done.
    @discardableResult
    package func stepLog() -> Bool {
        guard log.hasWork else { return false }
        return log.runInline()
    }

    /// What the log thread does when nobody commits, as if `unsyncedMilliseconds` had passed: syncs what durability `os` left
    /// unsynced, then leaves a MARK.
    @discardableResult
    package func stepIdleLog() -> Bool { log.runIdle(now: .max, unsyncedLimit: 0) }

    /// Writes the closed memtables as a table. False when there was none.
    @discardableResult
    package func stepFlush() throws(StorageError) -> Bool { try flushClosedMemTables() }

    /// Does one compaction. False when none is due.
    @discardableResult
    package func stepCompaction() throws(StorageError) -> Bool { try compactOnce() }

    /// Writes everything committed so far as tables. Returns when it is durable there.
    package func flush() throws(StorageError) {
        try closeActiveMemTable()
        while try flushClosedMemTables(isForced: true) {}
        background.wakeCompaction()
    }

    /// Compacts until every level is in shape. For tools and tests.
    package func compactAll() throws(StorageError) {
        while try compactOnce() {}
    }

    /// The active memtable has range deletes: what they hide cannot leave the disk before it is flushed.
    var holdsRangeDeletes: Bool { pipeline.gate.withLock { pipeline.state.pointee.activeRangeDeletes > 0 } }

    /// Closes the active memtable unless it is empty.
    func closeActiveMemTable() throws(StorageError) {
        while true {
            let isDone = try pipeline.gate.withLock { () throws(StorageError) -> Bool in
                guard pipeline.state.pointee.active.firstLSN < pipeline.state.pointee.nextLSN else { return true }
                guard pipeline.state.pointee.memTableCount < plan.memTableCountMax else { return false }
                try pipeline.rotateMemTable(capacityAtLeast: 0)
                return true
            }
            if isDone { return }
            _ = try flushClosedMemTables(isForced: true)
        }
    }
}
