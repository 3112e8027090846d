// What a reader looks at: the memtables and the tables of one moment, immutable once published.
//
// Invariant: memtables are newest first, and every LSN in one is above every LSN in those behind it and in the tables that
// its flush did not produce. So a look-up walks memtables, then L0 newest first, then the levels, and the first version
// that it finds at or below its LSN is the newest one.

import Synchronization

/// A memtable with the LSNs that it holds.
final class MemTableSlot: Sendable {
    let table: MemTable
    /// First LSN that may be in it.
    let firstLSN: LSN
    /// Last LSN in it, known once it is closed for writers.
    let lastLSN = Atomic<LSN>(0)
    /// Arena bytes promised to batches that are not applied yet, at their most.
    private let promised = Atomic<Int>(0)

    init(table: MemTable, firstLSN: LSN) {
        self.table = table
        self.firstLSN = firstLSN
    }

    /// A batch that takes this much at most has room. What an insert really takes is far less than its most, so promises
    /// are exchanged for real bytes as batches are applied.
    func hasRoom(for byteCount: Int) -> Bool {
        // Promises first: a batch that is applied meanwhile counts twice rather than not at all.
        let promised = promised.load(ordering: .acquiring)
        return promised + table.byteCount + byteCount <= table.capacity
    }

    func promise(_ byteCount: Int) { promised.add(byteCount, ordering: .relaxed) }
    func settle(_ byteCount: Int) { promised.subtract(byteCount, ordering: .releasing) }
}

/// One published state. Readers keep it, and with it everything that it shows, alive.
final class View: Sendable {
    /// The active memtable, then the immutable ones, newest first.
    let memTables: [MemTableSlot]
    let version: Version
    /// The tables answer exactly for this LSN and later ones, and for pinned ones. For an unpinned LSN below, a flush or
    /// a compaction may have dropped what it showed: such a read is moved up to here.
    let floor: LSN

    init(memTables: [MemTableSlot], version: Version, floor: LSN) {
        self.memTables = memTables
        self.version = version
        self.floor = floor
    }
}

/// Where views are published. Readers compare `generation` (one acquire load) and take the lock only after a change.
final class ViewStore: Sendable {
    private let lock = NexaLock()
    nonisolated(unsafe) private var current: View
    /// Grows with each published view.
    let generation = Atomic<UInt64>(1)

    init(_ view: View) { current = view }

    /// The current view and the generation that it has at least.
    func load() -> (view: View, generation: UInt64) {
        lock.withLock { (current, generation.load(ordering: .relaxed)) }
    }

    /// Replaces the view by what `change` makes of it. The old one is released outside the lock.
    func update(_ change: (View) -> View) {
        let old = lock.withLock { () -> View in
            let old = current
            current = change(old)
            generation.add(1, ordering: .releasing)
            return old
        }
        withExtendedLifetime(old) {}
    }
}
