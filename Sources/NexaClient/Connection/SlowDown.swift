import Synchronization

/// How long the next write to a node waits because the node asked for slower writes: doubled with each request of the node, halved with
/// each answer without one. Between 0 and 100 ms.
package final class SlowDown: Sendable {
    private static let microsecondsMax = 100_000
    private let microseconds = Atomic<Int>(0)

    package init() {}

    /// An answer to a write came, with or without SLOW_DOWN.
    package func heard(_ isAsked: Bool) {
        let current = microseconds.load(ordering: .relaxed)
        if isAsked {
            microseconds.store(min(Self.microsecondsMax, max(1000, current * 2)), ordering: .relaxed)
        } else if current > 0 {
            microseconds.store(current < 500 ? 0 : current / 2, ordering: .relaxed)
        }
    }

    package var pause: Duration { .microseconds(microseconds.load(ordering: .relaxed)) }
}
