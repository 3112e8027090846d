import Glibc

/// Lets through so many bytes a second; a pause earns nothing. Pure: the caller looks at the clock and sleeps.
struct Throttle {
    /// Nil: no limit.
    let bytesPerSecond: UInt64?
    private var freeAt: ContinuousClock.Instant?

    init(bytesPerSecond: UInt64?) { self.bytesPerSecond = bytesPerSecond }

    /// The largest piece to ask for: small enough that a slow transfer still moves several times a second.
    func pieceByteCount(atMost most: Int) -> Int {
        guard let bytesPerSecond else { return most }
        return max(16 << 10, min(most, Int(clamping: bytesPerSecond / 8)))
    }

    /// How long to wait before anything may be asked for.
    func delay(now: ContinuousClock.Instant) -> Duration { max(.zero, (freeAt ?? now) - now) }

    /// These bytes are asked for now.
    mutating func take(_ byteCount: UInt64, now: ContinuousClock.Instant) {
        guard let bytesPerSecond else { return }
        freeAt = max(freeAt ?? now, now) + .nanoseconds(Int64(Double(byteCount) / Double(bytesPerSecond) * 1e9))
    }

    static func sleep(_ duration: Duration) {
        guard duration > .zero else { return }
        let (seconds, attoseconds) = duration.components
        var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        nanosleep(&time, nil)
    }
}
