import CSupport

/// A decoded, checked block in memory of its own:
///
///     LoadedBlock | raw bytes: keys, values, restarts | prefixes: u64 * restarts
///
/// A search touches both ends first: the common start of the keys stands next to the header, the prefixes next to the restarts.
/// Made by whoever read it, then owned by a cache slot or by the one pin that got it beside the cache.
struct LoadedBlock {
    /// The view that searches take; it points into the same allocation.
    var block: nexa_block
    /// Bytes of the whole allocation: what the cache is charged.
    var byteCount: Int

    private static var headerByteCount: Int { (MemoryLayout<LoadedBlock>.size + 63) & ~63 }

    /// Decodes and checks a stored block as it was read from `offset` of the file with that context. Nil: damaged.
    static func decode(
        _ stored: UnsafeRawBufferPointer, type: BlockType, context: UInt64, offset: UInt64
    ) -> UnsafeMutablePointer<LoadedBlock>? {
        var trailer = nexa_trailer()
        let bytes = stored.bytePointer
        guard nexa_block_check_stored(bytes, stored.count, type.rawValue, context, offset, &trailer) == NEXA_OK else {
            return nil
        }
        let rawByteCount = Int(trailer.raw_len)
        // Room for the prefixes of a block of the usual shape; one with more restarts is searched without.
        let prefixCapacity = rawByteCount / 512 + 4
        let prefixesOffset = (headerByteCount + rawByteCount + 7) & ~7
        let byteCount = prefixesOffset + prefixCapacity * 8
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 16)
        let loaded = memory.bindMemory(to: LoadedBlock.self, capacity: 1)
        let raw = (memory + headerByteCount).assumingMemoryBound(to: UInt8.self)
        let prefixes = (memory + prefixesOffset).assumingMemoryBound(to: UInt64.self)
        loaded.initialize(to: LoadedBlock(block: nexa_block(), byteCount: byteCount))
        guard nexa_block_expand(bytes, stored.count, &trailer, raw) == NEXA_OK,
            openRawBlock(raw, rawByteCount, prefixes, prefixCapacity, &loaded.pointee.block)
        else {
            memory.deallocate()
            return nil
        }
        return loaded
    }

    static func free(_ loaded: UnsafeMutablePointer<LoadedBlock>) {
        UnsafeMutableRawPointer(loaded).deallocate()
    }
}

/// `nexa_block_open` with the scratch memory that it needs. False: damaged.
func openRawBlock(
    _ raw: UnsafePointer<UInt8>, _ rawByteCount: Int, _ prefixes: UnsafeMutablePointer<UInt64>?, _ prefixCapacity: Int,
    _ block: UnsafeMutablePointer<nexa_block>
) -> Bool {
    var shape = nexa_block_shape()
    guard nexa_block_read_shape(raw, rawByteCount, &shape) == NEXA_OK else { return false }
    let scratchByteCount = Int(shape.key_len_max) + Int(NEXA_KEY_BUFFER_SLACK)
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: scratchByteCount) { scratch in
        nexa_block_open(raw, rawByteCount, scratch.baseAddress, scratch.count, prefixes, prefixCapacity, block) == NEXA_OK
    }
}
