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

    private let segments: LogSegments
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
        current?.scanner.refresh()
        while nextLSN <= durable {
            guard byteCount < byteCountMax else { return .more }
            guard let scanner = try scannerAtNext() else { return .gone(oldest: segments.oldestLSN(after: nextLSN)) }
            let (decoded, bytes) = try scanner.peek()
            guard case .record(let header) = decoded else {
                return try explain(decoded, scanner)
            }
            let offset = scanner.offset
            scanner.move(to: offset + UInt64(header.recordByteCount))
            guard header.type?.consumesLSN == true else { continue }
            guard header.lsn == nextLSN else { throw damage(scanner, "LSN \(header.lsn) where LSN \(nextLSN) should be") }
            try visit(LogRecord(header: header, segmentID: scanner.fileID, offset: offset, bytes: bytes))
            byteCount += header.recordByteCount
            advance(over: header)
        }
        return .caughtUp
    }

    private func advance(over header: RecordHeader) {
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
        let scanner = LogScanner(
            file: file, fileID: segment.id, from: UInt64(LogFileHeader.blockByteCount), limit: try file.byteCount(),
            windowByteCount: LogTail.windowByteCount)
        current = (segment, scanner)
        chain = segment.startChain
        return try seek(scanner, from: segment.firstLSN) ? scanner : nil
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

    /// What it means that a durable record is not where it should be.
    private func explain(_ decoded: DecodedRecord, _ scanner: LogScanner) throws(StorageError) -> Progress {
        guard segments.segment(id: scanner.fileID) != nil else { return .gone(oldest: segments.oldestLSN(after: nextLSN)) }
        throw damage(scanner, "the durable record with LSN \(nextLSN) cannot be read: \(decoded)")
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
