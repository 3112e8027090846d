// Striped locks over key hashes. A conditional write (create, update, if_match) reads the newest state, decides and
// commits while it holds the latch of its key, so that two of them on one key can never both decide on the same state.
// Invariant: whoever takes several stripes takes them in ascending order, each once; so latches cannot deadlock.

/// The engine's per-key latches. A section may commit, but must not wait for durability.
package final class KeyLatches: Sendable {
    /// Stripes; keys that share one merely wait for each other.
    @inlinable package static var stripeCount: Int { 1024 }
    @usableFromInline let locks: [NexaLock]

    package init() {
        locks = (0..<Self.stripeCount).map { _ in NexaLock() }
    }

    /// The stripe of a key with this hash.
    @inlinable
    package static func stripe(of keyHash: UInt64) -> Int { Int(keyHash & UInt64(stripeCount - 1)) }

    /// Runs `body` while no other holder of the latch of `keyHash` runs.
    package func withLatch<Result, Failure: Error>(
        _ keyHash: UInt64, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let lock = locks[Self.stripe(of: keyHash)]
        lock.lock()
        defer { lock.unlock() }
        return try body()
    }

    /// As `withLatch`, for a thread that must not wait long: nil, with `body` not run, when somebody holds the latch for longer than a
    /// section takes. Only a section that waits for memory does.
    @inlinable @inline(__always)
    package func withLatchIfSoon<Result, Failure: Error>(
        _ keyHash: UInt64, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        let lock = locks[Self.stripe(of: keyHash)]
        guard lock.lock(spinningAtMost: Self.patienceNanoseconds) else { return nil }
        defer { lock.unlock() }
        return try body()
    }

    /// As `withLatches`, for a thread that must not wait long (see `withLatchIfSoon`): nil when one of the latches does not come.
    package func withLatchesIfSoon<Result, Failure: Error>(
        _ stripes: [Int], _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        var heldCount = 0
        defer { for index in 0..<heldCount { locks[stripes[index]].unlock() } }
        for stripe in stripes {
            guard locks[stripe].lock(spinningAtMost: Self.patienceNanoseconds) else { return nil }
            heldCount += 1
        }
        return try body()
    }

    /// A section without I/O takes microseconds, unless its thread lost its processor.
    @inlinable static var patienceNanoseconds: UInt64 { 2_000_000 }

    /// Runs `body` under all `stripes`, which must be ascending and distinct (see `stripe(of:)`).
    package func withLatches<Result, Failure: Error>(
        _ stripes: [Int], _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var last = -1
        for stripe in stripes {
            precondition(stripe > last, "stripes must be ascending and distinct")
            last = stripe
            locks[stripe].lock()
        }
        defer { for stripe in stripes { locks[stripe].unlock() } }
        return try body()
    }
}
