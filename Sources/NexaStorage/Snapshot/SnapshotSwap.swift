// Puts a fetched snapshot in the place of the store, when the store is opened. Two empty files say how far it is:
//
//     incoming/READY      the snapshot is whole: what only the old store's log has is copied to rollback/ (DivergedTail), the old
//                         store is removed                                    ── all of it is gone ──► renamed to
//     incoming/CLEARED    the snapshot's files get their second names in DIR, the manifest's marker last ──► then CLEARED goes
//
// Invariants: before READY is durable the old store is the store; from then on the new one is. Each step can be done again after
// a crash, because each removes or links only what is still to be removed or linked.

/// The swap of one store. The caller holds the store's lock.
enum SnapshotSwap {
    static let readyName = "READY"
    static let clearedName = "CLEARED"
    static let manifestName = "CHECKPOINT"

    /// Finishes what an installation, or a swap that a crash broke off, has begun. Does nothing where there is nothing to do; files of an
    /// unfinished installation stay. Answers the path of the rollback file that keeps what the old store had alone; nil when it had nothing.
    static func complete(_ layout: StoreLayout, fileSystem: any FileSystem) throws(StorageError) -> String? {
        let incoming = StoreLayout(directory: layout.incomingDirectory)
        let ready = Path.join(incoming.directory, readyName)
        let cleared = Path.join(incoming.directory, clearedName)
        guard fileSystem.exists(ready) || fileSystem.exists(cleared) else { return nil }
        var kept: String?
        if fileSystem.exists(ready) {
            // It may have been seen before it was durable; nothing may go before it is.
            try fileSystem.syncDirectory(incoming.directory)
            let checkpoint = try checkWhole(incoming, fileSystem)
            kept = try DivergedTail(layout, fileSystem: fileSystem)?.keep(against: checkpoint)
            try clear(layout, fileSystem)
            try fileSystem.rename(ready, to: cleared)
            try fileSystem.syncDirectory(incoming.directory)
        }
        try adopt(incoming, layout, fileSystem)
        // CLEARED goes last: until then everything above is done again.
        for name in try fileSystem.list(incoming.directory) where !["sst", "wal", clearedName].contains(name) {
            try fileSystem.remove(Path.join(incoming.directory, name))
        }
        for name in try fileSystem.list(incoming.tableDirectory) {
            try fileSystem.remove(Path.join(incoming.tableDirectory, name))
        }
        try fileSystem.syncDirectory(incoming.tableDirectory)
        try fileSystem.syncDirectory(incoming.directory)
        try fileSystem.remove(cleared)
        try fileSystem.syncDirectory(incoming.directory)
        return kept
    }

    /// The old store is given up for what is really there.
    private static func checkWhole(
        _ incoming: StoreLayout, _ fileSystem: any FileSystem
    ) throws(StorageError) -> CheckpointManifest {
        let path = Path.join(incoming.directory, manifestName)
        guard let manifest = try fileSystem.readAll(path).withUnsafeBytes({ CheckpointManifest($0) }) else {
            throw damage(path, incoming, "what it says of the copy that was to take the store's place is damaged")
        }
        for file in manifest.files {
            let path = incoming.path(ofFile: file.name)
            guard fileSystem.exists(path), try fileSystem.byteCount(of: path) == file.byteCount else {
                throw damage(path, incoming, "the copy that was to take the store's place lacks this file")
            }
        }
        return manifest
    }

    private static func damage(_ path: String, _ incoming: StoreLayout, _ reason: String) -> StorageError {
        .corruption(
            Corruption(
                file: path, offset: 0, reason: reason,
                remedy: "Nothing was changed. Remove \(Path.join(incoming.directory, readyName)) to go on with the old store."))
    }

    /// Removes the old store: its marker first.
    private static func clear(_ layout: StoreLayout, _ fileSystem: any FileSystem) throws(StorageError) {
        for isOld in [{ ManifestFileName.marker($0) != nil }, { ManifestFileName.manifestID($0) != nil }] as [(String) -> Bool] {
            for name in try fileSystem.list(layout.directory) where isOld(name) {
                try fileSystem.remove(Path.join(layout.directory, name))
            }
        }
        for directory in [layout.logDirectory, layout.tableDirectory] {
            for name in try fileSystem.list(directory) { try fileSystem.remove(Path.join(directory, name)) }
            try fileSystem.syncDirectory(directory)
        }
        try fileSystem.syncDirectory(layout.directory)
    }

    /// Gives the snapshot's files their names in the store. The marker comes last, when everything that it stands for is durable.
    private static func adopt(
        _ incoming: StoreLayout, _ layout: StoreLayout, _ fileSystem: any FileSystem
    ) throws(StorageError) {
        let names = try fileSystem.list(incoming.directory)
        for name in try fileSystem.list(incoming.tableDirectory) where StoreLayout.tableNumber(name) != nil {
            try link(name, incoming.tableDirectory, layout.tableDirectory, fileSystem)
        }
        try fileSystem.syncDirectory(layout.tableDirectory)
        for name in names where ManifestFileName.manifestID(name) != nil {
            try link(name, incoming.directory, layout.directory, fileSystem)
        }
        try fileSystem.syncDirectory(layout.directory)
        for name in names where ManifestFileName.marker(name) != nil {
            try link(name, incoming.directory, layout.directory, fileSystem)
        }
        try fileSystem.syncDirectory(layout.directory)
    }

    private static func link(
        _ name: String, _ from: String, _ to: String, _ fileSystem: any FileSystem
    ) throws(StorageError) {
        let target = Path.join(to, name)
        if !fileSystem.exists(target) { try fileSystem.link(Path.join(from, name), to: target) }
    }
}
