import Glibc

/// How much the long tests do. Small in debug builds and with `NEXA_TEST_SCALE=small`, which the sanitizer runs set: the same paths, fewer
/// rounds. Every test still runs; no expectation depends on the scale.
package enum TestScale {
    package static let isSmall: Bool = {
        #if DEBUG
            return getenv("NEXA_TEST_SCALE").map { String(cString: $0) } != "full"
        #else
            return getenv("NEXA_TEST_SCALE").map { String(cString: $0) } == "small"
        #endif
    }()

    /// Rounds of a test: all, or the few.
    package static func count<Count: BinaryInteger>(_ full: Count, small: Count) -> Count { isSmall ? small : full }

    /// All of a range, or one in `step` of it, for tests that damage every byte.
    package static func sample(_ range: Range<Int>, oneIn step: Int = 13) -> StrideTo<Int> {
        stride(from: range.lowerBound, to: range.upperBound, by: isSmall ? step : 1)
    }
}
