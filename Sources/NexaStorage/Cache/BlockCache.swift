import CSupport
import Synchronization

/// Decoded, checked blocks in memory, found by (file context, offset).
///
/// - The byte capacity is hard: bytes are reserved before a block goes in, and where everything else is pinned the block is handed out
///   beside the cache, owned by its pin alone.
/// - Open tables are charged to it (`charge`): what their indexes and filters take, blocks give up, down to an eighth of the capacity.
///   So the memory number holds while that metadata takes less than seven eighths of the cache; beyond, only the metadata grows.
/// - A hit takes no lock: one addition to the slot's state word pins, one subtraction lets go.
/// - Eviction is a CLOCK with two bits of heat. A block comes in cold, so what is read once leaves at the next pass of the hand, and
///   what was used twice survives two more.
/// - A missing block is read by one thread; the others wait for it.
///
/// Open addressing in a table of fixed size; the slots are described in `CacheSlot`. `@unchecked Sendable`: the slots are raw memory
/// under the protocol of their state word.
package final class BlockCache: @unchecked Sendable {
    package let capacity: Int
    private let slots: UnsafeMutablePointer<CacheSlot>
    private let mask: Int
    private let entryCountMax: Int
    private let used = Atomic<Int>(0)
    private let charged = Atomic<Int>(0)
    private let entryCount = Atomic<Int>(0)
    private let hand = Atomic<Int>(0)
    private let misses = Atomic<UInt64>(0)
    private let evictions = Atomic<UInt64>(0)
    private let uncached = Atomic<UInt64>(0)
    private let flights: [BlockFlights]

    /// - Parameters:
    ///   - capacity: bytes of blocks, their headers included.
    ///   - blockByteCount: typical size of a block; decides how many slots there are, 64 bytes each.
    package init(capacity: Int, blockByteCount: Int = 16 << 10) {
        self.capacity = max(capacity, 0)
        let wanted = max(self.capacity / max(blockByteCount / 2, 1024), 64)
        let count = 1 << (Int.bitWidth - (wanted - 1).leadingZeroBitCount)
        mask = count - 1
        entryCountMax = count / 4 * 3
        let memory = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<CacheSlot>.stride, alignment: 64)
        slots = memory.bindMemory(to: CacheSlot.self, capacity: count)
        for index in 0..<count { (slots + index).initialize(to: CacheSlot()) }
        flights = (0..<16).map { _ in BlockFlights() }
    }

    deinit {
        for index in 0...mask {
            let slot = slots + index
            let meta = slot.pointee.meta.load(ordering: .acquiring)
            precondition(
                meta & CacheSlot.stateMask != CacheSlot.filled || meta & CacheSlot.pinMask == 0, "a block pin outlived its cache")
            if let loaded = slot.pointee.loaded { LoadedBlock.free(loaded) }
            slot.deinitialize(count: 1)
        }
        UnsafeMutableRawPointer(slots).deallocate()
    }

    // MARK: looking up

    /// The block, if it is in memory; pins it. No lock, no allocation.
    @inline(__always)
    func find(context: UInt64, offset: UInt64, promote: Bool, pin: inout BlockPin) -> UnsafePointer<nexa_block>? {
        if let block = pin.block(context: context, offset: offset) { return block }
        let hash = BlockCache.hash(context, offset)
        let step = BlockCache.step(hash)
        var index = Int(truncatingIfNeeded: hash) & mask
        for _ in 0...mask {
            let slot = slots + index
            if slot.pointee.pin(context: context, offset: offset, promote: promote) {
                return pin.hold(slot.pointee.loaded!, in: slot, context: context, offset: offset)
            }
            if slot.pointee.distance.load(ordering: .acquiring) == 0 { return nil }
            index = (index &+ step) & mask
        }
        return nil
    }

    /// The block, read by `load` if it is not in memory: once, however many threads ask.
    @inline(never)
    func findOrLoad<E>(
        context: UInt64, offset: UInt64, promote: Bool, pin: inout BlockPin,
        load: () throws(E) -> UnsafeMutablePointer<LoadedBlock>
    ) throws(E) -> UnsafePointer<nexa_block> {
        let flight = flights[Int(truncatingIfNeeded: BlockCache.hash(context, offset) >> 48) % flights.count]
        flight.condition.lock()
        while true {
            if let block = find(context: context, offset: offset, promote: promote, pin: &pin) {
                flight.condition.unlock()
                return block
            }
            if flight.start(context, offset) { break }
            flight.condition.wait()
        }
        flight.condition.unlock()
        defer {
            flight.condition.lock()
            flight.land(context, offset)
            flight.condition.unlock()
            flight.condition.broadcast()
        }
        misses.add(1, ordering: .relaxed)
        let loaded = try load()
        return pin.hold(loaded, in: insert(loaded, context: context, offset: offset), context: context, offset: offset)
    }

    private static func hash(_ context: UInt64, _ offset: UInt64) -> UInt64 {
        var word = (context ^ offset &* 0x9E37_79B9_7F4A_7C15) &* 0xBF58_476D_1CE4_E5B9
        word ^= word >> 32
        return word
    }

    /// Odd, so that it reaches every slot.
    private static func step(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 40) | 1 }

    // MARK: filling and evicting

    /// Puts a block in, pinned once, and answers its slot; nil where there is no room that is not pinned.
    private func insert(_ loaded: UnsafeMutablePointer<LoadedBlock>, context: UInt64, offset: UInt64) -> UnsafeMutablePointer<
        CacheSlot
    >? {
        guard reserve(loaded.pointee.byteCount) else {
            uncached.add(1, ordering: .relaxed)
            return nil
        }
        let hash = BlockCache.hash(context, offset)
        let step = BlockCache.step(hash)
        var index = Int(truncatingIfNeeded: hash) & mask
        // Reserved entries leave at least a quarter of the slots empty, so this ends.
        while true {
            let slot = slots + index
            if slot.pointee.claimEmpty() {
                slot.pointee.loaded = loaded
                slot.pointee.offset.store(offset, ordering: .relaxed)
                slot.pointee.context.store(context, ordering: .relaxed)
                slot.pointee.meta.store(CacheSlot.filled | 1, ordering: .releasing)
                return slot
            }
            slot.pointee.distance.add(1, ordering: .acquiringAndReleasing)
            index = (index &+ step) & mask
        }
    }

    /// What blocks may take beside the open tables.
    package var blockCapacity: Int { max(capacity - charged.load(ordering: .relaxed), capacity / 8) }

    /// Bytes that open tables hold beside their blocks.
    package var chargedByteCount: Int { charged.load(ordering: .relaxed) }

    /// Counts memory that lives beside the blocks, and evicts what has no room any more.
    package func charge(_ byteCount: Int) {
        charged.add(byteCount, ordering: .relaxed)
        var patience = 3 * (mask + 1)
        while used.load(ordering: .relaxed) > blockCapacity, evictOne(&patience) {}
    }

    /// Gives back what was charged.
    package func discharge(_ byteCount: Int) { charged.subtract(byteCount, ordering: .relaxed) }

    /// Takes bytes and one entry from the capacity, evicting until they fit. False: all that is left is pinned or in use.
    private func reserve(_ byteCount: Int) -> Bool {
        let capacity = blockCapacity
        guard byteCount <= capacity else { return false }
        // Heat needs two passes to cool, the third finds everything cold that is not pinned.
        var patience = 3 * (mask + 1)
        while true {
            let bytes = used.load(ordering: .relaxed)
            let entries = entryCount.load(ordering: .relaxed)
            if bytes + byteCount <= capacity, entries < entryCountMax {
                guard used.compareExchange(expected: bytes, desired: bytes + byteCount, ordering: .relaxed).exchanged else {
                    continue
                }
                if entryCount.add(1, ordering: .relaxed).newValue <= entryCountMax { return true }
                release(byteCount)
                continue
            }
            guard evictOne(&patience) else { return false }
        }
    }

    private func release(_ byteCount: Int) {
        entryCount.subtract(1, ordering: .relaxed)
        used.subtract(byteCount, ordering: .relaxed)
    }

    private func evictOne(_ patience: inout Int) -> Bool {
        while patience > 0 {
            patience -= 1
            let index = hand.add(1, ordering: .relaxed).oldValue & mask
            let slot = slots + index
            guard slot.pointee.claimCold() else { continue }
            empty(slot, at: index)
            evictions.add(1, ordering: .relaxed)
            return true
        }
        return false
    }

    /// Frees the block of a claimed slot.
    private func empty(_ slot: UnsafeMutablePointer<CacheSlot>, at index: Int) {
        let loaded = slot.pointee.loaded!
        let hash = BlockCache.hash(slot.pointee.context.load(ordering: .relaxed), slot.pointee.offset.load(ordering: .relaxed))
        slot.pointee.loaded = nil
        slot.pointee.context.store(0, ordering: .relaxed)
        slot.pointee.offset.store(0, ordering: .relaxed)
        slot.pointee.meta.store(0, ordering: .releasing)
        let step = BlockCache.step(hash)
        var passed = Int(truncatingIfNeeded: hash) & mask
        while passed != index {
            (slots + passed).pointee.distance.subtract(1, ordering: .releasing)
            passed = (passed &+ step) & mask
        }
        release(loaded.pointee.byteCount)
        LoadedBlock.free(loaded)
    }

    // MARK: what is in it

    package struct Statistics: Sendable, Equatable {
        package var hits: UInt64 = 0
        package var misses: UInt64 = 0
        package var evictions: UInt64 = 0
        package var byteCount = 0
        package var entryCount = 0
        /// Blocks that were handed out beside the cache because everything in it was pinned.
        package var uncached: UInt64 = 0
    }

    /// Bytes of cached blocks; never more than `capacity`, and what is charged goes off that.
    package var byteCount: Int { used.load(ordering: .relaxed) }

    /// Counts since the start. Walks the slots: for metrics, not for hot paths.
    package var statistics: Statistics {
        var result = Statistics()
        for index in 0...mask { result.hits &+= (slots + index).pointee.hits.load(ordering: .relaxed) }
        result.misses = misses.load(ordering: .relaxed)
        result.evictions = evictions.load(ordering: .relaxed)
        result.byteCount = byteCount
        result.entryCount = entryCount.load(ordering: .relaxed)
        result.uncached = uncached.load(ordering: .relaxed)
        return result
    }
}

/// The blocks that are being read at this moment; threads that want one of them wait on the condition. One of several, by hash.
///
/// `@unchecked Sendable`: the list is only touched with the condition's lock held.
final class BlockFlights: @unchecked Sendable {
    let condition = NexaCondition()
    private var keys: [(context: UInt64, offset: UInt64)] = []

    /// True: the caller reads the block and calls `land`. False: somebody else does.
    func start(_ context: UInt64, _ offset: UInt64) -> Bool {
        if keys.contains(where: { $0.context == context && $0.offset == offset }) { return false }
        keys.append((context, offset))
        return true
    }

    func land(_ context: UInt64, _ offset: UInt64) {
        keys.removeAll { $0.context == context && $0.offset == offset }
    }
}
