import CSupport

/// Keeps one block in memory for as long as it holds it. Reuse one pin for many look-ups: the same block again costs nothing.
///
/// Must be released, or dropped, before the cache goes.
package struct BlockPin: ~Copyable {
    private var slot: UnsafeMutablePointer<CacheSlot>?
    private var loaded: UnsafeMutablePointer<LoadedBlock>?
    private var context: UInt64 = 0
    private var offset: UInt64 = 0

    /// Holds nothing.
    package init() {}

    deinit { BlockPin.letGo(slot, loaded) }

    /// Lets go of the block now: pointers into it are invalid afterwards.
    package mutating func release() {
        BlockPin.letGo(slot, loaded)
        slot = nil
        loaded = nil
    }

    private static func letGo(_ slot: UnsafeMutablePointer<CacheSlot>?, _ loaded: UnsafeMutablePointer<LoadedBlock>?) {
        if let slot {
            slot.pointee.unpin()
        } else if let loaded {
            LoadedBlock.free(loaded)
        }
    }

    /// The block, if it is the one at `offset` of the file with that context.
    @inline(__always)
    func block(context: UInt64, offset: UInt64) -> UnsafePointer<nexa_block>? {
        guard let loaded, self.offset == offset, self.context == context else { return nil }
        return BlockPin.view(loaded)
    }

    /// Takes over a pinned slot, or (slot nil) a block that only this pin owns.
    mutating func hold(
        _ loaded: UnsafeMutablePointer<LoadedBlock>, in slot: UnsafeMutablePointer<CacheSlot>?, context: UInt64, offset: UInt64
    ) -> UnsafePointer<nexa_block> {
        release()
        self.slot = slot
        self.loaded = loaded
        self.context = context
        self.offset = offset
        return BlockPin.view(loaded)
    }

    @inline(__always)
    private static func view(_ loaded: UnsafeMutablePointer<LoadedBlock>) -> UnsafePointer<nexa_block> {
        // The block is the first member.
        UnsafeRawPointer(loaded).assumingMemoryBound(to: nexa_block.self)
    }
}
