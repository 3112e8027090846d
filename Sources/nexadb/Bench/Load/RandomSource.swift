import Glibc

/// SplitMix64 (Steele, Lea, Flood 2014): eight bytes of state, full period, good enough to pick keys and cheap enough to vanish
/// beside a system call. The same seed gives the same run.
struct RandomSource {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// Uniform in `0..<bound`, without division (Lemire's multiplication; the bias of 2^-64 * bound does not matter here).
    mutating func next(below bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }

    /// Uniform in `0..<1`.
    mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A bijection of 64-bit numbers that looks random.
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Zipf-distributed ranks as YCSB draws them (Gray et al., "Quickly generating billion-record synthetic databases", 1994) with
/// theta = 0.99: rank 0 is the most popular of `count`.
struct ZipfianDistribution {
    private let count: UInt64
    private let alpha: Double
    private let zetaOfCount: Double
    private let eta: Double
    private let twoTerms: Double
    private static let theta = 0.99

    init(count: UInt64) {
        self.count = max(1, count)
        alpha = 1 / (1 - Self.theta)
        zetaOfCount = Self.zeta(self.count)
        twoTerms = 1 + pow(0.5, Self.theta)
        eta = (1 - pow(2 / Double(self.count), 1 - Self.theta)) / (1 - twoTerms / zetaOfCount)
    }

    func rank(_ random: inout RandomSource) -> UInt64 {
        let unit = random.nextUnit()
        let scaled = unit * zetaOfCount
        if scaled < 1 { return 0 }
        if scaled < twoTerms { return min(1, count - 1) }
        return min(count - 1, UInt64(Double(count) * pow(eta * unit - eta + 1, alpha)))
    }

    /// Sum of 1/i^theta for i in 1...n; beyond the first million terms the integral of the tail, right to ten digits.
    private static func zeta(_ n: UInt64) -> Double {
        let exact = min(n, 1_000_000)
        var sum = 0.0
        for i in 1...exact { sum += pow(Double(i), -theta) }
        if n > exact {
            sum += (pow(Double(n) + 0.5, 1 - theta) - pow(Double(exact) + 0.5, 1 - theta)) / (1 - theta)
        }
        return sum
    }
}
