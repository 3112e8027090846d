// Replication as people read it: the section of STATUS, the lines of `/metrics` (names: docs/operations.md).

import NexaReplication
import NexaStorage
import NexaWire

struct ReplicationReport {
    let status: NodeStatus
    let counters: ReplicationCounters
    let configuration: ServerConfiguration
    let flowStage: Int

    init?(_ node: NodeContext) {
        guard let service = node.replication, let status = node.gate.status else { return nil }
        self.status = status
        counters = service.counters
        configuration = node.configuration
        flowStage = node.gate.flowStage
    }

    private var isFollower: Bool { status.role != NodeRole.leader.rawValue }

    /// A leader leads the epoch that it promised itself, from before the first record of that epoch is in its log.
    private var epoch: Epoch { isFollower ? status.history.lastEpoch : max(status.promised, status.history.lastEpoch) }

    var value: MessagePackValue {
        .map([
            .init("name", .string(status.name)),
            .init("role", .string(status.role)),
            .init("epoch", .uint(epoch)),
            .init("promised_epoch", .uint(status.promised)),
            .init("leader", status.leaderAddress.map { .string($0) } ?? .null),
            .init("end_lsn", .uint(status.end)),
            .init("durable_lsn", .uint(status.durable)),
            .init("applied_lsn", .uint(status.applied)),
            .init("committed_lsn", .uint(status.committed)),
            .init("oldest_lsn", .uint(status.oldest)),
            .init("degraded", .bool(status.isDegraded)),
            .init("staleness_seconds", status.staleness.map { .double(seconds($0)) } ?? .null),
            .init("snapshot_progress", .double(counters.snapshotProgress)),
            .init(
                "members",
                .array(
                    configuration.members.map {
                        .map([.init("name", .string($0.name)), .init("address", .string($0.address))])
                    })),
            .init("flow_control", .string(["open", "slow", "refuse"][flowStage])),
            .init("sent_bytes", .uint(counters.shippedByteCount)),
            .init("sent_wire_bytes", .uint(counters.shippedWireByteCount)),
            .init("received_bytes", .uint(counters.receivedByteCount)),
            .init("received_wire_bytes", .uint(counters.receivedWireByteCount)),
            .init("followers", .array(status.peers.map(follower))),
        ])
    }

    private func follower(_ peer: NodeStatus.Peer) -> MessagePackValue {
        .map([
            .init("name", .string(peer.name)), .init("state", .string(peer.state)), .init("written_lsn", .uint(peer.written)),
            .init("durable_lsn", .uint(peer.durable)), .init("applied_lsn", .uint(peer.applied)),
            .init("lag_bytes", .uint(peer.lagByteCount)),
            .init("lag_records", .uint(status.end - min(status.end, peer.durable))),
            .init("lag_seconds", .double(seconds(peer.lag))), .init("voter", .bool(peer.isVoter)),
        ])
    }

    private func seconds(_ value: Microseconds) -> Double { Double(value) / 1e6 }

