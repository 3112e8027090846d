/// What a batch has done so far to each of its keys: later items see earlier ones, as if each had been committed.
///
/// Open addressing by the hash of the engine's key. A state names the place of the key's value in the batch's bytes, which
/// move when the batch grows; offsets do not. Reused from batch to batch by one worker.
struct BatchStates {
    /// The newest value of a key within the batch.
    struct State {
        let hash: UInt64
        let keyOffset: Int
        let keyByteCount: Int
        /// Offset of the value in the batch; nil: deleted.
        var valueOffset: Int?
        var valueByteCount = 0
    }

    private var states: ContiguousArray<State> = []
    /// Index into `states` + 1; 0 is empty.
    private var slots: ContiguousArray<Int32> = []

    /// Prepares for at most `count` distinct keys.
    mutating func begin(count: Int) {
        var capacity = 16
        while capacity < count * 2 { capacity *= 2 }
        states.removeAll(keepingCapacity: states.capacity <= 4096)
        slots.removeAll(keepingCapacity: slots.capacity <= 4 * 4096)
        slots.append(contentsOf: repeatElement(0, count: capacity))
    }

    /// The state of an item's key, if an earlier item wrote it.
    @inline(__always)
    func find(_ item: BatchItem, in plan: borrowing BatchPlan) -> State? {
        let slot = slot(of: item, in: plan)
        return slots[slot] == 0 ? nil : states[Int(slots[slot]) - 1]
    }

    /// Notes that an item wrote `valueByteCount` bytes at `valueOffset`, or deleted its key.
    mutating func set(_ item: BatchItem, valueOffset: Int?, valueByteCount: Int, in plan: borrowing BatchPlan) {
        let slot = slot(of: item, in: plan)
        if slots[slot] == 0 {
            states.append(
                State(
                    hash: item.hash, keyOffset: item.keyOffset, keyByteCount: item.keyByteCount, valueOffset: valueOffset,
                    valueByteCount: valueByteCount))
            slots[slot] = Int32(states.count)
        } else {
            let index = Int(slots[slot]) - 1
            states[index].valueOffset = valueOffset
            states[index].valueByteCount = valueByteCount
        }
    }

    private func slot(of item: BatchItem, in plan: borrowing BatchPlan) -> Int {
        var slot = Int(truncatingIfNeeded: item.hash >> 10) & (slots.count - 1)
        while slots[slot] != 0 {
            let state = states[Int(slots[slot]) - 1]
            if state.hash == item.hash
                && areEqual(plan.keys.bytes(at: state.keyOffset, count: state.keyByteCount), plan.engineKey(item))
            {
                return slot
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return slot
    }
}
