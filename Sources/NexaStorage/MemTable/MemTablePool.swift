import CSupport

/// The arena of a memtable that was flushed, kept for the next one: a fresh arena costs the system two thirds of a megabyte of zeroed pages
/// for each thousand small documents, in the middle of their commits.
///
/// Invariant: it holds at most `spareCountMax` arenas, all of one capacity, empty and in nobody's use.
package final class MemTablePool: Sendable {
    /// One is enough: a memtable is given back about as often as one is taken.
    package static let spareCountMax = 1

    private let capacity: Int
    private let lock = NexaLock()
    nonisolated(unsafe) private var spares: [OpaquePointer] = []

    /// A pool for memtables of `capacity` bytes; others pass it by.
    package init(capacity: Int) { self.capacity = capacity }

    deinit { for list in spares { nexa_skiplist_destroy(list) } }

    /// Arenas that wait.
    package var spareCount: Int { lock.withLock { spares.count } }

    func take(capacity: Int) -> OpaquePointer? {
        guard capacity == self.capacity else { return nil }
        return lock.withLock { spares.popLast() }
    }

    /// Takes over the arena of a memtable that nobody uses any more. Empties it on this thread: about 0.1 ms a mebibyte of hash table.
    func give(_ list: OpaquePointer) {
        let isWanted = nexa_skiplist_capacity(list) == capacity & ~63 && lock.withLock { spares.count < Self.spareCountMax }
        guard isWanted else { return nexa_skiplist_destroy(list) }
        nexa_skiplist_reset(list)
        let isKept = lock.withLock {
            guard spares.count < Self.spareCountMax else { return false }
            spares.append(list)
            return true
        }
        if !isKept { nexa_skiplist_destroy(list) }
    }
}
