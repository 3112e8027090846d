/// What recovery found.
package struct RecoveredLog: Sendable {
    /// The last record that counts. Writing goes on behind it, in segment `nextSegmentID`. Where tables hold more than the log (after a
    /// failed sync), it goes on behind them instead, not linked.
    package var end: LogEnd
    package var nextSegmentID: UInt64
    package var segments: [LogSegments.Segment]
    /// Remembered places in these segments, in LSN order.
    package var marks: [LogMark]
    /// `.clean` or `.tornTail`.
    package var tail: TailDecision
    /// Bytes behind the end that were written, were never acknowledged, and do not count.
    package var droppedByteCount: UInt64
    package var recordCount: Int
    /// Segments below the manifest's lowest one, to be given up with `LogSegments.retire`.
    package var obsolete: [UInt64]

    /// One line for the start-up message.
    package var summary: String {
        let place = "segment \(Hex.string(end.segmentID)) offset \(end.offset) LSN \(end.lsn)"
        return tail == .tornTail
            ? "\(recordCount) records, torn tail of \(droppedByteCount) bytes behind \(place)"
            : "\(recordCount) records, ends clean at \(place)"
    }
}

/// Reads the log back after a stop or a crash. Never writes, never truncates: a torn tail stays as it is on disk, and the next segment's
/// header says where the old one ended.
///
/// Order of checks: names and headers of all segments, the links between them, then every record in LSN order (place, hash, epoch, chain),
/// then `TailDecision` at the end of each segment. Damage throws `corruption` with file, offset, last good LSN and remedy; nothing that
/// was recovered up to there may be used then.
package final class LogRecovery {
    private let directory: String
    private let fileSystem: any FileSystem
    private var evidence: DurableEvidence
    private let contents: LogContents
    private let visit: (LogRecord, UnsafeRawBufferPointer) throws(StorageError) -> Void
    private let expander = PayloadExpander()
    private var end = LogEnd.empty
    private var recordCount = 0
    /// Reads a file that was cut as far as it goes.
    private var salvages = false
    private var lastNote: LogNote?
    private var segments: [LogSegments.Segment] = []
    private var marks: [LogMark] = []

    /// Reads all records from the manifest's lowest segment on and passes each batch, with its expanded payload, to `visit` in LSN order.
    /// Bytes are borrowed until `visit` returns; what it throws ends recovery.
    ///
    /// With `makesDurable` the newest segment is synced before returning: what a crashed process left in the system's memory only, and
    /// what readers may now see, must not be lost by a later power cut. Tools that only look pass false.
    package static func recover(
        directory: String, fileSystem: any FileSystem, storeUUID: StoreUUID, evidence: DurableEvidence, makesDurable: Bool = true,
        visit: @escaping (LogRecord, UnsafeRawBufferPointer) throws(StorageError) -> Void
    ) throws(StorageError) -> RecoveredLog {
        let contents = try LogContents.read(
            directory: directory, fileSystem: fileSystem, walLow: evidence.walLow, storeUUID: storeUUID)
        let recovery = LogRecovery(
            directory: directory, fileSystem: fileSystem, evidence: evidence, contents: contents, visit: visit)
        return try recovery.run(makesDurable: makesDurable)
    }

    private init(
        directory: String, fileSystem: any FileSystem, evidence: DurableEvidence, contents: LogContents,
        visit: @escaping (LogRecord, UnsafeRawBufferPointer) throws(StorageError) -> Void
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.evidence = evidence
        self.contents = contents
        self.visit = visit
    }

    /// What every report of log damage tells the reader to do.
    static func remedy(_ logDirectory: String) -> String {
        let store = Path.directory(of: logDirectory)
        return
            "Nothing was changed. `nexadb check \(store)` shows what is readable; restore a backup or copy from a replica, or give up "
            + "what lies behind this place with `nexadb check --salvage-log \(store)`."
    }

    private func run(makesDurable: Bool) throws(StorageError) -> RecoveredLog {
        let needed = try neededSegments()
        guard let first = needed.first else { return try withoutSegments() }
        end = LogEnd(
            segmentID: 0, offset: 0, lsn: first.header.firstLSN - 1, chain: first.header.previous.chain, epoch: first.header.epoch
        )
        var tail = TailDecision.clean
        var dropped: UInt64 = 0
        for index in needed.indices {
            let isNewest = index == needed.count - 1
            (tail, dropped) = try read(
                needed[index], next: isNewest ? nil : needed[index + 1], makesDurable: makesDurable && isNewest)
        }
        let newest = needed.last!.id
        return RecoveredLog(
            end: end, nextSegmentID: newest + 1, segments: segments, marks: marks, tail: tail, droppedByteCount: dropped,
            recordCount: recordCount,
            obsolete: contents.obsolete + contents.begun.map(\.id).filter { id in !needed.contains { $0.id == id } })
    }
}

// MARK: - Which segments

