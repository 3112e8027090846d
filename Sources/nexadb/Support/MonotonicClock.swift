import Glibc

/// Nanoseconds of the system's clocks, without a type around them: for hot loops.
enum MonotonicClock {
    static func nanoseconds(of clock: clockid_t = CLOCK_MONOTONIC) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
