import NexaStorage

/// A door for calls that a test wants to hold up: a disk that does not answer until the test says so.
///
///     let stall = Stall()
///     let files = FaultFileSystem(disk) { operation, path, _ in
///         if operation == .write && path.hasSuffix(".sst") { stall.pass() }
///     }
package final class Stall: Sendable {
    private let condition = NexaCondition()
    nonisolated(unsafe) private var isShut = true  // guarded by `condition`
    nonisolated(unsafe) private var waiting = 0  // guarded by `condition`

    package init() {}

    /// Returns when the door is open.
    package func pass() {
        condition.lock()
        waiting += 1
        condition.broadcast()
        while isShut { condition.wait() }
        waiting -= 1
        condition.unlock()
    }

    /// Waits until a call stands before the door. False when none came in ten seconds.
    package func awaitCall() -> Bool {
        condition.lock()
        defer { condition.unlock() }
        var rounds = 0
        while waiting == 0 {
            guard rounds < 100 else { return false }
            if !condition.wait(nanoseconds: 100_000_000) { rounds += 1 }
        }
        return true
    }

    package func open() {
        condition.withLock { isShut = false }
        condition.broadcast()
    }
}
