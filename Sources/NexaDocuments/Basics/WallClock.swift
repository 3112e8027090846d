import Glibc

/// The two clocks of this room behind one seam: tests hand in their own.
package struct WallClock: Sendable {
    /// Microseconds since 1970-01-01 UTC. May jump.
    package let microseconds: @Sendable () -> Int64

    package init(microseconds: @escaping @Sendable () -> Int64) {
        self.microseconds = microseconds
    }

    /// The clock of the machine.
    package static let system = WallClock {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    }
}

/// Time that only moves forward: what deadlines and time slices are measured in.
package enum MonotonicTime {
    /// Nanoseconds since an arbitrary start.
    package static func nanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
