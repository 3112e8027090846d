// Turns closed memtables into one table of L0.
//
//     closed memtables ── wait: applied and on disk ──► table ── edit: table, flushedLSN, walLow ──► view ──► old segments go
//
// Invariants: a table never holds what the log could still lose, so everything in it is durable before it is written; a log
// segment is retired only after the edit that makes it superfluous is durable.

import Glibc
import Synchronization

extension Engine {
    /// Writes the closed memtables as one table; those beyond the flush ceiling only when `isForced` or when memory is short. False when
    /// there was none. One flush at a time.
    func flushClosedMemTables(isForced: Bool = false) throws(StorageError) -> Bool {
        try flushing.withLock { () throws(StorageError) -> Bool in
            let slots = flushableMemTables(isForced: isForced)
            guard let newest = slots.first else { return false }
            let flushedLSN = newest.lastLSN.load(ordering: .acquiring)
            try waitUntilFlushable(flushedLSN)
            try replace(slots, flushedLSN: flushedLSN, limit: .max)
            pipeline.releaseMemTables(slots.count)
            return true
        }
    }

    /// The oldest of the closed memtables, newest first.
    private func flushableMemTables(isForced: Bool) -> [MemTableSlot] {
        let closed = Array(views.load().view.memTables.dropFirst())
        let ceiling = flushCeiling.load(ordering: .acquiring)
        if isForced || ceiling == .max { return closed }
        // One more and writers wait.
        if pipeline.gate.withLock({ pipeline.state.pointee.memTableCount }) >= plan.memTableCountMax - 1 { return closed }
        return Array(closed.drop { $0.lastLSN.load(ordering: .acquiring) > ceiling })
    }

    /// Asks flushes to leave records above `lsn` in memory and in the log, where a truncation can still take them back, as long as
    /// memory allows. A leader's followers set it to the commit point; `.max`, the default, lifts it.
    package func setFlushCeiling(_ lsn: LSN) {
        if flushCeiling.exchange(lsn, ordering: .acquiringAndReleasing) < lsn { background.wakeFlush() }
    }

    /// Everything in `slots` up to `limit` becomes a table of L0, durably; in the view the memtables make way for `successors`.
    func replace(
        _ slots: [MemTableSlot], by successors: [MemTableSlot] = [], flushedLSN: LSN, limit: LSN
    ) throws(StorageError) {
        let boundaries = snapshots.boundaries { visibleLSN }
        let tables = try writeTables(of: slots, boundaries: boundaries, limit: limit)
        var edit = VersionEdit()
        edit.added = tables.map(\.file)
        edit.flushedLSN = flushedLSN
        edit.walLow = logLow(flushedLSN: flushedLSN)
        edit.durableMark = log.durableMark
        let flushed = Set(slots.map { ObjectIdentifier($0) })
        try publish(edit) { view in
            View(
                memTables: successors + view.memTables.filter { !flushed.contains(ObjectIdentifier($0)) },
                version: view.version.applying(added: tables.map { (level: 0, table: $0) }, removed: []),
                floor: max(view.floor, boundaries.visible))
        }
        counters.flushCount.add(1, ordering: .relaxed)
        counters.flushByteCount.add(tables.reduce(0) { $0 + $1.file.byteCount }, ordering: .relaxed)
        // The tables are in the view: what fails now must not keep their memtables from being released. `releaseLog` tries again and says so.
        try? retireSegments()
    }

    private func writeTables(
        of slots: [MemTableSlot], boundaries: RetentionBoundaries, limit: LSN
    ) throws(StorageError) -> [TableHandle] {
        let plan = MergePlan(
            outputLevel: 0, boundaries: boundaries,
            tombstones: slots.flatMap { $0.table.rangeTombstones.tombstones }.filter { $0.lsn <= limit }, below: nil,
            alignment: [], tableByteCount: .max / 64, lsnLimit: limit)
        let children = slots.map { $0.table.makeIterator() }
        let source = children.count == 1 ? children[0] : MergingIterator(children)
        let files = try MergeJob.run(source, store: tableStore, plan: plan) {}
        return files.map { TableHandle($0, store: tableStore) }
    }

    /// Everything up to `lsn` is in the memtables and on disk when this returns.
    private func waitUntilFlushable(_ lsn: LSN) throws(StorageError) {
        while pipeline.ring.applied < lsn { sched_yield() }
        if pipeline.positions.durable < lsn { try log.syncAll() }
    }
}