    func write(_ text: inout PrometheusText) {
        text.family("nexadb_role", "gauge", "1 for the role that this node has.")
        for role in [NodeRole.leader, .follower, .candidate, .fenced, .failed] {
            text.sample("nexadb_role", "role=\"\(role.rawValue)\"", status.role == role.rawValue ? 1 : 0)
        }
        text.gauge("nexadb_epoch", "Leadership that the log is in.", Int(clamping: epoch))
        text.gauge("nexadb_wal_end_lsn", "Last record of the log.", Int(clamping: status.end))
        text.gauge("nexadb_repl_commit_lsn", "Last record that is known to be committed.", Int(clamping: status.committed))
        peers("written", "Last record that a follower has received.", &text) { $0.written }
        peers("durable", "Last record that a follower has on disk.", &text) { $0.durable }
        peers("applied", "Last record that a follower's readers can see.", &text) { $0.applied }
        text.family("nexadb_repl_lag_bytes", "gauge", "Bytes of the log that a follower does not have on disk.")
        for peer in status.peers {
            text.sample("nexadb_repl_lag_bytes", "peer=\"\(peer.name)\",stage=\"durable\"", peer.lagByteCount)
        }
        text.family("nexadb_repl_lag_seconds", "gauge", "Age of the oldest record that a follower does not have on disk.")
        for peer in status.peers {
            text.sample("nexadb_repl_lag_seconds", "peer=\"\(peer.name)\",stage=\"durable\"", seconds(peer.lag))
        }
        text.family("nexadb_repl_connected", "gauge", "1 while a follower is connected.")
        for peer in status.peers { text.sample("nexadb_repl_connected", "peer=\"\(peer.name)\"", 1) }
        text.family("nexadb_repl_sync_member", "gauge", "1 when a follower counts for the commit point.")
        for peer in status.peers { text.sample("nexadb_repl_sync_member", "peer=\"\(peer.name)\"", peer.isVoter ? 1 : 0) }
        if isFollower, let staleness = status.staleness {
            text.gauge("nexadb_repl_staleness_seconds", "Upper bound of how stale reads here are.", seconds(staleness))
        }
        text.family("nexadb_repl_resync_total", "counter", "How streams began again, and why so.")
        for how in ReplicationCounters.Resync.allCases {
            text.sample("nexadb_repl_resync_total", "kind=\"\(how.kind)\",reason=\"\(how.reason)\"", counters.resyncCount(how))
        }
        text.counter("nexadb_repl_sent_bytes_total", "Record bytes sent to followers.", counters.shippedByteCount)
        text.counter(
            "nexadb_repl_sent_wire_bytes_total", "What these took in frames: fewer where they were compressed.",
            counters.shippedWireByteCount)
        text.counter("nexadb_repl_received_bytes_total", "Record bytes received from upstream.", counters.receivedByteCount)
        text.counter(
            "nexadb_repl_received_wire_bytes_total", "What these took in frames.", counters.receivedWireByteCount)
        text.counter("nexadb_repl_snapshot_bytes_total", "Bytes of snapshots received.", counters.snapshotByteCount)
        text.gauge("nexadb_repl_snapshot_progress_ratio", "Share of the last snapshot that is here.", counters.snapshotProgress)
        text.counter("nexadb_repl_fenced_total", "Promises that ended a leadership here.", counters.fenceCount)
        text.counter("nexadb_repl_alarms_total", "Events that an operator has to look at.", counters.alarmCount)
        text.counter("nexadb_write_concern_timeouts_total", "Writes whose concern was not reached.", counters.concernTimeoutCount)
        text.counter(
            "nexadb_rollback_records_total", "Records that were cut off the log, and kept in a rollback file.",
            counters.cutRecordCount)
        text.family("nexadb_read_stale_total", "counter", "Reads that were answered STALE_READ, by what they waited for.")
        for reason in ReplicationCounters.StaleReason.allCases {
            text.sample("nexadb_read_stale_total", "reason=\"\(reason)\"", counters.staleCount(reason))
        }
        text.gauge(
            "nexadb_flow_control_engaged", "Because followers lag writes are 1: held up, 2: refused.", flowStage)
        text.family("nexadb_flow_control_throttled_seconds_total", "counter", "Time for which flow control held writes up.")
        text.sample("nexadb_flow_control_throttled_seconds_total", "", counters.throttledSeconds)
        text.family("nexadb_failover_total", "counter", "Promotions of this node by result.")
        text.sample("nexadb_failover_total", "result=\"promoted\"", counters.promotionCount)
        text.sample("nexadb_failover_total", "result=\"failed\"", counters.failedPromotionCount)
        text.family("nexadb_slot_retained_bytes", "gauge", "Log that a slot keeps.")
        for slot in status.slots {
            text.sample("nexadb_slot_retained_bytes", "slot=\"\(slot.name)\"", slot.retainedByteCount)
        }
        text.family("nexadb_slot_state", "gauge", "1 for the state that a slot is in.")
        for slot in status.slots {
            for state in [ReplicationSlot.State.reserved, .lost] {
                text.sample(
                    "nexadb_slot_state", "slot=\"\(slot.name)\",state=\"\(state.rawValue)\"", slot.state == state.rawValue ? 1 : 0
                )
            }
        }
        text.family("nexadb_slot_away_seconds", "gauge", "For how long the follower of a slot has been away.")
        for slot in status.slots { text.sample("nexadb_slot_away_seconds", "slot=\"\(slot.name)\"", seconds(slot.away)) }
        text.family("nexadb_slot_safe_bytes", "gauge", "How much the log may grow before a slot is lost.")
        for slot in status.slots { text.sample("nexadb_slot_safe_bytes", "slot=\"\(slot.name)\"", slot.safeByteCount) }
    }

    private func peers(_ stage: String, _ help: String, _ text: inout PrometheusText, _ lsn: (NodeStatus.Peer) -> LSN) {
        text.family("nexadb_repl_peer_\(stage)_lsn", "gauge", help)
        for peer in status.peers { text.sample("nexadb_repl_peer_\(stage)_lsn", "peer=\"\(peer.name)\"", lsn(peer)) }
    }
}
