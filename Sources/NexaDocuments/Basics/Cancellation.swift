import Synchronization

/// A flag by which any thread ends a running cursor: its next look at the clock throws CANCELLED.
package final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)

    init() {}

    package func cancel() { flag.store(true, ordering: .relaxed) }

    package var isCancelled: Bool { flag.load(ordering: .relaxed) }
}
