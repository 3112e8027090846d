/// What `/metrics` and STATUS tell of change streams. Counters of events and bytes belong to the loops.

import NexaStorage
import Synchronization

/// Why a subscription ended that its client did not end.
package enum SubscriptionEnd: String, CaseIterable, Sendable {
    /// The log went on and was given up before the client had taken what is in it.
    case slow
    /// The position belongs to a history that this cluster has left.
    case historyChanged = "history changed"
    case shuttingDown = "shutting down"
    /// Its user may not read this any more.
    case forbidden
    /// The log could not be read.
    case logUnreadable = "log unreadable"
}

package final class ChangeCounters: Sendable {
    package let subscriptionCount = Atomic<Int>(0)
    private let lock = NexaLock()
    nonisolated(unsafe) private var ends: [SubscriptionEnd: UInt64] = [:]  // guarded by `lock`

    func count(_ end: SubscriptionEnd) { lock.withLock { ends[end, default: 0] += 1 } }

    package func ended(_ end: SubscriptionEnd) -> UInt64 { lock.withLock { ends[end] ?? 0 } }
}
