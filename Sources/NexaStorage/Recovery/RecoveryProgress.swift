// How far the replay of a log is, for people who wait for a node to start.

/// A report from the middle of a replay.
package struct RecoveryProgress: Sendable, Equatable {
    /// Records replayed so far.
    package var recordCount: Int
    /// The last of them.
    package var lsn: LSN
    /// Bytes of log behind and before the place that was reached. Segments are preallocated, so the whole is an upper bound.
    package var readByteCount: UInt64
    package var totalByteCount: UInt64
    package var nanoseconds: UInt64
}

/// Counts records of a replay and reports now and then. Looks at the clock once in 64 records.
struct RecoveryReporter {
    private let interval: UInt64
    private let report: (@Sendable (RecoveryProgress) -> Void)?
    /// Sizes of the segments to read, by id.
    private let byteCounts: [UInt64: UInt64]
    private let start = monotonicNanoseconds()
    private var lastReport: UInt64
    private var recordCount = 0

    init(_ options: EngineOptions, layout: StoreLayout, fileSystem: any FileSystem, walLow: UInt64) {
        report = options.recoveryProgress
        interval = UInt64(max(0, options.recoveryProgressMilliseconds)) * 1_000_000
        lastReport = start
        var byteCounts: [UInt64: UInt64] = [:]
        if report != nil {
            for name in (try? fileSystem.list(layout.logDirectory)) ?? [] {
                guard let id = LogFileName.segmentID(name), id >= walLow else { continue }
                byteCounts[id] = (try? fileSystem.byteCount(of: Path.join(layout.logDirectory, name))) ?? 0
            }
        }
        self.byteCounts = byteCounts
    }

    mutating func note(_ record: LogRecord) {
        recordCount += 1
        guard let report, recordCount % 64 == 0 else { return }
        let now = monotonicNanoseconds()
        guard now - lastReport >= interval else { return }
        lastReport = now
        report(
            RecoveryProgress(
                recordCount: recordCount, lsn: record.header.lsn,
                readByteCount: byteCounts.reduce(record.offset) { $1.key < record.segmentID ? $0 + $1.value : $0 },
                totalByteCount: byteCounts.values.reduce(0, +), nanoseconds: now - start))
    }
}
