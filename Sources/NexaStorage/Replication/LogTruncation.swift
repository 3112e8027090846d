// Cuts the tail of a stopped store's log, which another leader's history does not have, and keeps it in a rollback file.
//
//     1  read the whole log as recovery would        3  begin a new segment that continues the log at the cut: this is the cut
//     2  rollback file: written, synced, named       4  the next open forgets cut epochs and marks, and removes what no segment
//                                                       continues
//
// Invariants: no file of the log is changed; until the header of the new segment is durable the log is the old one, whole; before
// that the copy is. So a crash leaves the old log or the new one, and running it again is right in both cases. Only what no
// table holds can be cut.

import Glibc

/// Why a log was not cut. Nothing was changed.
package enum TruncationError: Error, Equatable, Sendable {
    /// Tables hold records up to this LSN, beyond the cut: the node needs a snapshot.
    case needsSnapshot(tablesReach: LSN)
    /// The log does not hold this position: it ends here.
    case notInLog(end: LogPosition)
    /// The record at that LSN is of another history.
    case otherHistory(LogPoint)
    case storage(StorageError)
}

/// What a truncation did.
package struct TruncationReport: Equatable, Sendable {
    /// Where the log ends now.
    package var end: LogPoint
    package var cutRecordCount: UInt64
    /// The copy of what was cut; nil when nothing was.
    package var rollbackPath: String?
}

package enum LogTruncation {
    /// Cuts everything behind `position`; with `chain` the history up to there must be the one that the caller knows. Takes the store's lock.
    /// Does nothing when the log ends there.
    package static func truncate(
        directory: String, fileSystem: any FileSystem, after position: LogPosition, chain: UInt64? = nil
    ) throws(TruncationError) -> TruncationReport {
        do {
            let layout = StoreLayout(directory: directory)
            let lock = try fileSystem.lockFile(layout.lockPath)
            defer { lock.release() }
            guard let manifest = try ManifestReader.read(directory: directory, fileSystem: fileSystem)?.state,
                let storeUUID = manifest.storeUUID
            else { throw StorageError.io(operation: "find a manifest in", path: directory, errno: ENOENT) }
            guard manifest.flushedLSN <= position.lsn else {
                throw TruncationError.needsSnapshot(tablesReach: manifest.flushedLSN)
            }
            let epochs = manifest.epochs.kept(through: position.lsn)
            let cut = Cut(
                position: position, layout: layout, fileSystem: fileSystem, storeUUID: storeUUID,
                manifestEpoch: epochs.last?.epoch ?? 1)
            return try cut.run(evidence: manifest.logEvidence, chain: chain)
        } catch let error as StorageError {
            throw .storage(error)
        } catch let error as TruncationError {
            throw error
        } catch {
            preconditionFailure("\(error)")
        }
    }
}

/// One truncation. Confined to a thread.
private final class Cut {
    private let position: LogPosition
    private let layout: StoreLayout
    private let fileSystem: any FileSystem
    private let storeUUID: StoreUUID
    /// Of the last record before the log's first segment.
    private let manifestEpoch: Epoch
    /// Where the last record that stays ends; nil when the log's first segment begins behind it.
    private var kept: (segmentID: UInt64, offset: UInt64, epoch: Epoch)?
    private var writer: RollbackWriter?

    init(
        position: LogPosition, layout: StoreLayout, fileSystem: any FileSystem, storeUUID: StoreUUID, manifestEpoch: Epoch
    ) {
        self.position = position
        self.layout = layout
        self.fileSystem = fileSystem
        self.storeUUID = storeUUID
        self.manifestEpoch = manifestEpoch
    }

    func run(evidence: DurableEvidence, chain: UInt64?) throws -> TruncationReport {
        do {
            let log = try LogRecovery.recover(
                directory: layout.logDirectory, fileSystem: fileSystem, storeUUID: storeUUID, evidence: evidence
            ) { record, _ throws(StorageError) in
                try self.take(record)
            }
            guard let end = try keptEnd(log) else {
                throw TruncationError.notInLog(end: LogPosition(epoch: log.end.epoch, lsn: log.end.lsn))
            }
            guard end.epoch == position.epoch, chain.map({ $0 == end.chain }) ?? true else {
                throw TruncationError.otherHistory(LogPoint(end))
            }
            guard let writer else { return TruncationReport(end: LogPoint(end), cutRecordCount: 0) }
            let header = RollbackFile(
                storeUUID: storeUUID, firstLSN: position.lsn + 1, lastLSN: log.end.lsn, epoch: log.end.epoch,
                recordsByteCount: writer.byteCount, previousChain: end.chain, chain: log.end.chain)
            let path = try writer.finish(header)
            try beginSegment(after: end, id: log.nextSegmentID)
            return TruncationReport(end: LogPoint(end), cutRecordCount: header.recordCount, rollbackPath: path)
        } catch {
            writer?.abandon()
            throw error
        }
    }

    private func take(_ record: LogRecord) throws(StorageError) {
        let header = record.header
        if header.lsn <= position.lsn {
            kept = (record.segmentID, record.offset + UInt64(header.recordByteCount), header.epoch)
        } else {
            if writer == nil { writer = try RollbackWriter(layout: layout, fileSystem: fileSystem) }
            try writer!.append(record.portable)
        }
    }

    /// The place of the cut, with the chain there; nil when the log does not hold it.
    private func keptEnd(_ log: RecoveredLog) throws(StorageError) -> LogEnd? {
        if position.lsn == log.end.lsn { return log.end }
        guard let first = log.segments.first, position.lsn < log.end.lsn, position.lsn + 1 >= first.firstLSN else { return nil }
        let segments = LogSegments(
            directory: layout.logDirectory, fileSystem: fileSystem, options: LogOptions(preparesInBackground: false),
            segments: log.segments, marks: log.marks)
        guard let chain = try LogTail(segments: segments, from: position.lsn + 1).chainInFront() else { return nil }
        let place = kept ?? (first.id, UInt64(LogFileHeader.blockByteCount), manifestEpoch)
        return LogEnd(segmentID: place.segmentID, offset: place.offset, lsn: position.lsn, chain: chain, epoch: place.epoch)
    }

    private func beginSegment(after end: LogEnd, id: UInt64) throws(StorageError) {
        let segments = LogSegments(
            directory: layout.logDirectory, fileSystem: fileSystem, options: LogOptions(preparesInBackground: false))
        try LogWriter.start(after: end, segmentID: id, storeUUID: storeUUID, segments: segments).close()
    }
}
