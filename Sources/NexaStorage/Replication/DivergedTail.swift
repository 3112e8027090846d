// What the log of a store holds that the copy which is to take its place does not: writes that this node took as a leader and that the
// new leader never saw. They are kept in a rollback file before the store is removed, as `LogTruncation` keeps what it cuts.
//
// Invariants: nothing of the store is changed; running it again after a crash writes the same file again. A store that cannot be read
// gives up what cannot be read: a full copy is the remedy for damage, and must not fail because of it.

/// The end of a log that another history does not have.
struct DivergedTail {
    private let layout: StoreLayout
    private let fileSystem: any FileSystem
    private let state: ManifestState
    private let storeUUID: StoreUUID

    /// Nil: there is no store, or what its manifest says cannot be read.
    init?(_ layout: StoreLayout, fileSystem: any FileSystem) throws(StorageError) {
        self.layout = layout
        self.fileSystem = fileSystem
        do throws(StorageError) {
            guard let state = try ManifestReader.read(directory: layout.directory, fileSystem: fileSystem)?.state,
                let storeUUID = state.storeUUID
            else { return nil }
            self.state = state
            self.storeUUID = storeUUID
        } catch {
            if error.isDamage { return nil }
            throw error
        }
    }

    /// Keeps the records behind the place where the log and the checkpoint's history part; a path of nil when there are none.
    func keep(against checkpoint: CheckpointManifest) throws(StorageError) -> String? {
        do throws(StorageError) {
            var history = state.epochs
            let log = try recover { record throws(StorageError) in
                if record.header.epoch > history.last?.epoch ?? 1 {
                    history.append(EpochStart(epoch: record.header.epoch, firstLSN: record.header.lsn))
                }
            }
            let common =
                storeUUID == checkpoint.storeUUID
                ? history.commonPoint(end: log.end.lsn, other: checkpoint.epochs, otherEnd: checkpoint.point.lsn) : 0
            guard log.end.lsn > common, let first = log.segments.first else { return nil }
            return try copy(from: max(common + 1, first.firstLSN), of: log)
        } catch {
            if error.isDamage { return nil }
            throw error
        }
    }

    private func recover(_ visit: @escaping (LogRecord) throws(StorageError) -> Void) throws(StorageError) -> RecoveredLog {
        try LogRecovery.recover(
            directory: layout.logDirectory, fileSystem: fileSystem, storeUUID: storeUUID, evidence: state.logEvidence,
            makesDurable: false
        ) { record, _ throws(StorageError) in try visit(record) }
    }

    /// Nil when the log holds none of them any more.
    private func copy(from firstLSN: LSN, of log: RecoveredLog) throws(StorageError) -> String? {
        guard firstLSN <= log.end.lsn else { return nil }
        let segments = LogSegments(
            directory: layout.logDirectory, fileSystem: fileSystem, options: LogOptions(preparesInBackground: false),
            segments: log.segments, marks: log.marks)
        guard let chain = try LogTail(segments: segments, from: firstLSN).chainInFront() else { return nil }
        let writer = try RollbackWriter(layout: layout, fileSystem: fileSystem)
        do throws(StorageError) {
            _ = try recover { record throws(StorageError) in
                if record.header.lsn >= firstLSN { try writer.append(record.portable) }
            }
            return try writer.finish(
                RollbackFile(
                    storeUUID: storeUUID, firstLSN: firstLSN, lastLSN: log.end.lsn, epoch: log.end.epoch,
                    recordsByteCount: writer.byteCount, previousChain: chain, chain: log.end.chain))
        } catch {
            writer.abandon()
            throw error
        }
    }
}

extension StorageError {
    /// What the files hold is the reason, not the system.
    fileprivate var isDamage: Bool {
        switch self {
        case .corruption, .unsupportedFormat: true
        default: false
        }
    }
}
