/// How long a sender waits before its next batch: longer with each answer that asks for slower writes, shorter with each that does not.
package struct SendPace {
    private static let nanosecondsMax: UInt64 = 1_000_000_000
    private static let nanosecondsMin: UInt64 = 2_000_000
    package private(set) var nanoseconds: UInt64 = 0

    package init() {}

    package mutating func heard(isSlowDown: Bool) {
        if isSlowDown {
            nanoseconds = min(Self.nanosecondsMax, max(Self.nanosecondsMin, nanoseconds * 2))
        } else {
            nanoseconds = nanoseconds < Self.nanosecondsMin ? 0 : nanoseconds / 2
        }
    }
}
