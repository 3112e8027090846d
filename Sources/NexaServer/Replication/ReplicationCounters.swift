// Counters of replication for `/metrics`; written by the replication loop, read by the admin port.

import Synchronization

package final class ReplicationCounters: Sendable {
    /// How a handshake let a stream begin, and why so; both sides count.
    package enum Resync: Int, CaseIterable, Sendable {
        /// It goes on where the follower's log ends.
        case partial
        /// What the follower has alone is cut off first.
        case diverged
        /// A snapshot: the follower asked for one, its content is another one, the log was given up before it came.
        case requested, chain, retention

        /// Decision and reason as a welcome spells them; nil: no stream.
        init?(decision: String, reason: String) {
            switch (decision, reason) {
            case ("stream", _): self = .partial
            case ("truncate", _): self = .diverged
            case ("snapshot", "chain"): self = .chain
            case ("snapshot", "retention"): self = .retention
            case ("snapshot", _): self = .requested
            default: return nil
            }
        }

        package var kind: String {
            switch self {
            case .partial: "partial"
            case .diverged: "truncate"
            case .requested, .chain, .retention: "snapshot"
            }
        }

        package var reason: String { self == .partial ? "behind" : "\(self)" }
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

    private let resyncs: [Resync: Counter] = Dictionary(uniqueKeysWithValues: Resync.allCases.map { ($0, Counter()) })
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

    func resynced(_ how: Resync) { resyncs[how]!.value.add(1, ordering: .relaxed) }
    package func resyncCount(_ how: Resync) -> UInt64 { resyncs[how]!.value.load(ordering: .relaxed) }

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

/// A count that many threads may raise.
private final class Counter: Sendable {
    let value = Atomic<UInt64>(0)
}
