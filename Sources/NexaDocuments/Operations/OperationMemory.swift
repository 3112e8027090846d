import NexaStorage
import Synchronization

/// How long writes with an `op_id` are remembered, and in how much space.
package struct OperationOptions: Sendable {
    /// A write is remembered for at least this long, and at most for about twice that.
    package var windowMicroseconds: Int64 = 600_000_000
    /// Bytes of all that is remembered; when they are used up, the oldest half is forgotten before its time.
    package var byteCountMax = 1 << 30

    package init() {}
}

/// What the store remembers of writes that came with an `op_id`, in two halves: the newest *period* and the one before it.
///
/// An entry is part of the write's own record and lies in the engine like any other: it survives a crash exactly if the write does,
/// reaches followers with it, and is looked up there after a promotion. Nothing is kept in memory but the period.
///
/// Forgetting is a write as well: when the newest period is as old as the window, or holds half of the bytes, a *turn* begins the
/// next one and removes all but its predecessor with one range delete. Only the leader turns; followers apply its record.
///
/// Invariants:
/// - Of two copies of a request only one executes: whoever looks for an operation, or writes it, holds its latch from the look to the
///   commit. Operation latches come before key latches and the catalog's lock.
/// - A turn holds all operation latches, so an entry never goes into a period that is not the newest one.
package final class OperationMemory: Sendable {
    let latches = KeyLatches()
    private let engine: Engine
    private let clock: WallClock
    private let options: OperationOptions
    /// 0: nothing was ever remembered here.
    private let newestPeriod: Atomic<UInt32>
    private let began: Atomic<Int64>
    /// Written by this process in the newest period: after a start or a promotion it counts from 0.
    private let byteCount = Atomic<Int>(0)
    private let repeats = Atomic<UInt64>(0)
    private let turns = Atomic<UInt64>(0)

    init(engine: Engine, clock: WallClock, options: OperationOptions) throws(StorageError) {
        self.engine = engine
        self.clock = clock
        self.options = options
        let reader = engine.makeReader()
        let prefix = OperationRecord.prefix
        let value = try prefix.span.withUnsafeBytes { key throws(StorageError) in
            try reader.get(key, at: .max)
        }
        let stored = value.flatMap { OperationRecord.period($0.bytes) }
        newestPeriod = Atomic(stored?.period ?? 0)
        began = Atomic(stored?.began ?? 0)
    }

    /// The newest period. Under an operation latch it does not change.
    var period: UInt32 { newestPeriod.load(ordering: .acquiring) }

    /// Appends the entry of a write to its batch. Under the operation's latch.
    func remember(
        _ note: OperationNote, outcome: UnsafeRawBufferPointer, at microseconds: Int64, _ durability: Durability,
        in batch: WriteBatch
    ) {
        let valueByteCount = OperationRecord.headerByteCount + outcome.count
        withUnsafeTemporaryAllocation(byteCount: OperationRecord.keyByteCount, alignment: 8) { key in
            OperationRecord.writeKey(note.id, period: period, to: key.baseAddress!)
            batch.put(key: UnsafeRawBufferPointer(key), valueByteCount: valueByteCount) { value in
                note.writeHeader(to: value.baseAddress!, microseconds: microseconds, durability: durability)
                UnsafeMutableRawBufferPointer(rebasing: value[OperationRecord.headerByteCount...]).copyMemory(from: outcome)
            }
        }
        byteCount.add(OperationRecord.keyByteCount + valueByteCount, ordering: .relaxed)
    }

    func noteRepeat() { repeats.add(1, ordering: .relaxed) }

    // MARK: Figures of this process

    /// Requests that were answered from memory.
    package var repeatCount: UInt64 { repeats.load(ordering: .relaxed) }
    /// Periods begun as a leader.
    package var turnCount: UInt64 { turns.load(ordering: .relaxed) }
    /// Bytes that it has added to the newest period.
    package var newestByteCount: Int { byteCount.load(ordering: .relaxed) }

    // MARK: Turning

    /// The newest period has lasted long enough. A clock that jumped counts as time, in either direction.
    var isDue: Bool {
        period == 0 || (clock.microseconds() &- began.load(ordering: .relaxed)).magnitude >= options.windowMicroseconds
            || byteCount.load(ordering: .relaxed) >= options.byteCountMax / 2
    }

    /// Begins the next period if that is due. Waits for the disk: were the record lost after entries had been written behind it, they
    /// would not be found.
    func turn() throws(StorageError) {
        try latches.withLatches(Array(0..<KeyLatches.stripeCount)) { () throws(StorageError) in
            guard isDue else { return }
            let (ending, now) = (period, clock.microseconds())
            let batch = WriteBatch(reserve: 64)
            OperationRecord.prefix.withUnsafeBytes { key in
                OperationRecord.periodValue(ending + 1, began: now).withUnsafeBytes { batch.put(key: key, value: $0) }
            }
            if ending > 1 {
                OperationRecord.start(ofPeriod: 0).withUnsafeBytes { start in
                    OperationRecord.start(ofPeriod: ending).withUnsafeBytes { batch.deleteRange(start: start, end: $0) }
                }
            }
            _ = try engine.commit(batch, changesCatalog: true, durability: .disk)
            try engine.syncLog()
            set(ending + 1, began: now)
            turns.add(1, ordering: .relaxed)
        }
    }

    /// Takes in what a catalog record of the leader says of the period. Called in LSN order.
    func follow(_ payload: UnsafeRawBufferPointer) {
        var cursor = BatchCursor(payload)
        while let operation = try? cursor.next() {
            guard operation.kind == .put, operation.key.elementsEqual(OperationRecord.prefix),
                let (period, began) = OperationRecord.period(operation.value)
            else { continue }
            set(period, began: began)
        }
    }

    private func set(_ period: UInt32, began time: Int64) {
        began.store(time, ordering: .relaxed)
        byteCount.store(0, ordering: .relaxed)
        newestPeriod.store(period, ordering: .releasing)
    }
}
