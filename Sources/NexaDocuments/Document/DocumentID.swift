import NexaStorage

/// Makes the ids of documents that come without one: 16 characters that sort by the time of their making.
///
///     0.......8.......15      Crockford base32, lower case, most significant digit first
///     [ 45 bits ][35 bits]    milliseconds since 1970 (until the year 3084) | random start, then +1
///
/// Invariant: the ids of one generator strictly increase, whatever the clock does; ids of different generators (two nodes,
/// two runs) collide only if they draw within the same millisecond and range out of 2^35.
/// One generator serves the whole store: a tiny locked section gives out a whole batch's ids at once.
package final class DocumentIDGenerator: Sendable {
    package static let byteCount = 16

    /// `milliseconds << 35 | low` does not fit 64 bits, so the two parts are kept apart.
    private struct State {
        var milliseconds: UInt64 = 0
        var low: UInt64 = 0
    }

    private static let lowBits: UInt64 = 35
    private static let lowMask: UInt64 = (1 << 35) - 1

    private let clock: WallClock
    private let lock = NexaLock()
    /// Guarded by `lock`.
    nonisolated(unsafe) private var state = State()

    package init(clock: WallClock) {
        self.clock = clock
    }

    /// A run of consecutive ids.
    package struct Run {
        fileprivate var milliseconds: UInt64
        fileprivate var low: UInt64

        /// Writes the next id, 16 bytes, to the start of `target`.
        package mutating func writeNext(to target: UnsafeMutableRawPointer) {
            DocumentIDGenerator.write(milliseconds: milliseconds, low: low, to: target)
            (milliseconds, low) = DocumentIDGenerator.successor(milliseconds, low, by: 1)
        }
    }

    /// Reserves `count` consecutive ids, all greater than every id given out before.
    package func reserve(_ count: Int) -> Run {
        precondition(count > 0)
        let now = UInt64(max(0, clock.microseconds() / 1000))
        return lock.withLock {
            if now > state.milliseconds {
                // The upper bit stays free, so that a millisecond has room for 2^34 ids after its random start.
                state = State(milliseconds: now, low: UInt64.random(in: 0...(Self.lowMask >> 1)))
            } else {
                let next = Self.successor(state.milliseconds, state.low, by: 1)
                state = State(milliseconds: next.0, low: next.1)
            }
            let run = Run(milliseconds: state.milliseconds, low: state.low)
            let last = Self.successor(state.milliseconds, state.low, by: UInt64(count - 1))
            state = State(milliseconds: last.0, low: last.1)
            return run
        }
    }

    private static func successor(_ milliseconds: UInt64, _ low: UInt64, by step: UInt64) -> (UInt64, UInt64) {
        let sum = low + step
        return (milliseconds + (sum >> lowBits), sum & lowMask)
    }

    private static func write(milliseconds: UInt64, low: UInt64, to target: UnsafeMutableRawPointer) {
        var rest = milliseconds
        for index in stride(from: 8, through: 0, by: -1) {
            target.storeBytes(of: digit(rest & 31), toByteOffset: index, as: UInt8.self)
            rest >>= 5
        }
        rest = low
        for index in stride(from: 15, through: 9, by: -1) {
            target.storeBytes(of: digit(rest & 31), toByteOffset: index, as: UInt8.self)
            rest >>= 5
        }
    }

    /// One digit of `0123456789abcdefghjkmnpqrstvwxyz` (no i, l, o, u): letters follow each other except at those four gaps.
    private static func digit(_ value: UInt64) -> UInt8 {
        let value = UInt8(truncatingIfNeeded: value)
        if value < 10 { return UInt8(ascii: "0") + value }
        var letter = UInt8(ascii: "a") + value - 10
        if value >= 18 { letter += 1 }
        if value >= 20 { letter += 1 }
        if value >= 22 { letter += 1 }
        if value >= 27 { letter += 1 }
        return letter
    }
}
