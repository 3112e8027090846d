import Synchronization

/// One place of the block cache: 64 bytes, one cache line, all in one state word.
///
///     meta   bits 0-31 pins | 32-33 heat | 62-63 state (0 empty, 1 claimed, 2 filled)
///
/// Whoever moves the state to `claimed` owns the fields until it stores a new `meta`. A pin is one addition: it counts only if the
/// state that it met was `filled`; on any other it is garbage that the owner's store wipes out. A filled slot with a pin keeps its
/// fields. `distance` counts the entries whose search goes past this slot: a look-up ends where it is 0.
struct CacheSlot: ~Copyable {
    let meta = Atomic<UInt64>(0)
    /// Of the file, never 0 when filled. Atomic so that a search may look before it pins.
    let context = Atomic<UInt64>(0)
    let offset = Atomic<UInt64>(0)
    var loaded: UnsafeMutablePointer<LoadedBlock>?
    let distance = Atomic<Int>(0)
    /// Counted without a bus lock: some may get lost.
    let hits = Atomic<UInt64>(0)
    private let padding: (UInt64, UInt64) = (0, 0)

    static let pinMask: UInt64 = 0xFFFF_FFFF
    static let heatUnit: UInt64 = 1 << 32
    static let heatMask: UInt64 = 3 << 32
    static let claimed: UInt64 = 1 << 62
    static let filled: UInt64 = 2 << 62
    static let stateMask: UInt64 = 3 << 62

    /// Pins the slot if it holds that block; `promote` counts as a use.
    @inline(__always)
    borrowing func pin(context: UInt64, offset: UInt64, promote: Bool) -> Bool {
        guard self.offset.load(ordering: .relaxed) == offset, self.context.load(ordering: .relaxed) == context else {
            return false
        }
        let before = meta.add(1, ordering: .acquiring).oldValue
        guard before & CacheSlot.stateMask == CacheSlot.filled else { return false }
        guard self.offset.load(ordering: .relaxed) == offset, self.context.load(ordering: .relaxed) == context else {
            unpin()
            return false
        }
        if promote {
            // 00 -> 01 -> 11: two uses survive two rounds of the hand.
            let heat = before & CacheSlot.heatMask
            if heat != CacheSlot.heatMask {
                meta.bitwiseOr((heat << 1 | CacheSlot.heatUnit) & CacheSlot.heatMask, ordering: .relaxed)
            }
        }
        hits.store(hits.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        return true
    }

    @inline(__always)
    borrowing func unpin() { meta.subtract(1, ordering: .releasing) }

    /// Takes an empty slot.
    borrowing func claimEmpty() -> Bool {
        let seen = meta.load(ordering: .relaxed)
        guard seen & CacheSlot.stateMask == 0 else { return false }
        return meta.compareExchange(expected: seen, desired: CacheSlot.claimed, ordering: .acquiring).exchanged
    }

    /// The hand passes: cools a warm slot, takes a cold one that nobody pins.
    borrowing func claimCold() -> Bool {
        let seen = meta.load(ordering: .relaxed)
        guard seen & CacheSlot.stateMask == CacheSlot.filled, seen & CacheSlot.pinMask == 0 else { return false }
        let heat = seen & CacheSlot.heatMask
        if heat != 0 {
            let cooler = seen & ~CacheSlot.heatMask | heat >> 1 & CacheSlot.heatMask
            _ = meta.compareExchange(expected: seen, desired: cooler, ordering: .relaxed)
            return false
        }
        return meta.compareExchange(expected: seen, desired: CacheSlot.claimed, ordering: .acquiring).exchanged
    }
}
