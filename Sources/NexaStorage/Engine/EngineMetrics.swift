// Figures of an engine at one moment: what `/metrics`, STATUS and `nexadb status` print. Counters only grow; gauges say so.

/// A copy of the engine's counters and gauges.
package struct EngineMetrics: Sendable {
    /// Where the engine's positions stand.
    package var appliedLSN: LSN = 0
    /// Last record written to the kernel.
    package var writtenLSN: LSN = 0
    /// Last record on disk.
    package var durableLSN: LSN = 0
    /// Last record that a reader sees by default.
    package var visibleLSN: LSN = 0
    /// Leadership under which records are written.
    package var epoch: Epoch = 0
    /// Pressure on writers, 0...1 (gauge).
    package var pressure = 0.0
    /// Why writes are refused; nil while they are not.
    package var refusal: String?

    /// Batches committed.
    package var batchCount: UInt64 = 0
    /// Operations in them.
    package var operationCount: UInt64 = 0
    /// Payload bytes of them.
    package var batchByteCount: UInt64 = 0
    /// Groups written to the log.
    package var logGroupCount: UInt64 = 0
    /// `fdatasync` calls on the log.
    package var logSyncCount: UInt64 = 0
    /// Bytes handed to the log.
    package var logByteCount: UInt64 = 0
    /// Nanoseconds in log writes and syncs.
    package var logNanoseconds: UInt64 = 0
    /// Log segments that hold records not yet in tables (gauge).
    package var liveSegmentCount = 0

    /// Bytes in all memtables (gauge).
    package var memTableByteCount = 0
    /// Memtables that wait for their flush (gauge).
    package var immutableMemTableCount = 0
    /// Flushes done.
    package var flushCount: UInt64 = 0
    /// Table bytes that flushes wrote.
    package var flushByteCount: UInt64 = 0
    /// Compactions done, without trivial moves.
    package var compactionCount: UInt64 = 0
    /// Tables moved down without a rewrite.
    package var trivialMoveCount: UInt64 = 0
    /// Table bytes that compactions read.
    package var compactionReadByteCount: UInt64 = 0
    /// Table bytes that compactions wrote.
    package var compactionWrittenByteCount: UInt64 = 0
    /// Last failure of a flush or compaction, which is tried again.
    package var backgroundFailure: String?

    /// Tables in each level (gauge).
    package var levelTableCounts: [Int] = []
    /// Bytes in each level (gauge).
    package var levelByteCounts: [UInt64] = []
    /// Overlapping L0 tables that a read may have to visit (gauge).
    package var levelZeroDepth = 0
    /// Bytes that compactions still have to rewrite, estimated (gauge).
    package var compactionDebtByteCount: UInt64 = 0
    /// Entries in all tables, versions and tombstones included (gauge).
    package var tableEntryCount: UInt64 = 0

    /// Blocks found in the cache.
    package var cacheHitCount: UInt64 = 0
    /// Blocks read from disk.
    package var cacheMissCount: UInt64 = 0
    /// Bytes in the cache (gauge).
    package var cacheByteCount = 0
    /// Bytes that open tables hold beside their blocks: indexes, filters, range tombstones (gauge).
    package var openTableByteCount = 0
    /// Snapshots held (gauge).
    package var snapshotCount = 0

    /// Nanoseconds that writers were delayed because of pressure.
    package var delayNanoseconds: UInt64 = 0
    /// Nanoseconds that writers stood still for want of a memtable or of log buffer.
    package var stallNanoseconds: UInt64 = 0

    package init() {}
}
