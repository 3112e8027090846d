/// Slows down whoever fails to log in: a pure table of failures with times handed in.
///
/// Failures count for the user, for the address and for the two together. An attempt waits for the longest of the three delays. Where
/// this user has logged in from this address before, only their failures together count, so that neither somebody who guesses a user's
/// password from elsewhere nor a neighbour behind the same proxy keeps the user out.
///
///     failures in a row    1...3   4        5        6        ...   11 and more
///     delay                none    100 ms   200 ms   400 ms   ...   10 s
///
/// Both tables are bounded: beyond that the entry that was quiet for longest is forgotten.

package struct LoginThrottle: Sendable {
    package enum Verdict: Equatable, Sendable {
        case now
        /// In nanoseconds of the clock that `now` is in.
        case wait(until: UInt64)
        /// The delay is longer than a client should be kept waiting.
        case refuse(milliseconds: UInt64)
    }

    package static let freeFailureCount = 3
    package static let delayMax: UInt64 = 10_000_000_000
    package static let waitMax: UInt64 = 5_000_000_000
    /// Without a failure for so long, a new start.
    package static let memorySpan: UInt64 = 900_000_000_000
    package static let entryCountMax = 10_000

    private enum Key: Hashable {
        case user(String)
        case address([UInt8])
        case pair(String, [UInt8])
    }

    private struct Entry {
        var failureCount = 0
        var nextAttempt: UInt64 = 0
        var lastUse: UInt64
    }

    private var failures: [Key: Entry] = [:]
    /// Users and addresses that belong together, and when that was seen last.
    private var known: [Key: UInt64] = [:]

    package init() {}

    /// Whether this attempt may be looked at now. An attempt that may not yet is asked again then.
    package mutating func admit(user: String, address: [UInt8], now: UInt64) -> Verdict {
        let keys = keys(user, address)
        var earliest = now
        for key in keys {
            guard let entry = failures[key] else { continue }
            if now &- entry.lastUse > Self.memorySpan {
                failures[key] = nil
            } else {
                earliest = max(earliest, entry.nextAttempt)
            }
        }
        if earliest == now {
            // The next one takes its place behind this one.
            for key in keys {
                guard let count = failures[key]?.failureCount else { continue }
                failures[key]?.nextAttempt = now &+ Self.delay(afterFailures: count)
            }
            return .now
        }
        let wait = earliest &- now
        return wait <= Self.waitMax ? .wait(until: earliest) : .refuse(milliseconds: wait / 1_000_000)
    }

    package mutating func failed(user: String, address: [UInt8], now: UInt64) {
        for key in [Key.user(user), .address(address), .pair(user, address)] {
            var entry = failures[key] ?? Entry(lastUse: now)
            entry.failureCount += 1
            entry.nextAttempt = max(entry.nextAttempt, now &+ Self.delay(afterFailures: entry.failureCount))
            entry.lastUse = now
            failures[key] = entry
        }
        while failures.count > Self.entryCountMax, let oldest = failures.min(by: { $0.value.lastUse < $1.value.lastUse }) {
            failures[oldest.key] = nil
        }
    }

    package mutating func succeeded(user: String, address: [UInt8], now: UInt64) {
        let pair = Key.pair(user, address)
        failures[pair] = nil
        known[pair] = now
        if known.count > Self.entryCountMax, let oldest = known.min(by: { $0.value < $1.value }) { known[oldest.key] = nil }
    }

    package static func delay(afterFailures count: Int) -> UInt64 {
        guard count > freeFailureCount else { return 0 }
        return min(delayMax, 100_000_000 << UInt64(min(count - freeFailureCount - 1, 20)))
    }

    package var entryCount: Int { failures.count }

    private func keys(_ user: String, _ address: [UInt8]) -> [Key] {
        let pair = Key.pair(user, address)
        return known[pair] == nil ? [.user(user), .address(address), pair] : [pair]
    }
}