extension LogRecovery {
    /// The segments to read, oldest first, with their links checked.
    private func neededSegments() throws(StorageError) -> [LogContents.BegunSegment] {
        guard let newest = contents.begun.last else { return [] }
        if let mark = evidence.mark, mark.segmentID > newest.id { throw missingSegment(mark.segmentID) }
        let needed = try path(to: newest)
        let first = needed[0]
        let beginsAnew = first.header.previous.segmentID == 0 && contents.begun[0].id < first.id
        guard evidence.walLow == 0 || beginsAnew || first.id == evidence.walLow else { throw missingSegment(evidence.walLow) }
        forgetMarkBehindCut(needed)
        guard first.header.firstLSN <= evidence.flushedLSN + 1, first.header.firstLSN > 0 else {
            throw damage(
                first.id, 0,
                "it begins with LSN \(first.header.firstLSN), and tables hold only what is up to LSN \(evidence.flushedLSN)")
        }
        return needed
    }

    /// From the newest segment back over those that each continues, to the one where the log begins. Segments beside this path were cut
    /// off by `LogTruncation`: nothing continues them.
    private func path(to newest: LogContents.BegunSegment) throws(StorageError) -> [LogContents.BegunSegment] {
        var path = [newest]
        // A segment that continues none begins the log anew: tables hold everything before it.
        while let previous = path.last?.header.previous.segmentID, previous != 0, path.last?.id != evidence.walLow {
            if let segment = contents.begun.first(where: { $0.id == previous }) {
                path.append(segment)
            } else if contents.begun[0].id < path.last!.id {
                // What comes before the gap is all that a salvage can have.
                if salvages, let below = contents.begun.last(where: { $0.id < newest.id }) { return try self.path(to: below) }
                throw damage(previous, 0, "segments before and after it are there, and it is missing or has no header")
            } else {
                break
            }
        }
        return path.reversed()
    }

    /// A later segment that says that the log ends before the manifest's mark cut it off there.
    private func forgetMarkBehindCut(_ needed: [LogContents.BegunSegment]) {
        guard let mark = evidence.mark else { return }
        let isCut = needed.contains {
            $0.id > mark.segmentID && $0.header.previous.segmentID != 0 && $0.header.previous.lsn < mark.lsn
        }
        if isCut { evidence.mark = nil }
    }

    /// Where the records end that can be read from the log's beginning without a gap, whatever is known to be missing behind them. Nil
    /// when even the first segment is lost.
    static func readablePrefix(
        directory: String, fileSystem: any FileSystem, storeUUID: StoreUUID, evidence: DurableEvidence
    ) throws(StorageError) -> LogEnd? {
        let contents = try LogContents.read(
            directory: directory, fileSystem: fileSystem, walLow: evidence.walLow, storeUUID: storeUUID, leavesOutDamage: true)
        let recovery = LogRecovery(
            directory: directory, fileSystem: fileSystem,
            evidence: DurableEvidence(walLow: evidence.walLow, flushedLSN: evidence.flushedLSN), contents: contents
        ) { _, _ in }
        recovery.salvages = true
        do throws(StorageError) {
            return try recovery.run(makesDurable: false).end
        } catch .corruption {
            return recovery.end.segmentID > 0 ? recovery.end : nil
        }
    }

    private func withoutSegments() throws(StorageError) -> RecoveredLog {
        guard evidence.walLow == 0 else { throw missingSegment(evidence.walLow) }
        guard evidence.provenLSN <= evidence.flushedLSN else { throw missingSegment(evidence.mark?.segmentID ?? 1) }
        let mark = evidence.mark?.lsn == evidence.flushedLSN ? evidence.mark : nil
        return RecoveredLog(
            end: LogEnd(
                segmentID: mark?.segmentID ?? 0, offset: mark?.offset ?? 0, lsn: evidence.flushedLSN,
                chain: mark?.chain ?? LogChain.start,
                epoch: 0),
            nextSegmentID: max(contents.highestID, mark?.segmentID ?? 0) + 1, segments: [], marks: [], tail: .clean,
            droppedByteCount: 0,
            recordCount: 0, obsolete: contents.obsolete)
    }

    private func missingSegment(_ id: UInt64) -> StorageError {
        damage(id, 0, "the manifest needs this segment, and it is missing or has no header")
    }

    private func damage(_ segmentID: UInt64, _ offset: UInt64, _ reason: String) -> StorageError {
        .corruption(
            Corruption(
                file: Path.join(directory, LogFileName.segment(segmentID)), offset: offset, lsn: end.lsn, reason: reason,
                remedy: LogRecovery.remedy(directory)))
    }
}

// MARK: - One segment

