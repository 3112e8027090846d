// The one way in which the set of tables changes: first the manifest, then the view, then the files.

extension Engine {
    /// Makes `edit` durable, then publishes what `change` makes of the view. Files that the edit removes go when their last
    /// reader is gone. One edit at a time.
    func publish(_ edit: VersionEdit, _ change: (View) -> View) throws(StorageError) {
        var edit = edit
        try editing.withLock { () throws(StorageError) in
            // Read under the lock: a flush and a compaction that publish at once must not let the number fall.
            edit.nextFile = tableStore.nextFileNumber
            edit.epochs = epochs.missing(in: manifest.state.epochs, through: durableLSN)
            if let low = edit.walLow { edit.walLow = max(low, manifest.state.walLow) }
            try appendToManifest(edit)
            let moved = Set(edit.added.map(\.number))
            let gone = Set(edit.removed.map(\.number)).subtracting(moved)
            views.update { view in
                if !gone.isEmpty {
                    for table in view.version.allTables where gone.contains(table.file.number) { table.markObsolete() }
                }
                return change(view)
            }
        }
        updatePressure()
    }

    /// After a failure it is open whether the edit survives, so nothing that depends on it was removed; the next edit goes to a
    /// new manifest that begins with the state before.
    private func appendToManifest(_ edit: VersionEdit) throws(StorageError) {
        if manifest.hasFailed { try manifest.restart() }
        try manifest.append(edit)
    }
}
