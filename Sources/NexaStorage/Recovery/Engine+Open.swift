// Opening a store:
//
//     LOCK ─► manifest ─► version (no table is opened) ─► log: records above flushedLSN into memtables ─► new segment ─► threads
//             └ none: a new store                          └ a full memtable is flushed at once
//
// Invariants: nothing is removed before everything has been read and found good; memory stays within the plan however long
// the log is; what recovery shows to readers is on disk before it does (LogRecovery syncs the newest segment).

import Synchronization

extension Engine {
    /// Opens the database in `directory`, creating it when it is empty. Throws `locked` when another process has it and
    /// `corruption` when the files contradict what is known to have been durable. Must be closed before it is dropped,
    /// unless its background work is manual.
    package static func open(
        directory: String, fileSystem: any FileSystem, options: EngineOptions
    ) throws(StorageError) -> Engine {
        let layout = StoreLayout(directory: directory)
        // A directory without a durable name takes everything in it along, and a crash can have left one that is not synced yet. The
        // parent of an older store may be closed to us.
        for path in [layout.directory, layout.logDirectory, layout.tableDirectory] {
            let isNew = !fileSystem.exists(path)
            if isNew { try fileSystem.createDirectory(path) }
            do throws(StorageError) {
                try fileSystem.syncDirectory(Path.directory(of: path))
            } catch {
                if isNew || path != layout.directory { throw error }
            }
        }
        let lock = try fileSystem.lockFile(layout.lockPath)
        do {
            let keptTail = try SnapshotSwap.complete(layout, fileSystem: fileSystem)
            let opener = try StoreOpener(layout: layout, fileSystem: fileSystem, options: options)
            let engine = Engine(try opener.recover(lock: lock), keptTail: keptTail)
            // Before any thread writes a table: until an edit names it, it looks like an orphan.
            engine.removeOrphans(obsoleteSegments: opener.obsoleteSegments)
            engine.start()
            return engine
        } catch {
            lock.release()
            throw error
        }
    }

    /// Connects the pipeline and starts the threads.
    private func start() {
        pipeline.connect(
            CommitPipeline.Hooks(
                didRotate: { [unowned self] closed, active in didRotate(closed, active) },
                makeRoom: { [unowned self] room throws(StorageError) in try makeRoom(room) }))
        updatePressure()
        tableStore.setDiscardHook { [background] in background.wakeCompaction() }
        background.start(self)
        background.wakeFlush()
        background.wakeCompaction()
    }

    /// Shows readers the new memtable. Under the pipeline's gate.
    private func didRotate(_ closed: MemTableSlot, _ active: MemTableSlot) {
        let isEmpty = closed.lastLSN.load(ordering: .relaxed) == 0
        views.update { view in
            View(
                memTables: [active] + (isEmpty ? view.memTables.filter { $0 !== closed } : view.memTables),
                version: view.version, floor: view.floor)
        }
        updateMemTablePressure(count: pipeline.state.pointee.memTableCount)
        background.wakeFlush()
    }

    /// Helps a writer that found no room, as far as its thread can.
    private func makeRoom(_ room: CommitPipeline.Room) throws(StorageError) -> Bool {
        switch room {
        case .logBuffer: return flushLogInline()
        case .ring: return false
        case .memTable:
            if background.isManual { return try flushClosedMemTables(isForced: true) }
            // Waiting is no use while the disk takes no tables; the flush tries again by itself, so this may pass.
            if let failure = background.lastFlushFailure {
                throw .writesRefused(reason: "memtables cannot be flushed: \(failure)")
            }
            return false
        }
    }

    /// Files that no manifest names: left by a crash between the writing of a table and its edit, or between an edit and the
    /// removal of what it made superfluous. Only after everything was found good; what cannot be removed stays.
    private func removeOrphans(obsoleteSegments: [UInt64]) {
        let live = Set(views.load().view.version.allTables.map(\.file.number))
        for name in (try? fileSystem.list(layout.tableDirectory)) ?? [] {
            guard let number = StoreLayout.tableNumber(name), !live.contains(number) else { continue }
            try? fileSystem.remove(layout.tablePath(number))
        }
        try? segments.retire(obsoleteSegments)
        removeCheckpoints()
    }
}
