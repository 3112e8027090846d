import Glibc

/// A mutex for tiny sections: no call that can block, and no callback of another room, runs under it.
///
/// A pthread mutex that spins briefly before it sleeps; sanitizers understand it. Not recursive.
/// `@unchecked Sendable`: the mutex has a stable address of its own and is only touched through pthread calls.
package final class NexaLock: @unchecked Sendable {
    @usableFromInline
    let mutex: UnsafeMutablePointer<pthread_mutex_t>

    package init() {
        mutex = .allocate(capacity: 1)
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
        let status = pthread_mutex_init(mutex, &attributes)
        precondition(status == 0, "pthread_mutex_init failed with \(status)")
        pthread_mutexattr_destroy(&attributes)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    @inlinable
    package func lock() {
        let status = pthread_mutex_lock(mutex)
        precondition(status == 0, "pthread_mutex_lock failed")
    }

    /// Takes the lock if nobody holds it.
    @inlinable
    package func tryLock() -> Bool {
        pthread_mutex_trylock(mutex) == 0
    }

    /// Takes the lock, trying for about that long; false when somebody held it all the time.
    @inlinable
    package func lock(spinningAtMost nanoseconds: UInt64) -> Bool {
        if tryLock() { return true }
        return lockSlowly(nanoseconds)
    }

    @usableFromInline
    func lockSlowly(_ nanoseconds: UInt64) -> Bool {
        let start = monotonicNanoseconds()
        while monotonicNanoseconds() - start < nanoseconds {
            sched_yield()
            if tryLock() { return true }
        }
        return false
    }

    @inlinable
    package func unlock() {
        let status = pthread_mutex_unlock(mutex)
        precondition(status == 0, "pthread_mutex_unlock failed")
    }

    @inlinable
    package func withLock<R, E>(_ body: () throws(E) -> R) throws(E) -> R {
        lock()
        defer { unlock() }
        return try body()
    }
}
