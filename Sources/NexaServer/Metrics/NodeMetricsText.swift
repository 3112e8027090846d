/// The node's `/metrics`: counters of all loops, the engine's figures, the process.

import Glibc
import NexaDocuments
import NexaStorage
import NexaWire
import Synchronization

extension NodeContext {
    package func metricsText() -> String {
        var text = PrometheusText()
        let counters = metricsSnapshot()
        writeRequests(counters, &text)
        writeConnections(counters, &text)
        writeChanges(&text)
        writeEngine(engine.metrics(), &text)
        writeOperations(&text)
        if configuration.httpAddress != nil { http.write(&text) }
        ReplicationReport(self)?.write(&text)
        text.family("nexadb_info", "gauge", "Version and identity of the node.")
        text.sample("nexadb_info", "version=\"\(identity.version)\",node_id=\"\(identity.id)\"", 1)
        text.gauge("nexadb_uptime_seconds", "Seconds since the node started.", uptimeSeconds)
        text.gauge("process_resident_memory_bytes", "Resident memory.", ProcessFigures.residentByteCount())
        text.gauge("process_open_fds", "Open file descriptors.", ProcessFigures.openFileCount())
        return text.text
    }

    private func writeRequests(_ counters: MetricsSnapshot, _ text: inout PrometheusText) {
        text.family("nexadb_requests_total", "counter", "Requests by type.")
        var unknown: UInt64 = 0
        for byte in UInt8.min...UInt8.max {
            let count = counters.requests(byte)
            if let type = MessageType(rawValue: byte), type.isRequest {
                text.sample("nexadb_requests_total", "type=\"\(type.name)\"", count)
            } else {
                unknown += count
            }
        }
        text.sample("nexadb_requests_total", "type=\"unknown\"", unknown)
        text.family("nexadb_errors_total", "counter", "Error answers by code.")
        for code in ErrorCode.allCases { text.sample("nexadb_errors_total", "code=\"\(code.rawValue)\"", counters.errors(code)) }
        text.family(
            "nexadb_request_seconds", "histogram",
            "Time from arrival until the answer left (write, scan) or was given to the socket (read).")
        for latencyClass in LatencyClass.requests {
            let latencies = counters.latencies(latencyClass)
            text.histogram(
                "nexadb_request_seconds", "class=\"\(latencyClass.name)\"", counts: latencies.counts,
                sumNanoseconds: latencies.sumNanoseconds)
        }
        guard replication != nil else { return }
        for (latencyClass, name, help) in [
            (LatencyClass.concernWait, "nexadb_write_concern_wait_seconds", "Time that writes waited for other nodes' disks."),
            (.readWait, "nexadb_read_wait_seconds", "Time that reads waited for a position or for the leader's word."),
        ] {
            text.family(name, "histogram", help)
            let latencies = counters.latencies(latencyClass)
            text.histogram(name, "", counts: latencies.counts, sumNanoseconds: latencies.sumNanoseconds)
        }
    }

    private func writeOperations(_ text: inout PrometheusText) {
        let operations = store.operations
        text.counter("nexadb_op_id_repeats_total", "Writes that were answered from memory: done before.", operations.repeatCount)
        text.counter("nexadb_op_id_turns_total", "Times that the older half of the remembered writes went.", operations.turnCount)
        text.gauge(
            "nexadb_op_id_newest_bytes", "Bytes remembered since the last turn, or since this node began to lead.",
            operations.newestByteCount)
    }

    private func writeConnections(_ counters: MetricsSnapshot, _ text: inout PrometheusText) {
        for cell in LoopCell.allCases {
            text.counter("nexadb_\(cell.name)_total", cell.help, counters[cell])
        }
        let logIns = authenticator.figures
        text.family("nexadb_logins_total", "counter", "Log-ins by how they ended.")
        text.sample("nexadb_logins_total", "result=\"succeeded\"", UInt64(logIns.succeeded))
        text.sample("nexadb_logins_total", "result=\"failed\"", UInt64(logIns.failed))
        text.sample("nexadb_logins_total", "result=\"delayed\"", UInt64(logIns.delayed))
        text.gauge("nexadb_connections", "Connections open.", connectionCount.load(ordering: .relaxed))
        text.gauge("nexadb_streams", "Streams open.", streamCount.load(ordering: .relaxed))
        text.gauge("nexadb_buffered_bytes", "Requests and answers buffered.", bufferedByteCount.load(ordering: .relaxed))
    }

