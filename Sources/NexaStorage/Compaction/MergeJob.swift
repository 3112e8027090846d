// Writes one merged run of entries as tables: the work that flush and compaction share.
//
// Retention. Boundaries (pinned snapshots, and what is visible) cut history into stripes. In a stripe only the newest version
// of a key is observable, so it is the only one kept; above the last boundary everything is kept. A deletion in the oldest
// stripe is dropped when nothing lies under the output that it could hide; a version that a range tombstone of its own stripe
// hides is dropped; the tombstone itself goes when nothing under the output can be hidden by it. So the data of a dropped
// collection leaves the disk with the compactions that meet its range tombstone.
//
// Cuts. Tables end between two user keys only. Range tombstones are clipped to `cut ..< next cut`, so tables of one level stay
// disjoint.

/// What a merge has to know beside its source.
struct MergePlan {
    /// Level that the tables will be in.
    var outputLevel: Int
    var boundaries: RetentionBoundaries
    /// Range tombstones of all inputs.
    var tombstones: [RangeTombstone]
    /// Tables under the output level, level by level: what deletions may still have to hide. Nil: assume that there is
    /// something everywhere.
    var below: [[TableHandle]]?
    /// Tables of the next level that outputs are aligned with; empty cuts by size alone.
    var alignment: [TableFile]
    /// Bytes of a table, about.
    var tableByteCount: UInt64
    /// Entries above are left out.
    var lsnLimit: LSN = .max
}

/// Runs one merge. Confined to its thread.
struct MergeJob {
    private let store: TableStore
    private let plan: MergePlan
    private let hiding: RangeTombstoneSet
    private var keptTombstones: [RangeTombstone] = []
    private var outputs: [TableFile] = []
    private var paths: [String] = []
    private var open: (writer: TableWriter, file: any File, number: UInt64)?
    /// Where the open table begins; nil before the first cut.
    private var cutKey: [UInt8]?
    private var overlap: NextLevelOverlap
    /// Bytes read from the source since the last call of `pause`.
    private var sincePause = 0

    init(store: TableStore, plan: MergePlan) {
        self.store = store
        self.plan = plan
        hiding = RangeTombstoneSet(plan.tombstones)
        overlap = NextLevelOverlap(plan.alignment)
    }

    /// Writes everything in `source`; `pause` is called about every mebibyte and stops the merge by throwing. The tables are
    /// durable on return, their names too. After an error nothing of them is left.
    static func run(
        _ source: InternalIterator, store: TableStore, plan: MergePlan, pause: () throws(StorageError) -> Void
    ) throws(StorageError) -> [TableFile] {
        var job = MergeJob(store: store, plan: plan)
        do throws(StorageError) {
            try job.merge(source, pause: pause)
            try job.finish()
            return job.outputs
        } catch {
            job.abandon()
            throw error
        }
    }

    // MARK: - Entries

    private mutating func merge(_ source: InternalIterator, pause: () throws(StorageError) -> Void) throws(StorageError) {
        let boundaries = plan.boundaries
        keptTombstones = plan.tombstones.filter { !isUseless($0) }
        var lastKey: [UInt8]?
        var lastStripe = -1
        var lastLSN: LSN = 0
        try source.seekToFirst()
        while source.isValid {
            let lsn = source.lsn
            guard lsn <= plan.lsnLimit else {
                try source.next()
                continue
            }
            let key = source.key
            let stripe = boundaries.stripe(of: lsn)
            let isNewKey = lastKey.map { compareBytes(key, $0) != 0 } ?? true
            if isNewKey {
                lastKey = Array(key)
                try cutIfDue(before: key)
            }
            let isHidden =
                !isNewKey && (lsn == lastLSN || (stripe == lastStripe && !boundaries.isAboveAll(stripe)))
            if !isHidden && !isCovered(key, lsn: lsn, stripe: stripe) && !isUselessDelete(source.kind, key, lsn: lsn) {
                try add(key, lsn: lsn, kind: source.kind, value: source.value)
            }
            lastStripe = stripe
            lastLSN = lsn
            sincePause += key.count + source.value.count + 16
            if sincePause > 1 << 20 {
                sincePause = 0
                try pause()
            }
            try source.next()
        }
    }

    private func isCovered(_ key: UnsafeRawBufferPointer, lsn: LSN, stripe: Int) -> Bool {
        guard !hiding.isEmpty, !plan.boundaries.isAboveAll(stripe) else { return false }
        return hiding.covering(key, at: plan.boundaries.positions[stripe]) > lsn
    }

