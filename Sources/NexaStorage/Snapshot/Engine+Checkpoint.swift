// A copy of the store that costs no data: everything is flushed, the tables are hard-linked, and a manifest of the copy's own
// names them. The copy has no log; opening it starts one. It counts only when its manifest's marker is there, which comes last.

import CSupport
import Glibc

extension Engine {
    /// Makes `directory`, which must not exist or be empty, a store with everything visible now. It must lie on the file system
    /// of the store. Answers what it consists of and which record comes behind it.
    @discardableResult
    package func checkpoint(into directory: String) throws(StorageError) -> CheckpointManifest {
        // The record at the copy's end must stay in the log until its chain is known.
        let floor = "checkpoint into \(directory)"
        setRetention(floor, oldestNeededLSN: editing.withLock { manifest.state.flushedLSN } + 1)
        defer { dropRetention(floor) }
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
        edit.epochs = epochs.all.kept(through: state.flushedLSN)
        let point = LogPoint(
            epoch: edit.epochs.last?.epoch ?? 1, lsn: state.flushedLSN, chain: try chain(at: state.flushedLSN) ?? LogChain.start)
        // Of no segment: the copy's log begins behind it, and this is the chain that it begins with.
        edit.durableMark = DurableMark(segmentID: 0, offset: 0, lsn: point.lsn, chain: point.chain)
        try ManifestWriter.create(directory: directory, fileSystem: fileSystem, initial: edit).close()
        try fileSystem.syncDirectory(Path.directory(of: directory))
        withExtendedLifetime(view) {}
        return CheckpointManifest(
            storeUUID: storeUUID, point: point, epochs: edit.epochs,
            files: edit.added.map { CheckpointManifest.File(table: $0) } + (try manifestFiles(in: directory)))
    }

    /// The manifest of a copy and its marker.
    private func manifestFiles(in directory: String) throws(StorageError) -> [CheckpointManifest.File] {
        var files: [CheckpointManifest.File] = []
        for name in try fileSystem.list(directory)
        where ManifestFileName.manifestID(name) != nil || ManifestFileName.marker(name) != nil {
            let bytes = try fileSystem.readAll(Path.join(directory, name))
            let digest = bytes.withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, 0) }
            files.append(CheckpointManifest.File(name: name, byteCount: UInt64(bytes.count), digest: digest))
        }
        return files
    }
}
