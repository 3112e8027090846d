import CSupport

/// The index of an open table, decoded once: which data block may hold a key, and where each block lies.
///
/// Immutable after `init`. `@unchecked Sendable`: nobody writes to its memory any more.
final class TableIndex: @unchecked Sendable {
    /// Data blocks.
    let count: Int
    let byteCount: Int
    private let block: UnsafeMutablePointer<nexa_block>
    private let raw: UnsafeMutablePointer<UInt8>
    private let prefixes: UnsafeMutablePointer<UInt64>
    /// Offsets of the blocks, and the end of the last one.
    private let offsets: UnsafeMutablePointer<UInt64>

    /// Nil: the bytes are not an index of blocks that lie behind each other from 0 to `dataEnd`.
    init?(raw bytes: UnsafeRawBufferPointer, blockCount: UInt64, dataEnd: UInt64) {
        var shape = nexa_block_shape()
        guard nexa_block_read_shape(bytes.bytePointer, bytes.count, &shape) == NEXA_OK, UInt64(shape.entry_count) == blockCount,
            shape.restart_count == shape.entry_count
        else { return nil }
        count = Int(blockCount)
        block = .allocate(capacity: 1)
        block.initialize(to: nexa_block())
        raw = .allocate(capacity: bytes.count)
        prefixes = .allocate(capacity: count)
        offsets = .allocate(capacity: count + 1)
        byteCount = bytes.count + (2 * count + 1) * 8
        UnsafeMutableRawPointer(raw).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        guard openRawBlock(raw, bytes.count, prefixes, count, block), readHandles(dataEnd) else { return nil }
    }

    deinit {
        block.deallocate()
        raw.deallocate()
        prefixes.deallocate()
        offsets.deallocate()
    }

    private func readHandles(_ dataEnd: UInt64) -> Bool {
        var entry = nexa_entry()
        var end: UInt64 = 0
        for ordinal in 0..<count {
            nexa_block_entry_at(block, UInt32(ordinal), &entry)
            guard let handle = BlockHandle(UnsafeRawBufferPointer(start: entry.value, count: Int(entry.value_len))),
                handle.offset == end, handle.lies(from: end, to: dataEnd)
            else { return false }
            offsets[ordinal] = end
            end = handle.end
        }
        offsets[count] = end
        return end == dataEnd
    }

    /// Ordinal of the only block that can hold the first entry at or behind (key, lsn) with that key; `count` when none can.
    @inline(__always)
    func ordinal(_ key: UnsafeRawBufferPointer, _ lsn: LSN) -> Int {
        Int(nexa_block_ordinal(block, key.bytePointer, key.count, lsn))
    }

    @inline(__always)
    func offset(_ ordinal: Int) -> UInt64 { offsets[ordinal] }

    func handle(_ ordinal: Int) -> BlockHandle {
        BlockHandle(offset: offsets[ordinal], byteCount: UInt32(offsets[ordinal + 1] - offsets[ordinal]))
    }

    /// The separator of a block: at or above its last entry, below the first one of the next block.
    func separator(_ ordinal: Int) -> (key: UnsafeRawBufferPointer, lsn: LSN) {
        var entry = nexa_entry()
        nexa_block_entry_at(block, UInt32(ordinal), &entry)
        return (UnsafeRawBufferPointer(start: entry.key, count: Int(entry.key_len)), entry.lsn)
    }
}

/// The filter of an open table. `@unchecked Sendable`: as the index.
final class TableFilter: @unchecked Sendable {
    let byteCount: Int
    private let memory: UnsafeMutableRawPointer
    /// Valid as long as the filter.
    let bloom: UnsafePointer<nexa_bloom>

    /// Nil: the bytes are not a filter.
    init?(raw bytes: UnsafeRawBufferPointer) {
        byteCount = bytes.count
        // The lines behind the header start on a cache line.
        let lead = 64 - Int(NEXA_BLOOM_HEADER_BYTE_COUNT)
        memory = .allocate(byteCount: lead + bytes.count, alignment: 64)
        let copy = memory + lead
        if let base = bytes.baseAddress { copy.copyMemory(from: base, byteCount: bytes.count) }
        let view = UnsafeMutablePointer<nexa_bloom>.allocate(capacity: 1)
        view.initialize(to: nexa_bloom())
        bloom = UnsafePointer(view)
        guard nexa_bloom_open(copy.assumingMemoryBound(to: UInt8.self), bytes.count, view) == NEXA_OK else { return nil }
    }

    deinit {
        bloom.deallocate()
        memory.deallocate()
    }

    @inline(__always)
    func mayContain(_ hash: UInt64) -> Bool { nexa_bloom_may_contain(bloom, hash) }
}
