/// STATUS: the node at one moment, as a map that `nexadb status` prints and scripts read.

import NexaDocuments
import NexaReplication
import NexaStorage
import NexaWire
import Synchronization

extension Executor {
    func status(_ call: Call, _ session: Session, _ output: OutputBytes) -> Outcome {
        let engineMetrics = engine.metrics()
        let mark = begin(.success, call, lsn: engineMetrics.visibleLSN, output)
        StatusReport(node: node, engine: engineMetrics).value.encode(into: output)
        end(mark, session, output)
        return .answered(hold: 0, commitCount: 0)
    }
}

/// The figures of STATUS as a tree; built a few times a minute.
struct StatusReport {
    let node: NodeContext
    let engine: EngineMetrics

    var value: MessagePackValue {
        let counters = node.metricsSnapshot()
        let catalog = node.store.catalog.view
        let replication = ReplicationReport(node)
        return .map(
            [
                .init("status", .string(engine.refusal == nil ? "ok" : "degraded")),
                .init("server", .string("NexaDB")),
                .init("version", .string(node.identity.version)),
                .init("node_id", .string(node.identity.id)),
                .init("role_in_cluster", .string(replication?.status.role ?? (node.replication == nil ? "single" : "follower"))),
                .init("uptime_seconds", .double(node.uptimeSeconds)),
                .init("data_dir", .string(node.configuration.dataDirectory)),
                .init("durability", .string(node.configuration.durability == .disk ? "disk" : "os")),
                .init("databases", .int(Int64(catalog.databaseNames.count))),
                .init(
                    "collections", .int(Int64(catalog.databaseNames.reduce(0) { $0 + (catalog.collections(of: $1)?.count ?? 0) }))
                ),
                .init("connections", .int(Int64(node.connectionCount.load(ordering: .relaxed)))),
                .init("streams", .int(Int64(node.streamCount.load(ordering: .relaxed)))),
                .init("subscriptions", .int(Int64(node.changes.counters.subscriptionCount.load(ordering: .relaxed)))),
                .init("subscription_lag_records", .uint(node.changes.lag)),
                .init("requests", .uint(counters.requestCount)),
                .init("buffered_bytes", .int(Int64(node.bufferedByteCount.load(ordering: .relaxed)))),
                .init("engine", engineValue),
            ] + (replication.map { [.init("replication", $0.value)] } ?? []))
    }

    private var engineValue: MessagePackValue {
        .map([
            .init("epoch", .uint(engine.epoch)),
            .init("applied_lsn", .uint(engine.appliedLSN)),
            .init("durable_lsn", .uint(engine.durableLSN)),
            .init("visible_lsn", .uint(engine.visibleLSN)),
            .init("pressure", .double(engine.pressure)),
            .init("writes_refused", engine.refusal.map { .string($0) } ?? .null),
            .init("batches", .uint(engine.batchCount)),
            .init("operations", .uint(engine.operationCount)),
            .init("log_groups", .uint(engine.logGroupCount)),
            .init("log_syncs", .uint(engine.logSyncCount)),
            .init("log_bytes", .uint(engine.logByteCount)),
            .init("memtable_bytes", .int(Int64(engine.memTableByteCount))),
            .init("flushes", .uint(engine.flushCount)),
            .init("compactions", .uint(engine.compactionCount)),
            .init("level_tables", .array(engine.levelTableCounts.map { .int(Int64($0)) })),
            .init("level_bytes", .array(engine.levelByteCounts.map { .uint($0) })),
            .init("cache_bytes", .int(Int64(engine.cacheByteCount))),
            .init("open_table_bytes", .int(Int64(engine.openTableByteCount))),
            .init("cache_hits", .uint(engine.cacheHitCount)),
            .init("cache_misses", .uint(engine.cacheMissCount)),
            .init("snapshots", .int(Int64(engine.snapshotCount))),
            .init("background_failure", engine.backgroundFailure.map { .string($0) } ?? .null),
        ])
    }
}
