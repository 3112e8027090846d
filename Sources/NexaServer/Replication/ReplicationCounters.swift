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

    private let partial = Atomic<UInt64>(0)
    private let snapshot = Atomic<UInt64>(0)
    private let truncate = Atomic<UInt64>(0)
    private let fences = Atomic<UInt64>(0)
    private let alarms = Atomic<UInt64>(0)
    private let shipped = Atomic<UInt64>(0)
    private let received = Atomic<UInt64>(0)
    private let promotions = Atomic<UInt64>(0)
    private let failedPromotions = Atomic<UInt64>(0)
    private let snapshotReceived = Atomic<UInt64>(0)
    private let snapshotTotal = Atomic<UInt64>(0)
    private let snapshotPresent = Atomic<UInt64>(0)
    private let concernTimeouts = Atomic<UInt64>(0)

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
    func shipped(_ byteCount: Int) { shipped.add(UInt64(byteCount), ordering: .relaxed) }
    func received(_ byteCount: Int) { received.add(UInt64(byteCount), ordering: .relaxed) }
    func promoted(succeeded: Bool) {
        if succeeded { promotions.add(1, ordering: .relaxed) } else { failedPromotions.add(1, ordering: .relaxed) }
    }
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
    package var fenceCount: UInt64 { fences.load(ordering: .relaxed) }
    package var alarmCount: UInt64 { alarms.load(ordering: .relaxed) }
    package var shippedByteCount: UInt64 { shipped.load(ordering: .relaxed) }
    package var receivedByteCount: UInt64 { received.load(ordering: .relaxed) }
    package var promotionCount: UInt64 { promotions.load(ordering: .relaxed) }
    package var failedPromotionCount: UInt64 { failedPromotions.load(ordering: .relaxed) }
    package var concernTimeoutCount: UInt64 { concernTimeouts.load(ordering: .relaxed) }
}
