// The reading half of opening a store: from files to the parts of an engine. Confined to the opening thread.

/// Recovers one store.
final class StoreOpener {
    private let layout: StoreLayout
    private let fileSystem: any FileSystem
    private let options: EngineOptions
    private let plan: MemoryPlan
    private let cache: BlockCache
    private let manifest: ManifestWriter
    private let tableStore: TableStore
    private var version: Version
    private var active: MemTableSlot
    private var nextMemTableID: UInt64 = 2
    private var flushedLSN: LSN
    private var epochs: [EpochStart]
    /// Segments that the manifest does not need any more, to be given up after a successful open.
    private(set) var obsoleteSegments: [UInt64] = []

    init(layout: StoreLayout, fileSystem: any FileSystem, options: EngineOptions) throws(StorageError) {
        self.layout = layout
        self.fileSystem = fileSystem
        self.options = options
        plan = MemoryPlan(options)
        cache = BlockCache(capacity: plan.cacheByteCount, blockByteCount: options.blockByteCount)
        manifest = try Self.openManifest(layout: layout, fileSystem: fileSystem, options: options)
        let state = manifest.state
        var tableOptions = TableOptions()
        tableOptions.blockByteCount = options.blockByteCount
        tableOptions.filterBitsPerKey = options.filterBitsPerKey
        tableOptions.compresses = options.compressesBlocks
        if let uuid = state.storeUUID { tableOptions.storeUUID = uuid }
        let store = TableStore(
            layout: layout, fileSystem: fileSystem, cache: cache, options: tableOptions,
            nextNumber: Self.firstFreeNumber(atLeast: state.nextFile, layout: layout, fileSystem: fileSystem))
        tableStore = store
        let handles = state.files.values.map { (level: $0.level, table: TableHandle($0, store: store)) }
        version = Version.empty.applying(added: handles, removed: [])
        flushedLSN = state.flushedLSN
        epochs = state.epochs
        active = MemTableSlot(
            table: try MemTable(capacity: plan.memTableByteCount, id: 1), firstLSN: state.flushedLSN + 1)
    }

    /// The manifest that counts, continued; or that of a new store.
    private static func openManifest(
        layout: StoreLayout, fileSystem: any FileSystem, options: EngineOptions
    ) throws(StorageError) -> ManifestWriter {
        let size = ManifestOptions(byteCountMin: options.manifestByteCount)
        if let recovered = try ManifestReader.read(directory: layout.directory, fileSystem: fileSystem) {
            return try ManifestWriter.start(
                after: recovered, directory: layout.directory, fileSystem: fileSystem, options: size)
        }
        var initial = VersionEdit()
        initial.storeUUID = options.storeUUID ?? .random()
        initial.epochs = [EpochStart(epoch: 1, firstLSN: 1)]
        return try ManifestWriter.create(
            directory: layout.directory, fileSystem: fileSystem, initial: initial, options: size)
    }

    /// Replay may write tables before the orphans of a crash are removed, so it numbers them behind those, too.
    private static func firstFreeNumber(atLeast number: UInt64, layout: StoreLayout, fileSystem: any FileSystem) -> UInt64 {
        let names = (try? fileSystem.list(layout.tableDirectory)) ?? []
        return names.compactMap(StoreLayout.tableNumber).reduce(number) { max($0, $1 &+ 1) }
    }

    private var storeUUID: StoreUUID { manifest.state.storeUUID ?? StoreUUID(high: 0, low: 0) }

    /// Reads the log and starts a new segment behind it.
    func recover(lock: any FileLock) throws(StorageError) -> Engine.Parts {
        for table in version.allTables { try checkPresence(of: table.file) }
        let state = manifest.state
        var reporter = RecoveryReporter(options, layout: layout, fileSystem: fileSystem, walLow: state.walLow)
        let recovered = try LogRecovery.recover(
            directory: layout.logDirectory, fileSystem: fileSystem, storeUUID: storeUUID, evidence: state.logEvidence
        ) { record, payload throws(StorageError) in
            reporter.note(record)
            try self.replay(record, payload)
        }
        obsoleteSegments = recovered.obsolete
        let logOptions = LogOptions(
            segmentByteCount: options.segmentByteCount, preparesInBackground: options.backgroundWork == .threads)
        let segments = LogSegments(
            directory: layout.logDirectory, fileSystem: fileSystem, options: logOptions, segments: recovered.segments,
            marks: recovered.marks)
        // Tables may hold acknowledged records that the log lost when its last sync failed: it goes on behind them.
        let isLinked = recovered.end.lsn >= flushedLSN
        var end = recovered.end
        end.lsn = max(end.lsn, flushedLSN)
        epochs = epochs.kept(through: end.lsn)
        end.epoch = max(end.epoch, epochs.last?.epoch ?? 1)
        let writer = try LogWriter.start(
            after: end, segmentID: recovered.nextSegmentID, isLinked: isLinked, storeUUID: storeUUID,
            segments: segments)
        try testify(about: writer, low: isLinked ? recovered.segments.first?.id : nil)

        let pipeline = CommitPipeline(
            options: options, plan: plan, lastLSN: end.lsn, epoch: end.epoch, active: active,
            memTableCount: 1, nextMemTableID: nextMemTableID)
        return Engine.Parts(
            options: options, layout: layout, recoverySummary: recovered.summary, storeUUID: storeUUID,
            fileSystem: fileSystem, plan: plan, lock: lock,
            views: ViewStore(View(memTables: [active], version: version, floor: end.lsn)), tableStore: tableStore,
            segments: segments, pipeline: pipeline, log: LogRole(pipeline: pipeline, writer: writer), manifest: manifest,
            epochs: EpochHistory(epochs))
    }

