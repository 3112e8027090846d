/// Gives up what a damaged log holds behind its first unreadable place, so that the store opens again. Only ever on a person's word: what is
/// given up was acknowledged.
///
/// Nothing is deleted or cut. Later segments get the suffix `.lost`; the damaged one stays as it is, and a new segment's header says where it
/// ends, as after a torn tail. The manifest then forgets that the log once reached further. Each step can be repeated after a crash.
package enum LogSalvage {
    package struct Report: Equatable, Sendable {
        /// Why the log could not be opened.
        package var problem: String
        /// The last record that is kept.
        package var keptLSN: LSN
        /// The highest LSN that is known to have been durable: at least the records between the two are lost.
        package var provenLSN: LSN
        /// Files that the store does not use any more.
        package var setAside: [String]
    }

    package static let lostSuffix = ".lost"

    /// Nil when the log opens and there is nothing to give up. The caller holds the store's lock.
    package static func run(layout: StoreLayout, fileSystem: any FileSystem) throws(StorageError) -> Report? {
        guard let manifest = try ManifestReader.read(directory: layout.directory, fileSystem: fileSystem),
            let storeUUID = manifest.state.storeUUID
        else { return nil }
        let evidence = manifest.state.logEvidence
        let problem: String
        do throws(StorageError) {
            _ = try LogRecovery.recover(
                directory: layout.logDirectory, fileSystem: fileSystem, storeUUID: storeUUID, evidence: evidence,
                makesDurable: false
            ) { _, _ in }
            return nil
        } catch .corruption(let corruption) {
            problem = "\(corruption.file) at offset \(corruption.offset): \(corruption.reason)"
        }
        let readable = try LogRecovery.readablePrefix(
            directory: layout.logDirectory, fileSystem: fileSystem, storeUUID: storeUUID, evidence: evidence)
        let plan = try Plan(readable, evidence, layout, fileSystem)
        for name in plan.lost {
            try fileSystem.rename(
                Path.join(layout.logDirectory, name), to: Path.join(layout.logDirectory, name + lostSuffix))
        }
        try fileSystem.syncDirectory(layout.logDirectory)
        let mark = try beginSegment(plan, storeUUID, layout, fileSystem)
        try forget(plan, mark, manifest, layout, fileSystem)
        return Report(problem: problem, keptLSN: plan.end.lsn, provenLSN: evidence.provenLSN, setAside: plan.lost)
    }

    /// Where the log goes on, and without which files.
    private struct Plan {
        var end: LogEnd
        var segmentID: UInt64
        /// False when tables hold more than the log: it begins anew behind them.
        var isLinked: Bool
        var lost: [String]

        init(
            _ readable: LogEnd?, _ evidence: DurableEvidence, _ layout: StoreLayout, _ fileSystem: any FileSystem
        ) throws(StorageError) {
            let ids = try fileSystem.list(layout.logDirectory).compactMap(LogFileName.segmentID).filter { $0 >= evidence.walLow }
            if let readable, readable.lsn >= evidence.flushedLSN, readable.segmentID > 0 {
                end = readable
                isLinked = true
            } else {
                end = LogEnd(
                    segmentID: 0, offset: 0, lsn: evidence.flushedLSN, chain: readable?.chain ?? LogChain.start,
                    epoch: readable?.epoch ?? 0)
                isLinked = false
            }
            segmentID = isLinked ? end.segmentID + 1 : max(ids.max() ?? 0, evidence.walLow, evidence.mark?.segmentID ?? 0) + 1
            let keptID = end.segmentID
            lost = ids.filter { $0 > keptID }.map(LogFileName.segment)
        }
    }

    private static func beginSegment(
        _ plan: Plan, _ storeUUID: StoreUUID, _ layout: StoreLayout, _ fileSystem: any FileSystem
    ) throws(StorageError) -> DurableMark {
        let segments = LogSegments(
            directory: layout.logDirectory, fileSystem: fileSystem, options: LogOptions(preparesInBackground: false))
        let writer = try LogWriter.start(
            after: plan.end, segmentID: plan.segmentID, isLinked: plan.isLinked, storeUUID: storeUUID, segments: segments)
        let mark = writer.end.durableMark
        try writer.close()
        return mark
    }

    private static func forget(
        _ plan: Plan, _ mark: DurableMark, _ recovered: RecoveredManifest, _ layout: StoreLayout, _ fileSystem: any FileSystem
    ) throws(StorageError) {
        let manifest = try ManifestWriter.start(after: recovered, directory: layout.directory, fileSystem: fileSystem)
        defer { manifest.close() }
        var edit = VersionEdit()
        edit.durableMark = mark
        if !plan.isLinked { edit.walLow = plan.segmentID }
        try manifest.append(edit)
    }
}
