/// Reads the log behind its writer, from any LSN that is still there, record by record, across segments: the source of replication. Confined
/// to one thread; any number of tails can follow one log, and none of them holds the writer up.
///
/// It reads only what is durable: a follower must never know more than its leader survives with. Old segments can be given up and reused
/// under it at any time; every record is checked against its segment's id, so a reused file reads as "gone", never as wrong data.
package final class LogTail {
    package enum Progress: Equatable, Sendable {
        /// Nothing durable is left to read.
        case caughtUp
        /// The byte limit was reached; there is more.
        case more
        /// The next record is not in the log any more; the log begins with `oldest`.
        case gone(oldest: LSN)
    }

    static let windowByteCount = 128 << 10

    let segments: LogSegments
    /// The record that is read next.
    package private(set) var nextLSN: LSN
    /// The chain of everything in front of `nextLSN`; nil until the first read has found its place.
    package private(set) var chain: UInt64?
    private var current: (segment: LogSegments.Segment, scanner: LogScanner)?

    package init(segments: LogSegments, from lsn: LSN) {
        precondition(lsn > 0, "records are numbered from 1")
        self.segments = segments
        nextLSN = lsn
    }

    deinit { current?.scanner.file.close() }

    /// Passes the records up to `durable` to `visit`, in order, until their stored bytes reach `byteCountMax`: at least one if there is one.
    package func read(
        upTo durable: LSN, byteCountMax: Int, _ visit: (LogRecord) throws(StorageError) -> Void
    ) throws(StorageError) -> Progress {
        var byteCount = 0
        refresh()
        while nextLSN <= durable {
            guard byteCount < byteCountMax else { return .more }
            switch try next() {
            case .gone(let oldest): return .gone(oldest: oldest)
            case .record(let record):
                try visit(record)
                byteCount += record.header.recordByteCount
                advance(over: record.header)
            }
        }
        return .caughtUp
    }

    /// The chain of everything in front of `nextLSN`, which must be durable; nil when the log does not hold that place any more.
    package func chainInFront() throws(StorageError) -> UInt64? {
        refresh()
        return try scannerAtNext() == nil ? nil : chain
    }

    // MARK: - Steps

    enum Step {
        case record(LogRecord)
        case gone(oldest: LSN)
    }

    /// What was durable at the last look stays in the window, and only what became durable since is read.
    func refresh() {
        guard let current else { return }
        let durable = segments.durableEnd
        let end = segments.segment(id: current.segment.id)?.end?.offset
        current.scanner.refresh(finalEnd: end ?? (durable.segmentID == current.segment.id ? durable.offset : nil))
    }

    /// The record `nextLSN`, which must be durable. Does not move.
    func next() throws(StorageError) -> Step {
        while true {
            guard let scanner = try scannerAtNext() else { return .gone(oldest: segments.oldestLSN(after: nextLSN)) }
            let (decoded, bytes) = try scanner.peek()
            guard case .record(let header) = decoded else {
                guard segments.segment(id: scanner.fileID) != nil else {
                    return .gone(oldest: segments.oldestLSN(after: nextLSN))
                }
                throw damage(scanner, "the durable record with LSN \(nextLSN) cannot be read: \(decoded)")
            }
            guard header.type?.consumesLSN == true else {
                scanner.move(to: scanner.offset + UInt64(header.recordByteCount))
                continue
            }
            guard header.lsn == nextLSN else { throw damage(scanner, "LSN \(header.lsn) where LSN \(nextLSN) should be") }
            return .record(LogRecord(header: header, segmentID: scanner.fileID, offset: scanner.offset, bytes: bytes))
        }
    }

    /// Moves behind the record that `next` gave.
    func advance(over header: RecordHeader) {
        let scanner = current!.scanner
        scanner.move(to: scanner.offset + UInt64(header.recordByteCount))
        nextLSN = header.lsn + 1
        chain = LogChain.advanced(chain!, by: header.recordHash)
    }

    /// The scanner in front of the next record or a note before it; nil when no segment holds that record.
    private func scannerAtNext() throws(StorageError) -> LogScanner? {
        guard let segment = segments.segment(holding: nextLSN), segment.end.map({ nextLSN <= $0.lsn }) ?? true else { return nil }
        if let current, current.segment.id == segment.id { return current.scanner }
        current?.scanner.file.close()
        current = nil
        let file: any File
        do throws(StorageError) {
            file = try segments.fileSystem.open(segments.path(of: segment.id), .read)
        } catch {
            if segments.segment(id: segment.id) == nil { return nil }
            throw error
        }
        let mark = segments.mark(upTo: nextLSN - 1, inSegment: segment.id)
        let scanner = LogScanner(
            file: file, fileID: segment.id, from: mark?.offset ?? UInt64(LogFileHeader.blockByteCount),
            limit: try file.byteCount(), windowByteCount: LogTail.windowByteCount)
        current = (segment, scanner)
        chain = mark?.chain ?? segment.startChain
        refresh()
        return try seek(scanner, from: mark.map { $0.lsn + 1 } ?? segment.firstLSN) ? scanner : nil
    }

    /// Steps over the records before the next one. False when the segment was given up meanwhile.
    private func seek(_ scanner: LogScanner, from firstLSN: LSN) throws(StorageError) -> Bool {
        var lsn = firstLSN
        while lsn < nextLSN {
            guard case .record(let header) = try scanner.peek().record else {
                if segments.segment(id: scanner.fileID) == nil { return false }
                throw damage(scanner, "the record with LSN \(lsn) cannot be read")
            }
            scanner.move(to: scanner.offset + UInt64(header.recordByteCount))
            guard header.type?.consumesLSN == true else { continue }
            guard header.lsn == lsn else { throw damage(scanner, "LSN \(header.lsn) where LSN \(lsn) should be") }
            chain = LogChain.advanced(chain!, by: header.recordHash)
            lsn += 1
        }
        return true
    }

    private func damage(_ scanner: LogScanner, _ reason: String) -> StorageError {
        .corruption(
            Corruption(
                file: scanner.file.path, offset: scanner.offset, lsn: nextLSN - 1, reason: reason,
                remedy: LogRecovery.remedy(segments.directory)))
    }
}

extension LogSegments {
    /// The first LSN behind `lsn` at which a reader can begin.
    fileprivate func oldestLSN(after lsn: LSN) -> LSN {
        let starts = all.map(\.firstLSN)
        return starts.first { $0 > lsn } ?? starts.last ?? lsn
    }
}
