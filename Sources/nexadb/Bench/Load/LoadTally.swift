import Glibc
import Histogram

/// What one thread of the load generator has counted, by operation; merged when the run is over.
struct LoadTally: Sendable {
    /// Latencies up to a minute in nanoseconds, three significant digits.
    typealias Latencies = Histogram<UInt64>
    private static let longest: UInt64 = 60_000_000_000

    private(set) var latencies: [Latencies?]
    var misses: UInt64 = 0
    /// Misses of a mix that may read what is still being written.
    var toleratedMisses: UInt64 = 0
    var refused: UInt64 = 0
    var wrong: UInt64 = 0
    var verified: UInt64 = 0
    var sentByteCount: UInt64 = 0
    var receivedByteCount: UInt64 = 0
    var firstProblem: String?
    /// Time from the end of the warm-up to the end, and this thread's processor time within it.
    var elapsedNanoseconds: UInt64 = 0
    var cpuNanoseconds: UInt64 = 0

    init(_ operations: [LoadOperation]) {
        latencies = LoadOperation.allCases.map { operation in
            operations.contains(operation) ? Latencies(highestTrackableValue: Self.longest) : nil
        }
    }

    mutating func record(_ operation: LoadOperation, nanoseconds: UInt64, count: UInt64) {
        latencies[Int(operation.rawValue)]?.record(min(nanoseconds, Self.longest), count: count)
    }

    /// Keeps the first problem as text.
    mutating func note(_ problem: String) { firstProblem = firstProblem ?? problem }

    /// Forgets what the warm-up counted, but not its problems.
    mutating func restart() {
        for index in latencies.indices { latencies[index]?.reset() }
        sentByteCount = 0
        receivedByteCount = 0
    }

    mutating func merge(_ other: LoadTally) {
        for index in latencies.indices {
            if let theirs = other.latencies[index] { latencies[index]?.add(theirs) }
        }
        misses += other.misses
        toleratedMisses += other.toleratedMisses
        refused += other.refused
        wrong += other.wrong
        verified += other.verified
        sentByteCount += other.sentByteCount
        receivedByteCount += other.receivedByteCount
        firstProblem = firstProblem ?? other.firstProblem
        elapsedNanoseconds = max(elapsedNanoseconds, other.elapsedNanoseconds)
        cpuNanoseconds += other.cpuNanoseconds
    }

    /// Operations done; the first half of a read-modify-write is no operation of its own.
    var completed: UInt64 { latencies.reduce(0) { $0 + ($1?.totalCount ?? 0) } }

    var errors: UInt64 { misses + refused + wrong }
}