    private func isUselessDelete(_ kind: OpKind, _ key: UnsafeRawBufferPointer, lsn: LSN) -> Bool {
        guard kind == .delete, plan.boundaries.isOldestStripe(lsn), let below = plan.below else { return false }
        for tables in below where !tables.isEmpty {
            let index = Version.firstIndex(in: tables, notBelow: key)
            if index < tables.count && compareBytes(key, tables[index].file.smallestKey) >= 0 { return false }
        }
        return true
    }

    private func isUseless(_ tombstone: RangeTombstone) -> Bool {
        guard plan.boundaries.isOldestStripe(tombstone.lsn), let below = plan.below else { return false }
        for tables in below {
            for table in tables
            where compareBytes(table.file.smallestKey, tombstone.end) < 0
                && compareBytes(table.file.largestKey, tombstone.start) >= 0
            {
                return false
            }
        }
        return true
    }

    private mutating func add(
        _ key: UnsafeRawBufferPointer, lsn: LSN, kind: OpKind, value: UnsafeRawBufferPointer
    ) throws(StorageError) {
        if open == nil { try openTable() }
        try open!.writer.add(key: key, lsn: lsn, kind: kind, value: value)
    }

    // MARK: - Tables

    private mutating func cutIfDue(before key: UnsafeRawBufferPointer) throws(StorageError) {
        let crossed = overlap.advance(to: key)
        guard let writer = open?.writer else { return }
        let byteCount = writer.estimatedByteCount
        let isDue =
            byteCount >= plan.tableByteCount + plan.tableByteCount / 2
            || (byteCount >= plan.tableByteCount && plan.alignment.isEmpty)
            || (byteCount >= plan.tableByteCount / 2 && crossed)
            || overlap.byteCount > 10 * plan.tableByteCount
        guard isDue else { return }
        let cut = Array(key)
        try finishTable(before: cut)
        cutKey = cut
        overlap.restart()
    }

    private mutating func openTable() throws(StorageError) {
        let number = store.takeFileNumber()
        let path = store.layout.tablePath(number)
        let file = try store.fileSystem.open(path, .createNew)
        paths.append(path)
        let writer = try TableWriter(
            file: file, path: path, fileNumber: number, fileContext: .random(in: .min ... .max), options: store.options)
        open = (writer, file, number)
    }

    /// Closes the open table at `end` (exclusive; nil: the end of all keys), with the range tombstones of its interval.
    private mutating func finishTable(before end: [UInt8]?) throws(StorageError) {
        let clipped = keptTombstones.compactMap { clip($0, from: cutKey, to: end) }
        if open == nil {
            guard !clipped.isEmpty else { return }
            try openTable()
        }
        guard let (writer, file, number) = open else { return }
        for tombstone in clipped { try writer.addRangeTombstone(tombstone) }
        let info = try writer.finish()
        file.close()
        open = nil
        outputs.append(TableFile(info, number: number, level: plan.outputLevel))
    }

    private func clip(_ tombstone: RangeTombstone, from start: [UInt8]?, to end: [UInt8]?) -> RangeTombstone? {
        var clipped = tombstone
        if let start, compareBytes(clipped.start, start) < 0 { clipped.start = start }
        if let end, compareBytes(clipped.end, end) > 0 { clipped.end = end }
        return compareBytes(clipped.start, clipped.end) < 0 ? clipped : nil
    }

    private mutating func finish() throws(StorageError) {
        try finishTable(before: nil)
        if !outputs.isEmpty { try store.fileSystem.syncDirectory(store.layout.tableDirectory) }
    }

    private mutating func abandon() {
        open?.file.close()
        open = nil
        for path in paths { try? store.fileSystem.remove(path) }
    }
}

/// How many bytes of the next level lie under the table being written: bounds what its own compaction will have to rewrite.
struct NextLevelOverlap {
    private let tables: [TableFile]
    private var index = 0
    private(set) var byteCount: UInt64 = 0

    init(_ tables: [TableFile]) { self.tables = tables }

    /// Moves up to `key`. True when that crossed the end of a table.
    mutating func advance(to key: UnsafeRawBufferPointer) -> Bool {
        var crossed = false
        while index < tables.count, compareBytes(key, tables[index].largestKey) > 0 {
            byteCount += tables[index].byteCount
            index += 1
            crossed = true
        }
        return crossed
    }

    mutating func restart() { byteCount = 0 }
}

extension TableFile {
    /// What the manifest records of a finished table.
    init(_ info: TableInfo, number: UInt64, level: Int) {
        self.init(
            level: level, number: number, byteCount: info.byteCount, smallestKey: info.smallest, largestKey: info.largest,
            smallestLSN: info.lsnMin, largestLSN: info.lsnMax, entryCount: info.entryCount,
            tombstoneCount: info.tombstoneCount + info.rangeTombstoneCount, rangeTombstoneCount: info.rangeTombstoneCount,
            fileContext: info.fileContext, digest: info.digest)
    }
}
