// Collects the figures. Takes the gate for a moment; everything else is a relaxed load.

import Synchronization

extension Engine {
    /// Counters and gauges.
    package func metrics() -> EngineMetrics {
        var metrics = EngineMetrics()
        let view = views.load().view
        pipeline.gate.withLock {
            let state = pipeline.state.pointee
            metrics.batchCount = state.batchCount
            metrics.operationCount = state.operationCount
            metrics.batchByteCount = state.batchByteCount
            metrics.stallNanoseconds = state.stallNanoseconds
            metrics.refusal = state.refusal.map { "\($0)" }
        }
        metrics.appliedLSN = appliedLSN
        metrics.writtenLSN = writtenLSN
        metrics.durableLSN = durableLSN
        metrics.visibleLSN = visibleLSN
        metrics.epoch = epoch
        metrics.pressure = pressure
        metrics.logGroupCount = log.groupCount.load(ordering: .relaxed)
        metrics.logSyncCount = log.syncCount.load(ordering: .relaxed)
        metrics.logByteCount = log.byteCount.load(ordering: .relaxed)
        metrics.logNanoseconds = log.nanoseconds.load(ordering: .relaxed)
        metrics.liveSegmentCount = segments.all.count
        metrics.memTableByteCount = view.memTables.reduce(0) { $0 + $1.table.byteCount }
        metrics.immutableMemTableCount = view.memTables.count - 1
        metrics.flushCount = counters.flushCount.load(ordering: .relaxed)
        metrics.flushByteCount = counters.flushByteCount.load(ordering: .relaxed)
        metrics.compactionCount = counters.compactionCount.load(ordering: .relaxed)
        metrics.trivialMoveCount = counters.trivialMoveCount.load(ordering: .relaxed)
        metrics.compactionReadByteCount = counters.compactionReadByteCount.load(ordering: .relaxed)
        metrics.compactionWrittenByteCount = counters.compactionWrittenByteCount.load(ordering: .relaxed)
        metrics.backgroundFailure = background.lastFailure.map { "\($0)" }
        addTables(of: view.version, to: &metrics)
        let cache = tableStore.cache.statistics
        metrics.cacheHitCount = cache.hits
        metrics.cacheMissCount = cache.misses
        metrics.cacheByteCount = cache.byteCount
        metrics.openTableByteCount = tableStore.cache.chargedByteCount
        metrics.snapshotCount = snapshots.count
        metrics.delayNanoseconds = counters.delayNanoseconds.load(ordering: .relaxed)
        return metrics
    }

    private func addTables(of version: Version, to metrics: inout EngineMetrics) {
        let files = version.levels.map { $0.map(\.file) }
        let shape = LevelShape(levels: files, policy: CompactionPolicy(options))
        metrics.levelTableCounts = files.map(\.count)
        metrics.levelByteCounts = files.map { $0.reduce(0) { $0 + $1.byteCount } }
        metrics.levelZeroDepth = shape.levelZeroDepth
        metrics.compactionDebtByteCount = shape.debt
        metrics.tableEntryCount = files.joined().reduce(0) { $0 + $1.entryCount }
    }
}
