// Carries a pick out: a move is an edit, anything else a merge. The inputs stay until the edit is durable and the last reader
// of them is gone; the outputs are durable before the edit names them.

import Synchronization

extension Engine {
    /// Does the next compaction, if one is due. One at a time.
    func compactOnce() throws(StorageError) -> Bool {
        try compacting.withLock { () throws(StorageError) -> Bool in
            defer { tableStore.removeDiscarded() }
            let version = views.load().view.version
            let boundaries = snapshots.boundaries { visibleLSN }
            guard
                let pick = CompactionPicker.pick(
                    levels: version.levels.enumerated().map { level, tables in tables.map { $0.file(inLevel: level) } },
                    oldestBoundary: boundaries.positions[0], policy: CompactionPolicy(options))
            else { return false }
            if pick.isMove {
                try move(pick, in: version)
            } else {
                try merge(pick, in: version, boundaries: boundaries)
            }
            return true
        }
    }

    private func move(_ pick: CompactionPick, in version: Version) throws(StorageError) {
        let handles = version.handles(of: pick.inputs, inLevel: pick.inputLevel)
        var edit = VersionEdit()
        edit.removed = pick.inputs.map { VersionEdit.RemovedFile(level: pick.inputLevel, number: $0.number) }
        edit.added = handles.map { $0.file(inLevel: pick.outputLevel) }
        try publish(edit) { view in
            let added = handles.map { (level: pick.outputLevel, table: $0) }
            return View(
                memTables: view.memTables, version: view.version.applying(added: added, removed: edit.removed),
                floor: view.floor)
        }
        counters.trivialMoveCount.add(1, ordering: .relaxed)
    }

    private func merge(
        _ pick: CompactionPick, in version: Version, boundaries: RetentionBoundaries
    ) throws(StorageError) {
        let inputs = version.handles(of: pick.inputs, inLevel: pick.inputLevel)
        let overlapping = version.handles(of: pick.overlapping, inLevel: pick.outputLevel)
        let reading = TableReadOptions(fillCache: false, mayBlock: true)
        var children: [InternalIterator] = []
        var tombstones: [RangeTombstone] = []
        for handle in inputs {
            let reader = try handle.reader(mayBlock: true)
            children.append(reader.makeIterator(reading))
            tombstones += reader.rangeTombstones.tombstones
        }
        if !overlapping.isEmpty {
            var readers: [TableReader] = []
            for handle in overlapping {
                let reader = try handle.reader(mayBlock: true)
                readers.append(reader)
                tombstones += reader.rangeTombstones.tombstones
            }
            children.append(LevelIterator(readers, options: reading))
        }
        let below = pick.outputLevel + 1 < Version.levelCount ? Array(version.levels[(pick.outputLevel + 1)...]) : []
        let plan = MergePlan(
            outputLevel: pick.outputLevel, boundaries: boundaries, tombstones: tombstones, below: below,
            alignment: below.first?.map(\.file) ?? [], tableByteCount: UInt64(options.tableByteCount))
        let files = try MergeJob.run(
            children.count == 1 ? children[0] : MergingIterator(children), store: tableStore, plan: plan
        ) { () throws(StorageError) in
            if background.mustStop { throw .closed }
        }
        var edit = VersionEdit()
        edit.added = files
        edit.removed =
            pick.inputs.map { VersionEdit.RemovedFile(level: pick.inputLevel, number: $0.number) }
            + pick.overlapping.map { VersionEdit.RemovedFile(level: pick.outputLevel, number: $0.number) }
        let added = files.map { (level: pick.outputLevel, table: TableHandle($0, store: tableStore)) }
        try publish(edit) { view in
            View(
                memTables: view.memTables, version: view.version.applying(added: added, removed: edit.removed),
                floor: max(view.floor, boundaries.visible))
        }
        let read = (pick.inputs + pick.overlapping).reduce(0) { $0 + $1.byteCount }
        counters.compactionCount.add(1, ordering: .relaxed)
        counters.compactionReadByteCount.add(read, ordering: .relaxed)
        counters.compactionWrittenByteCount.add(files.reduce(0) { $0 + $1.byteCount }, ordering: .relaxed)
    }
}

extension Version {
    /// The handles of these files, in their order.
    func handles(of files: [TableFile], inLevel level: Int) -> [TableHandle] {
        files.map { file in levels[level].first { $0.file.number == file.number }! }
    }
}
