// A copy of the store that costs no data: everything is flushed, the tables are hard-linked, and a manifest of the copy's own
// names them. The copy has no log; opening it starts one. It counts only when its manifest's marker is there, which comes last.

import Glibc

extension Engine {
    /// Makes `directory`, which must not exist or be empty, a store with everything visible now. It must lie on the file system
    /// of the store.
    package func checkpoint(into directory: String) throws(StorageError) {
        try flush()
        let (view, state) = editing.withLock { (views.load().view, manifest.state) }
        let copy = StoreLayout(directory: directory)
        try fileSystem.createDirectory(directory)
        guard try fileSystem.list(directory).isEmpty else {
            throw .io(operation: "checkpoint into", path: directory, errno: ENOTEMPTY)
        }
        for path in [copy.logDirectory, copy.tableDirectory] { try fileSystem.createDirectory(path) }
        // The view keeps the handles, and so the files, while they are linked.
        for table in view.version.allTables {
            try fileSystem.link(layout.tablePath(table.file.number), to: copy.tablePath(table.file.number))
        }
        try fileSystem.syncDirectory(copy.tableDirectory)
        try fileSystem.syncDirectory(directory)

        var edit = VersionEdit()
        edit.storeUUID = storeUUID
        edit.added = state.files.values.sorted { $0.number < $1.number }
        edit.nextFile = state.nextFile
        edit.flushedLSN = state.flushedLSN
        edit.epochs = state.epochs
        try ManifestWriter.create(directory: directory, fileSystem: fileSystem, initial: edit).close()
        try fileSystem.syncDirectory(Path.directory(of: directory))
        withExtendedLifetime(view) {}
    }
}
