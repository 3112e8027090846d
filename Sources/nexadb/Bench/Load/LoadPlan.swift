/// What one run of the load generator shall do: the parsed and checked options.
struct LoadPlan: Sendable {
    var connections = 16
    var threads = 1
    /// Requests in flight on each connection.
    var depth = 1
    var warmUpNanoseconds: UInt64 = 500_000_000
    /// Length of the measured part, unless `requests` ends it first.
    var durationNanoseconds: UInt64 = 5_000_000_000
    /// Measured requests in all; nil: as many as fit.
    var requests: UInt64?
    /// Requests a second in all, sent on schedule whatever the server does; nil: a closed loop.
    var rate: Double?
    /// Size of the loaded key space: ids `0..<records`.
    var records: UInt64 = 100_000
    /// Ids that creates take, upwards.
    var firstNewID: UInt64 = 0
    var batchCount: UInt64 = 1_000
    /// Documents that a query asks for; 0: 1 to 100 by chance, as YCSB E does.
    var queryLimit: UInt8 = 10
    var seed: UInt64 = 1

    /// One answer in this many is looked at closely; a power of two.
    static let sampleEvery: UInt64 = 128
    /// Past this many errors a run stops: it measures nothing any more.
    static let errorsMax: UInt64 = 10_000

    /// What thread `index` gets of `total`.
    func share(of total: UInt64, thread index: Int) -> UInt64 {
        total / UInt64(threads) + (UInt64(index) < total % UInt64(threads) ? 1 : 0)
    }
}

/// Why a run ended early.
struct LoadFailure: Error, CustomStringConvertible {
    let description: String
}
