/// The time of day, for people: log lines, PING and start-up. Durations use `MonotonicTime`.

import Glibc

package struct TimeOfDay: Sendable {
    package let seconds: Int
    package let nanoseconds: Int

    package init(seconds: Int, nanoseconds: Int) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package static func now() -> TimeOfDay {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return TimeOfDay(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }

    /// Seconds since 1970 with a fraction, as PONG carries them.
    package var fractionalSeconds: Double { Double(seconds) + Double(nanoseconds) / 1e9 }

    /// `2026-11-22T21:43:00.123Z`
    package var text: String {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func padded(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let clock = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        return "\(date)T\(clock).\(padded(nanoseconds / 1_000_000, 3))Z"
    }
}