extension LogRecovery {
    private func read(
        _ segment: LogContents.BegunSegment, next: LogContents.BegunSegment?, makesDurable: Bool
    ) throws(StorageError) -> (TailDecision, droppedByteCount: UInt64) {
        let header = segment.header
        // An older segment may be as short as the next one says that it ended.
        guard salvages || segment.byteCount >= next?.header.previous.offset ?? header.fileByteCount else {
            throw damage(segment.id, segment.byteCount, "the file was cut: it had \(header.fileByteCount) bytes")
        }
        guard header.firstLSN == end.lsn + 1, end.segmentID == 0 || header.previous.segmentID == end.segmentID,
            header.previous.lsn == end.lsn, header.previous.chain == end.chain
        else {
            throw damage(segment.id, 0, "its header says that it follows LSN \(header.previous.lsn) of another history")
        }
        let file = try fileSystem.open(Path.join(directory, LogFileName.segment(segment.id)), makesDurable ? .readWrite : .read)
        defer { file.close() }
        let limit = min(segment.byteCount, next?.header.previous.offset ?? segment.byteCount)
        let scanner = LogScanner(file: file, fileID: segment.id, from: UInt64(LogFileHeader.blockByteCount), limit: limit)
        let startChain = end.chain
        end.segmentID = segment.id
        let stop = try readRecords(scanner)
        end.offset = scanner.offset
        var situation = TailDecision.Situation(
            stop: stop, lsn: end.lsn, chain: end.chain, next: next?.header.previous,
            nextFileByteCount: contents.fileByteCount(segment.id + 1),
            provenLSN: max(evidence.provenLSN, try scanner.witnessedLSN()))
        var dropped: UInt64 = 0
        if next == nil, stop.needsLookBehind {
            let remains = try scanner.remains(from: end.offset)
            situation.hasRecordsBehind = remains.headerCount > 0
            situation.durableLSNBehind = remains.durableLSNMax
            dropped = max(remains.recordsEnd, end.offset) - end.offset
        }
        let decision = TailDecision.decide(situation)
        switch decision {
        case .clean, .tornTail: break
        case .damaged(let reason): throw damage(segment.id, end.offset, reason)
        case .refused(let reason): throw .unsupportedFormat(file: file.path, reason: "\(reason) at offset \(end.offset)")
        }
        if makesDurable { try file.sync() }
        segments.append(
            LogSegments.Segment(id: segment.id, firstLSN: header.firstLSN, startChain: startChain, end: end))
        return (decision, decision == .tornTail ? dropped : 0)
    }

    /// Reads to the first place that is not a record of this log, and leaves the scanner there.
    private func readRecords(_ scanner: LogScanner) throws(StorageError) -> TailDecision.Stop {
        while scanner.offset < scanner.limit {
            let (decoded, bytes) = try scanner.peek()
            switch decoded {
            case .record(let header):
                if let reason = try accept(header, bytes, at: scanner.offset) { return .contradiction(reason) }
                scanner.move(to: scanner.offset + UInt64(header.recordByteCount))
                if header.type == .end { return .end(nextFileByteCount: lastNote?.nextFileByteCount ?? 0) }
            case .unsupported(_, let reason): return .unsupported(reason)
            case .fault(.zeros, _), .fault(.headerChecksum, _): return .blank
            case .fault(let fault, _): return .torn(fault)
            case .needsBytes: return .torn(.truncated)
            }
        }
        return .limit
    }

    /// Takes a whole record in; answers how it contradicts what came before, if it does.
    private func accept(_ header: RecordHeader, _ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError)
        -> String?
    {
        guard header.epoch >= end.epoch else { return "epoch \(header.epoch) after epoch \(end.epoch)" }
        guard let type = header.type else { return nil }
        let record = LogRecord(header: header, segmentID: end.segmentID, offset: offset, bytes: bytes)
        guard type.consumesLSN else {
            guard header.lsn == end.lsn else { return "a note about LSN \(header.lsn) after LSN \(end.lsn)" }
            lastNote = LogNote(record.stored)
            return lastNote?.chain == end.chain ? nil : "the chain noted here is not that of the records before it"
        }
        guard type != .manifestEdit else { return "a manifest edit in the log" }
        guard header.lsn == end.lsn + 1 else { return "LSN \(header.lsn) after LSN \(end.lsn)" }
        guard let payload = expander.expand(record.stored, header) else { return "the payload does not expand to its raw length" }
        end.lsn = header.lsn
        end.epoch = header.epoch
        end.chain = LogChain.advanced(end.chain, by: header.recordHash)
        if let mark = evidence.mark, mark.lsn == header.lsn, mark.chain != end.chain {
            return "the manifest remembers another history up to LSN \(mark.lsn)"
        }
        if end.lsn % LogMark.interval == 0 {
            marks.append(
                LogMark(
                    lsn: end.lsn, chain: end.chain, segmentID: end.segmentID, offset: offset + UInt64(header.recordByteCount)))
        }
        recordCount += 1
        try visit(record, payload)
        return nil
    }
}

extension TailDecision.Stop {
    /// Whether what lies behind decides what it means.
    var needsLookBehind: Bool {
        switch self {
        case .torn, .blank, .limit: true
        default: false
        }
    }
}