    /// A table is opened when it is read; that it is there, whole in length, is known from the start.
    private func checkPresence(of table: TableFile) throws(StorageError) {
        let path = layout.tablePath(table.number)
        let reason: String
        if !fileSystem.exists(path) {
            reason = "the manifest names this table, and it is missing"
        } else if try fileSystem.byteCount(of: path) != table.byteCount {
            reason = "the manifest says that this table has \(table.byteCount) bytes, and it has not"
        } else {
            return
        }
        throw .corruption(
            Corruption(file: path, offset: 0, reason: reason, remedy: "Restore a backup or copy from a replica."))
    }

    /// Each open names the segment that it began, and the lowest that is needed: from now on neither can get lost unnoticed. Behind a
    /// segment that begins the log anew (after a failed sync) the older ones are given up, so the manifest must not name them any more.
    private func testify(about writer: LogWriter, low: UInt64?) throws(StorageError) {
        var edit = VersionEdit()
        let low = low ?? writer.end.segmentID
        if low > manifest.state.walLow { edit.walLow = low }
        edit.durableMark = writer.end.durableMark
        edit.nextFile = tableStore.nextFileNumber
        // The log was cut: the manifest still knows epochs that began behind the cut.
        if manifest.state.epochs.contains(where: { !epochs.contains($0) }) { edit.epochsEnd = writer.end.lsn }
        try manifest.append(edit)
    }

    // MARK: - Replay

    private func replay(_ record: LogRecord, _ payload: UnsafeRawBufferPointer) throws(StorageError) {
        let header = record.header
        if header.type == .epochStart, header.epoch > epochs.last?.epoch ?? 0 {
            epochs.append(EpochStart(epoch: header.epoch, firstLSN: header.lsn))
        }
        guard header.lsn > flushedLSN, header.type == .batch || header.type == .ddl else { return }
        let counts = try BatchPayload.check(payload, record, directory: layout.logDirectory)
        let needed = CommitPipeline.arenaByteCountMax(payloadByteCount: payload.count, operationCount: counts.operations)
        let tombstones = active.table.rangeTombstones.tombstones.count + counts.rangeDeletes
        if !active.hasRoom(for: needed) || tombstones > CommitPipeline.rangeDeleteCountMax {
            try flushActive(before: record, capacityAtLeast: needed)
        }
        CommitPipeline.apply(payload, to: active.table, lsn: header.lsn)
    }

    /// A memtable is full in the middle of replay: it becomes a table now, so that memory stays bounded. The log is synced
    /// first (older segments were when they were ended), for a table never holds what the log could still lose.
    private func flushActive(before record: LogRecord, capacityAtLeast byteCount: Int) throws(StorageError) {
        let lsn = record.header.lsn
        let lastLSN = lsn - 1
        if !active.table.isEmpty {
            let file = try fileSystem.open(
                Path.join(layout.logDirectory, LogFileName.segment(record.segmentID)), .readWrite)
            defer { file.close() }
            try file.sync()
            let plan = MergePlan(
                outputLevel: 0, boundaries: RetentionBoundaries(pinned: [], visible: lastLSN),
                tombstones: active.table.rangeTombstones.tombstones, below: nil, alignment: [], tableByteCount: .max / 64)
            let files = try MergeJob.run(active.table.makeIterator(), store: tableStore, plan: plan) {}
            var edit = VersionEdit()
            edit.added = files
            edit.flushedLSN = lastLSN
            edit.nextFile = tableStore.nextFileNumber
            try manifest.append(edit)
            flushedLSN = lastLSN
            version = version.applying(added: files.map { (level: 0, table: TableHandle($0, store: tableStore)) }, removed: [])
        }
        let capacity = max(plan.memTableByteCount, byteCount + CommitPipeline.tableOverhead)
        active = MemTableSlot(table: try MemTable(capacity: capacity, id: nextMemTableID), firstLSN: lsn)
        nextMemTableID += 1
    }
}
