/// What all event loops and pool threads of a node share: the store, the configuration, the pool, and a few flags.
///
/// Immutable after start except for the atomics; nothing here is locked on a request's path.

import Logging
import NIOCore
import NexaDocuments
import NexaReplication
import NexaStorage
import NexaTLS
import Synchronization

package final class NodeContext: Sendable {
    package let configuration: ServerConfiguration
    package let store: DocumentStore
    package let engine: Engine
    package let logger: Logger
    package let identity: NodeIdentity
    /// Whether writes are taken; always open on a standalone node.
    package let gate: ReplicationGate
    /// Nil: the port speaks plaintext.
    package let tls: ServerTLS?
    /// Who may come in.
    package let authenticator: Authenticator
    /// Nil on a standalone node.
    package let replication: ReplicationService?
    /// What others fetch of this node.
    let checkpoints: CheckpointShelf
    package let limits: ConnectionLimits
    package let changes: ChangeFeed
    package let http = HTTPCounters()
    package let startedAt: TimeOfDay
    package let startedNanoseconds: UInt64

    /// Connections open now, over all loops.
    package let connectionCount = Atomic<Int>(0)
    /// Bytes of requests and answers buffered now, over all loops, in steps of `BufferAccount.stepByteCount`.
    package let bufferedByteCount = Atomic<Int>(0)
    /// Streams open now.
    package let streamCount = Atomic<Int>(0)
    /// No new requests are taken.
    private let draining = Atomic<Bool>(false)
    /// The log failed: answers that wait for it will not come true.
    private let failed = Atomic<Bool>(false)

    private let metricsLock = NexaLock()
    nonisolated(unsafe) private var metricsOfLoops: [LoopMetrics] = []  // guarded by `metricsLock`

    init(
        configuration: ServerConfiguration, store: DocumentStore, logger: Logger, identity: NodeIdentity, gate: ReplicationGate,
        replication: ReplicationService?, checkpoints: CheckpointShelf, tls: ServerTLS?
    ) {
        self.configuration = configuration
        self.store = store
        self.engine = store.engine
        self.logger = logger
        self.identity = identity
        self.gate = gate
        self.tls = tls
        authenticator = Authenticator(
            mode: configuration.authentication, catalog: store.catalog, logger: logger,
            threadCount: max(1, System.coreCount / 2))
        self.replication = replication
        self.checkpoints = checkpoints
        limits = ConnectionLimits(configuration)
        changes = ChangeFeed(store, gate: gate, isClustered: replication != nil, logger: logger)
        startedAt = .now()
        startedNanoseconds = MonotonicTime.nanoseconds()
    }

    /// `single` on a standalone node.
    package var roleInCluster: String {
        replication == nil ? "single" : gate.status?.role ?? NodeRole.follower.rawValue
    }

    package var isDraining: Bool { draining.load(ordering: .acquiring) }
    package func beginDraining() { draining.store(true, ordering: .releasing) }

    package var logHasFailed: Bool { failed.load(ordering: .acquiring) }
    package func noteLog(failed isFailed: Bool) { failed.store(isFailed, ordering: .releasing) }

    /// Whether all buffers together are above their limit: only small connections are read then.
    package var buffersAreFull: Bool {
        bufferedByteCount.load(ordering: .relaxed) > configuration.bufferByteCountMax.value
    }

    /// A new set of counters that `/metrics` sums up with the others.
    package func makeMetrics() -> LoopMetrics {
        let metrics = LoopMetrics()
        metricsLock.withLock { metricsOfLoops.append(metrics) }
        return metrics
    }

    package func metricsSnapshot() -> MetricsSnapshot {
        MetricsSnapshot(summing: metricsLock.withLock { metricsOfLoops })
    }

    package var uptimeSeconds: Double {
        Double(MonotonicTime.nanoseconds() &- startedNanoseconds) / 1e9
    }
}
