import Glibc

/// A condition variable with its own lock. A waiter holds the lock, checks its predicate in a loop, and waits.
///
/// `@unchecked Sendable`: as `NexaLock`, only touched through pthread calls.
package final class NexaCondition: @unchecked Sendable {
    private let lockBelow = NexaLock()
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    package init() {
        condition = .allocate(capacity: 1)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        let status = pthread_cond_init(condition, &attributes)
        precondition(status == 0, "pthread_cond_init failed with \(status)")
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
    }

    package func lock() { lockBelow.lock() }
    package func unlock() { lockBelow.unlock() }

    package func withLock<R, E>(_ body: () throws(E) -> R) throws(E) -> R {
        try lockBelow.withLock(body)
    }

    /// Releases the lock, sleeps until signalled (or, rarely, for no reason), and takes the lock again.
    package func wait() {
        let status = pthread_cond_wait(condition, lockBelow.mutex)
        precondition(status == 0, "pthread_cond_wait failed with \(status)")
    }

    /// As `wait`, for at most that long. False when the time ran out.
    package func wait(nanoseconds: UInt64) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanosecondsTotal = UInt64(deadline.tv_nsec) + nanoseconds % 1_000_000_000
        deadline.tv_sec += Int(clamping: nanoseconds / 1_000_000_000 + nanosecondsTotal / 1_000_000_000)
        deadline.tv_nsec = Int(nanosecondsTotal % 1_000_000_000)
        let status = pthread_cond_timedwait(condition, lockBelow.mutex, &deadline)
        precondition(status == 0 || status == ETIMEDOUT, "pthread_cond_timedwait failed with \(status)")
        return status == 0
    }

    package func signal() { pthread_cond_signal(condition) }
    package func broadcast() { pthread_cond_broadcast(condition) }
}
