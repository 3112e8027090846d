// Counters of replication for `/metrics`; written by the replication loop, read by the admin port.

import Synchronization

package final class ReplicationCounters: Sendable {
    /// How a handshake let a stream begin; both sides count.
    package enum Resync: Int, CaseIterable, Sendable {
        case partial, snapshot, truncate

        /// The decision as a welcome spells it; nil: no stream.
        init?(decision: String) {
            switch decision {
            case "stream": self = .partial
            case "snapshot": self = .snapshot
            case "truncate": self = .truncate
            default: return nil
            }
        }
    }

    /// Why a read was answered STALE_READ.
    package enum StaleReason: Int, CaseIterable, Sendable {
        /// The position that it asked for did not come in time.
        case position
        /// What the node has may be older than was allowed.
        case staleness
        /// No leader confirmed that it leads.
        case leader
        /// What was read did not get committed in time.
        case commit
    }

    private let partial = Atomic<UInt64>(0)
    private let snapshot = Atomic<UInt64>(0)
    private let truncate = Atomic<UInt64>(0)
    private let fences = Atomic<UInt64>(0)
    private let alarms = Atomic<UInt64>(0)
    private let shipped = Atomic<UInt64>(0)
    private let shippedOnWire = Atomic<UInt64>(0)
    private let received = Atomic<UInt64>(0)
    private let receivedOnWire = Atomic<UInt64>(0)
    private let promotions = Atomic<UInt64>(0)
    private let failedPromotions = Atomic<UInt64>(0)
    private let snapshotReceived = Atomic<UInt64>(0)
    private let snapshotTotal = Atomic<UInt64>(0)
    private let snapshotPresent = Atomic<UInt64>(0)
    private let concernTimeouts = Atomic<UInt64>(0)
    private let throttledNanoseconds = Atomic<UInt64>(0)
    private let cutRecords = Atomic<UInt64>(0)
    private let stalePositions = Atomic<UInt64>(0)
    private let staleAges = Atomic<UInt64>(0)
    private let staleLeaders = Atomic<UInt64>(0)
    private let staleCommits = Atomic<UInt64>(0)

    package init() {}

    func resynced(_ kind: Resync) {
        switch kind {
        case .partial: partial.add(1, ordering: .relaxed)
        case .snapshot: snapshot.add(1, ordering: .relaxed)
        case .truncate: truncate.add(1, ordering: .relaxed)
        }
    }

    package func resyncCount(_ kind: Resync) -> UInt64 {
        switch kind {
        case .partial: partial.load(ordering: .relaxed)
        case .snapshot: snapshot.load(ordering: .relaxed)
        case .truncate: truncate.load(ordering: .relaxed)
        }
    }

    func fenced() { fences.add(1, ordering: .relaxed) }
    func alarmed() { alarms.add(1, ordering: .relaxed) }
    /// `wire` is what the frame took, header and all.
    func shipped(_ byteCount: Int, wire: Int) {
        shipped.add(UInt64(byteCount), ordering: .relaxed)
        shippedOnWire.add(UInt64(wire), ordering: .relaxed)
    }
    func received(_ byteCount: Int) { received.add(UInt64(byteCount), ordering: .relaxed) }
    func received(wire byteCount: Int) { receivedOnWire.add(UInt64(byteCount), ordering: .relaxed) }
    func promoted(succeeded: Bool) {
        if succeeded { promotions.add(1, ordering: .relaxed) } else { failedPromotions.add(1, ordering: .relaxed) }
    }
    func cut(_ recordCount: some BinaryInteger) { cutRecords.add(UInt64(recordCount), ordering: .relaxed) }

    func answeredStale(_ reason: StaleReason) {
        switch reason {
        case .position: stalePositions.add(1, ordering: .relaxed)
        case .staleness: staleAges.add(1, ordering: .relaxed)
        case .leader: staleLeaders.add(1, ordering: .relaxed)
        case .commit: staleCommits.add(1, ordering: .relaxed)
        }
    }

    package func staleCount(_ reason: StaleReason) -> UInt64 {
        switch reason {
        case .position: stalePositions.load(ordering: .relaxed)
        case .staleness: staleAges.load(ordering: .relaxed)
        case .leader: staleLeaders.load(ordering: .relaxed)
        case .commit: staleCommits.load(ordering: .relaxed)
        }
    }

    package var cutRecordCount: UInt64 { cutRecords.load(ordering: .relaxed) }
    /// From any thread.
    func throttled(nanoseconds: UInt64) { throttledNanoseconds.add(nanoseconds, ordering: .relaxed) }
    func concernTimedOut() { concernTimeouts.add(1, ordering: .relaxed) }

    func snapshot(received byteCount: Int) { snapshotReceived.add(UInt64(byteCount), ordering: .relaxed) }
    func snapshot(total byteCount: UInt64) { snapshotTotal.store(byteCount, ordering: .relaxed) }
    func snapshot(present byteCount: UInt64) { snapshotPresent.store(byteCount, ordering: .relaxed) }

    package var snapshotByteCount: UInt64 { snapshotReceived.load(ordering: .relaxed) }
    /// Share of the last snapshot that is here, 0 to 1.
    package var snapshotProgress: Double {
        let total = snapshotTotal.load(ordering: .relaxed)
        return total == 0 ? 0 : Double(snapshotPresent.load(ordering: .relaxed)) / Double(total)
    }
    package var throttledSeconds: Double { Double(throttledNanoseconds.load(ordering: .relaxed)) / 1e9 }
    package var fenceCount: UInt64 { fences.load(ordering: .relaxed) }
    package var alarmCount: UInt64 { alarms.load(ordering: .relaxed) }
    package var shippedByteCount: UInt64 { shipped.load(ordering: .relaxed) }
    package var shippedWireByteCount: UInt64 { shippedOnWire.load(ordering: .relaxed) }
    package var receivedByteCount: UInt64 { received.load(ordering: .relaxed) }
    package var receivedWireByteCount: UInt64 { receivedOnWire.load(ordering: .relaxed) }
    package var promotionCount: UInt64 { promotions.load(ordering: .relaxed) }
    package var failedPromotionCount: UInt64 { failedPromotions.load(ordering: .relaxed) }
    package var concernTimeoutCount: UInt64 { concernTimeouts.load(ordering: .relaxed) }
}
