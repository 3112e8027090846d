// Publishes `applied` in LSN order while batches finish their memtable inserts in any order.
//
//     slot[lsn mod capacity] = lsn when the batch is in the memtable;   applied = the longest run without a gap
//
// Whoever fills the gap at the head moves `applied` over everything that is ready behind it: no thread waits for another
// and none is woken. The stores and loads are sequentially consistent because two neighbours each write their own slot and
// then look at the other's: at least one of them must see both.
// Invariant: an LSN enters the ring only while `lsn - applied < capacity` (`hasRoom`), so a slot is never taken twice.

import Synchronization

/// The ring between "has an LSN" and "is applied".
final class AppliedRing: @unchecked Sendable {
    // Unchecked: the slots are atomics at a stable address; nothing else is mutable.
    static let capacity: UInt64 = 4096
    private let slots: UnsafeMutablePointer<Atomic<LSN>>
    private let head: Atomic<LSN>

    init(applied: LSN) {
        head = Atomic(applied)
        slots = .allocate(capacity: Int(Self.capacity))
        for index in 0..<Int(Self.capacity) { (slots + index).initialize(to: Atomic(0)) }
    }

    deinit {
        slots.deinitialize(count: Int(Self.capacity))
        slots.deallocate()
    }

    /// Every batch up to here is in the memtable.
    var applied: LSN { head.load(ordering: .acquiring) }

    /// `lsn` may be handed out now.
    func hasRoom(for lsn: LSN) -> Bool { lsn - applied < Self.capacity }

    /// Notes that the batch of `lsn` is in the memtable.
    func publish(_ lsn: LSN) {
        (slots + Int(lsn % Self.capacity)).pointee.store(lsn, ordering: .sequentiallyConsistent)
        var applied = head.load(ordering: .sequentiallyConsistent)
        while true {
            let next = applied + 1
            guard (slots + Int(next % Self.capacity)).pointee.load(ordering: .sequentiallyConsistent) == next else { return }
            let result = head.compareExchange(
                expected: applied, desired: next, ordering: .sequentiallyConsistent)
            applied = result.exchanged ? next : result.original
        }
    }

    /// Notes that every batch up to `lsn` is in the memtable; nobody else may be publishing.
    func publishRun(through lsn: LSN) { head.store(lsn, ordering: .sequentiallyConsistent) }

    /// Starts again behind `lsn`; nobody may be publishing.
    func restart(at lsn: LSN) {
        for index in 0..<Int(Self.capacity) { (slots + index).pointee.store(0, ordering: .relaxed) }
        head.store(lsn, ordering: .sequentiallyConsistent)
    }
}
