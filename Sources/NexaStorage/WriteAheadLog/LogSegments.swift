/// The files that hold the log now: shared by the log thread, which adds to them, by readers behind it (`LogTail`), and by whoever
/// learns that old ones are not needed any more.
///
/// Segment ids grow, and their LSN ranges are consecutive. `@unchecked Sendable`: one lock guards the list.
package final class LogSegments: @unchecked Sendable {
    package struct Segment: Equatable, Sendable {
        package var id: UInt64
        package var firstLSN: LSN
        /// The chain in front of its first record.
        package var startChain: UInt64
        /// Where its records end; nil while it is written.
        package var end: LogEnd?
    }

    package let directory: String
    package let fileSystem: any FileSystem
    private let lock = NexaLock()
    private var segments: [Segment]
    private var marks = LogMarks()
    private var durable = LogEnd.empty
    let preparer: LogSegmentPreparer

    package init(
        directory: String, fileSystem: any FileSystem, options: LogOptions, segments: [Segment] = [], marks: [LogMark] = []
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.segments = segments
        for mark in marks { self.marks.append(mark) }
        preparer = LogSegmentPreparer(directory: directory, fileSystem: fileSystem, options: options)
    }

    package func path(of id: UInt64) -> String { Path.join(directory, LogFileName.segment(id)) }

    package var all: [Segment] { lock.withLock { segments } }

    /// The first LSN that can still be read; nil when the log holds no segment.
    package var oldestLSN: LSN? { lock.withLock { segments.first?.firstLSN } }

    /// The segment in which this LSN lies, or will lie; nil when it is gone.
    package func segment(holding lsn: LSN) -> Segment? {
        lock.withLock { segments.last { $0.firstLSN <= lsn } }
    }

    package func segment(id: UInt64) -> Segment? {
        lock.withLock { segments.first { $0.id == id } }
    }

    /// Gives up the segments below this one, which the manifest does not name any more: their files are reused or removed. The one being
    /// written always stays. Durable or not does not matter: what is left over after a crash is given up again.
    package func retire(below id: UInt64) throws(StorageError) {
        let ids = lock.withLock {
            let count = segments.prefix { $0.id < id && $0.end != nil }.count
            defer { segments.removeFirst(count) }
            return segments[..<count].map(\.id)
        }
        try retire(ids)
    }

    /// Gives up files that recovery found below the manifest's lowest segment.
    package func retire(_ ids: [UInt64]) throws(StorageError) {
        for id in ids { try preparer.offer(path(of: id)) }
    }

    /// The segment from which on everything at or above `lsn` can be read, or else the oldest one; `count` segments further down when they
    /// are there. Nil when the log holds no segment.
    package func lowID(needed lsn: LSN, keepingBefore count: Int = 0) -> UInt64? {
        lock.withLock {
            guard !segments.isEmpty else { return nil }
            let index = segments.lastIndex { $0.firstLSN <= lsn } ?? 0
            return segments[max(index - count, 0)].id
        }
    }

    /// Bytes of log from the segment that holds `lsn`, or else the oldest one, up to what is durable.
    package func byteCount(from lsn: LSN) -> UInt64 {
        lock.withLock {
            let index = segments.lastIndex { $0.firstLSN <= lsn } ?? 0
            return segments.dropFirst(index).reduce(0) { total, segment in
                total + (segment.end?.offset ?? (durable.segmentID == segment.id ? durable.offset : 0))
            }
        }
    }

    /// The last record that is on disk, and where it ends.
    package var durableEnd: LogEnd { lock.withLock { durable } }

    func noteDurable(_ end: LogEnd) { lock.withLock { durable = end } }

    /// Takes a mark in; marks come in LSN order.
    func note(_ mark: LogMark) { lock.withLock { marks.append(mark) } }

    /// A record behind `end` is gone, and so are its marks.
    func restartMarks(at end: LogEnd) {
        lock.withLock {
            marks.removeAll(above: end.lsn)
            durable = end
        }
    }

    /// The last mark in a segment at or before `lsn`.
    func mark(upTo lsn: LSN, inSegment id: UInt64) -> LogMark? {
        lock.withLock { marks.last(upTo: lsn) }.flatMap { $0.segmentID == id ? $0 : nil }
    }

    /// The chain at `lsn` where it is known without reading.
    func knownChain(at lsn: LSN) -> UInt64? {
        lock.withLock {
            if let mark = marks.last(upTo: lsn), mark.lsn == lsn { return mark.chain }
            for segment in segments {
                if segment.firstLSN == lsn + 1 { return segment.startChain }
                if let end = segment.end, end.lsn == lsn { return end.chain }
            }
            return nil
        }
    }

    func begin(_ segment: Segment) {
        lock.withLock {
            precondition(segments.last.map { $0.end != nil && $0.id < segment.id } ?? true, "segments are begun in order")
            segments.append(segment)
        }
    }

    func finish(_ id: UInt64, at end: LogEnd) {
        lock.withLock {
            precondition(segments.last?.id == id, "only the last segment is written")
            segments[segments.count - 1].end = end
        }
    }
}
