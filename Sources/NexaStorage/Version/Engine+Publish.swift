// The one way in which the set of tables changes: first the manifest, then the view, then the files.

extension Engine {
    /// Makes `edit` durable, then publishes what `change` makes of the view. Files that the edit removes go when their last
    /// reader is gone. One edit at a time.
    func publish(_ edit: VersionEdit, _ change: (View) -> View) throws(StorageError) {
        var edit = edit
        edit.nextFile = tableStore.nextFileNumber
        try editing.withLock { () throws(StorageError) in
            try manifest.append(edit)
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
}