    private func writeChanges(_ text: inout PrometheusText) {
        text.gauge(
            "nexadb_subscriptions", "Change streams open.", changes.counters.subscriptionCount.load(ordering: .relaxed))
        text.gauge(
            "nexadb_subscription_lag_records", "Records that the slowest change stream has in front of it.",
            Int(clamping: changes.lag))
        text.family("nexadb_subscriptions_lost_total", "counter", "Change streams that the node ended, by reason.")
        for end in SubscriptionEnd.allCases {
            text.sample("nexadb_subscriptions_lost_total", "reason=\"\(end.rawValue)\"", changes.counters.ended(end))
        }
    }

    private func writeEngine(_ metrics: EngineMetrics, _ text: inout PrometheusText) {
        text.gauge("nexadb_engine_epoch", "Leadership under which records are written.", Int(clamping: metrics.epoch))
        text.gauge("nexadb_engine_applied_lsn", "Last position in memory.", Int(clamping: metrics.appliedLSN))
        text.gauge("nexadb_engine_durable_lsn", "Last position on disk.", Int(clamping: metrics.durableLSN))
        text.gauge("nexadb_engine_visible_lsn", "Last position that readers see.", Int(clamping: metrics.visibleLSN))
        text.gauge("nexadb_engine_pressure", "Pressure on writers, 0 to 1.", metrics.pressure)
        text.gauge("nexadb_engine_writes_refused", "1 while writes are refused.", metrics.refusal == nil ? 0 : 1)
        text.counter("nexadb_engine_batches_total", "Batches committed.", metrics.batchCount)
        text.counter("nexadb_engine_operations_total", "Operations committed.", metrics.operationCount)
        text.counter("nexadb_engine_batch_bytes_total", "Payload bytes committed.", metrics.batchByteCount)
        text.counter("nexadb_engine_log_groups_total", "Groups written to the log.", metrics.logGroupCount)
        text.counter("nexadb_engine_log_syncs_total", "fdatasync calls on the log.", metrics.logSyncCount)
        text.counter("nexadb_engine_log_bytes_total", "Bytes handed to the log.", metrics.logByteCount)
        text.counter("nexadb_engine_log_nanoseconds_total", "Time in log writes and syncs.", metrics.logNanoseconds)
        text.gauge("nexadb_engine_log_segments", "Log segments not yet in tables.", metrics.liveSegmentCount)
        text.gauge("nexadb_engine_memtable_bytes", "Bytes in memtables.", metrics.memTableByteCount)
        text.gauge("nexadb_engine_memtables_waiting", "Memtables that wait for their flush.", metrics.immutableMemTableCount)
        text.counter("nexadb_engine_flushes_total", "Flushes done.", metrics.flushCount)
        text.counter("nexadb_engine_flush_bytes_total", "Bytes that flushes wrote.", metrics.flushByteCount)
        text.counter("nexadb_engine_compactions_total", "Compactions done.", metrics.compactionCount)
        text.counter("nexadb_engine_compaction_read_bytes_total", "Bytes that compactions read.", metrics.compactionReadByteCount)
        text.counter(
            "nexadb_engine_compaction_written_bytes_total", "Bytes that compactions wrote.", metrics.compactionWrittenByteCount)
        text.family("nexadb_engine_level_bytes", "gauge", "Table bytes by level.")
        for (level, count) in metrics.levelByteCounts.enumerated() {
            text.sample("nexadb_engine_level_bytes", "level=\"\(level)\"", count)
        }
        text.counter("nexadb_engine_cache_hits_total", "Blocks found in the cache.", metrics.cacheHitCount)
        text.counter("nexadb_engine_cache_misses_total", "Blocks read from disk.", metrics.cacheMissCount)
        text.gauge("nexadb_engine_cache_bytes", "Bytes in the block cache.", metrics.cacheByteCount)
        text.gauge(
            "nexadb_engine_open_table_bytes", "Indexes and filters of open tables, taken off the block cache.",
            metrics.openTableByteCount)
        text.gauge("nexadb_engine_snapshots", "Snapshots held.", metrics.snapshotCount)
        text.gauge("nexadb_checkpoints", "Checkpoints held for followers and backups.", checkpoints.count)
        text.counter("nexadb_checkpoint_bytes_total", "Bytes of checkpoints given away.", checkpoints.servedByteCount)
        text.counter("nexadb_engine_write_delay_nanoseconds_total", "Delay of writers under pressure.", metrics.delayNanoseconds)
        text.counter("nexadb_engine_write_stall_nanoseconds_total", "Standstill of writers.", metrics.stallNanoseconds)
    }
}

/// Figures of this process from `/proc`.
enum ProcessFigures {
    static func residentByteCount() -> Int {
        var buffer = [UInt8](repeating: 0, count: 256)
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return 0 }
        let fields = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    static func openFileCount() -> Int {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = -3  // ".", ".." and the directory itself
        while readdir(directory) != nil { count += 1 }
        return max(0, count)
    }
}
