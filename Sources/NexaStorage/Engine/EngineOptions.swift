// What a person can choose about an engine. One memory number is split here, and nowhere else, into memtables, block
// cache and log buffers; everything else has a default that follows from it or from the format.

/// When a write counts as acknowledged.
package enum Durability: UInt8, Sendable {
    /// After its log record is on disk (`fdatasync`): survives a power cut.
    case disk
    /// After `write(2)`: survives the death of the process, not of the machine.
    case os
}

/// Who runs the log writer, the flushes and the compactions.
package enum BackgroundWork: Sendable {
    /// Threads of the engine (the product).
    case threads
    /// The caller, by `Engine.stepLog`, `stepFlush` and `stepCompaction`: deterministic, for simulations.
    case manual
}

/// Settings of one engine. Every bound of the engine is one of these.
package struct EngineOptions: Sendable {
    /// Everything the engine may hold in memory: memtables, cached blocks, indexes and filters of open tables, log buffers.
    package var memoryByteCount: Int
    /// Capacity of one memtable; 0 takes a sixteenth of the memory, between 256 KiB and 64 MiB.
    package var memTableByteCount = 0
    /// Bytes of decoded blocks kept in memory; nil takes what memtables and log buffers leave.
    package var cacheByteCount: Int?
    /// Bytes of one of the two log buffers; 0 takes a sixty-fourth of the memory, between 256 KiB and 8 MiB.
    package var logBufferByteCount = 0
    /// Target of the raw bytes of one table block.
    package var blockByteCount = 16 << 10
    /// Blocks of tables are LZ4-compressed where that saves enough.
    package var compressesBlocks = true
    /// Payloads of log records of 512 bytes and more are LZ4-compressed where that saves enough.
    package var compressesLog = true
    /// Bits of Bloom filter a key.
    package var filterBitsPerKey = 10
    /// Bytes of one log segment, preallocated.
    package var segmentByteCount = 64 << 20
    /// Bytes of a manifest, preallocated, at least.
    package var manifestByteCount = 1 << 20
    /// Bytes of one table that a compaction writes.
    package var tableByteCount = 32 << 20
    /// Size that the first level under L0 has before the next one opens.
    package var baseLevelByteCount = 64 << 20
    /// Factor between the sizes of two levels.
    package var levelSizeRatio = 10
    /// Depth of overlapping L0 tables from which they are compacted.
    package var levelZeroCompactionDepth = 4
    /// Depth of overlapping L0 tables at which the pressure is 1.
    package var levelZeroPressureDepth = 20
    /// Bytes of one atomic batch, at most.
    package var batchByteCountMax = 64 << 20
    /// What `commit` assumes when a caller has no opinion.
    package var defaultDurability = Durability.disk
    /// How long records of durability `os` may stay unsynced while nothing else syncs them.
    package var unsyncedMilliseconds = 100
    /// How long a writer waits for room before it is refused with `overloaded`.
    package var writeStallMilliseconds = 10_000
    /// Told how far the replay of a long log is, every `recoveryProgressMilliseconds`.
    package var recoveryProgress: (@Sendable (RecoveryProgress) -> Void)?
    /// Time between two reports of `recoveryProgress`.
    package var recoveryProgressMilliseconds = 2_000
    /// Segments that are kept below the lowest one that recovery or a retention floor needs.
    package var retainedSegmentCount = 0
    /// Floors under the log from the start, by name: see `Engine.setRetention`.
    package var retention: [String: LSN] = [:]
    /// Opens as a follower: commits are refused until `beginEpoch`.
    package var follows = false
    /// Identity of a store that is created; nil takes a random one. A follower that starts empty takes its leader's.
    package var storeUUID: StoreUUID?
    /// Who does the work behind the writers.
    package var backgroundWork = BackgroundWork.threads

    /// Options for an engine that may use `memoryByteCount` bytes of memory.
    package init(memoryByteCount: Int = 256 << 20) {
        self.memoryByteCount = memoryByteCount
    }
}

/// The memory number, split.
package struct MemoryPlan: Sendable, Equatable {
    /// Capacity of one memtable.
    package let memTableByteCount: Int
    /// Memtables that may exist at once: the active one and those that wait for their flush.
    package let memTableCountMax: Int
    /// Capacity of one of the two log buffers.
    package let logBufferByteCount: Int
    /// Capacity of the block cache, to which indexes and filters of open tables are charged.
    package let cacheByteCount: Int

    /// Memtables get at most three eighths, log buffers a thirty-second, the cache the rest.
    package init(_ options: EngineOptions) {
        let total = max(options.memoryByteCount, 4 << 20)
        let table =
            options.memTableByteCount > 0 ? options.memTableByteCount : min(max(total / 16, 256 << 10), 64 << 20)
        let count = min(max(total * 3 / 8 / table, 3), 8)
        let log = options.logBufferByteCount > 0 ? options.logBufferByteCount : min(max(total / 64, 256 << 10), 8 << 20)
        memTableByteCount = table
        memTableCountMax = count
        logBufferByteCount = log
        cacheByteCount = options.cacheByteCount ?? max(total - table * count - 2 * log, total / 8)
    }
}
