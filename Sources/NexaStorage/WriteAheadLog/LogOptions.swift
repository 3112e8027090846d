/// How a log is laid out on disk.
package struct LogOptions: Sendable {
    /// Bytes of a segment. A record that does not fit in an empty one gets a segment of its own size.
    package var segmentByteCount: Int
    /// Bytes that are written inline when no prepared segment is at hand (the first one of a store, mostly).
    package var starterByteCount: Int
    /// Whether a thread of its own prepares the next segment. Off in simulations, which want one order of calls.
    package var preparesInBackground: Bool

    package init(segmentByteCount: Int = 64 << 20, starterByteCount: Int = 4 << 20, preparesInBackground: Bool = true) {
        self.segmentByteCount = segmentByteCount
        self.starterByteCount = starterByteCount
        self.preparesInBackground = preparesInBackground
    }
}

/// The end of a log: where the last record lies and what it was.
package struct LogEnd: Equatable, Sendable {
    package var segmentID: UInt64
    package var offset: UInt64
    package var lsn: LSN
    package var chain: UInt64
    package var epoch: Epoch

    package init(segmentID: UInt64, offset: UInt64, lsn: LSN, chain: UInt64, epoch: Epoch) {
        self.segmentID = segmentID
        self.offset = offset
        self.lsn = lsn
        self.chain = chain
        self.epoch = epoch
    }

    /// A log that has no record yet.
    package static let empty = LogEnd(segmentID: 0, offset: 0, lsn: 0, chain: LogChain.start, epoch: 0)

    package var durableMark: DurableMark { DurableMark(segmentID: segmentID, offset: offset, lsn: lsn, chain: chain) }
}

/// Names of log files in the log's directory.
package enum LogFileName {
    package static func segment(_ id: UInt64) -> String { Hex.string(id) + ".wal" }

    /// The segment id of a file name; nil for other files.
    package static func segmentID(_ name: String) -> UInt64? {
        name.hasSuffix(".wal") ? Hex.value(name.dropLast(4)) : nil
    }
}
