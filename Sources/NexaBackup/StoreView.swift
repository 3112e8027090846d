import NexaReplication
import NexaStorage

/// A backup as the store that it is, without a copy: a file system, to be read only, in which the objects have the names that the store gave them.
final class StoreView: FileSystem {
    private static let root = "backup"

    private let layout = StoreLayout(directory: root)
    private let manifest: BackupManifest
    private let base: any FileSystem
    /// Where each file lies.
    private let paths: [String: String]

    init(_ manifest: BackupManifest, in repository: BackupRepository) {
        self.manifest = manifest
        base = repository.fileSystem
        var paths: [String: String] = [:]
        for file in manifest.checkpoint.files { paths[layout.path(ofFile: file.name)] = repository.path(BackupObject(file)) }
        self.paths = paths
    }

    /// How the store's own manifest contradicts the backup's; nil when they say the same.
    func contradiction() throws(StorageError) -> String? {
        try manifest.contradiction(in: Self.root, self)
    }

    private func real(_ path: String) throws(StorageError) -> String {
        guard let real = paths[path] else { throw .io(operation: "open", path: path, errno: 2) }
        return real
    }

    private func refuse(_ path: String) -> StorageError { .writesRefused(reason: "\(path) belongs to a backup") }

    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
        guard mode == .read else { throw refuse(path) }
        return try base.open(try real(path), .read)
    }

    func list(_ directory: String) throws(StorageError) -> [String] {
        paths.keys.filter { Path.directory(of: $0) == directory }.map { Path.name(of: $0) }.sorted()
    }

    func exists(_ path: String) -> Bool { paths[path].map { base.exists($0) } ?? false }
    func byteCount(of path: String) throws(StorageError) -> UInt64 { try base.byteCount(of: try real(path)) }
    func rename(_ from: String, to: String) throws(StorageError) { throw refuse(from) }
    func remove(_ path: String) throws(StorageError) { throw refuse(path) }
    func removeDirectory(_ path: String) throws(StorageError) { throw refuse(path) }
    func link(_ existing: String, to: String) throws(StorageError) { throw refuse(to) }
    func createDirectory(_ path: String) throws(StorageError) { throw refuse(path) }
    func syncDirectory(_ path: String) throws(StorageError) { throw refuse(path) }
    func lockFile(_ path: String) throws(StorageError) -> any FileLock { throw refuse(path) }
    func freeByteCount(_ directory: String) -> UInt64 { 0 }
}

extension BackupManifest {
    /// How the manifest of the store in `directory` contradicts this one; nil when both name the same tables at the same position of the
    /// same history.
    func contradiction(in directory: String, _ fileSystem: any FileSystem) throws(StorageError) -> String? {
        guard let found = try ManifestReader.read(directory: directory, fileSystem: fileSystem)?.state else {
            return "there is no manifest of a store"
        }
        let tables = Set(
            found.files.values.map {
                CheckpointManifest.File(name: StoreLayout.tableName($0.number), byteCount: $0.byteCount, digest: $0.digest)
            })
        guard found.storeUUID == checkpoint.storeUUID, found.flushedLSN == checkpoint.point.lsn,
            (found.epochs.last?.epoch ?? 1) == checkpoint.point.epoch,
            let history = EpochHistory(found.epochs), history == EpochHistory(checkpoint.epochs)
        else { return "the store's manifest is of another position than the backup's" }
        guard tables == Set(checkpoint.files.filter { StoreLayout.tableNumber($0.name) != nil }) else {
            return "the store's manifest names other files than the backup's"
        }
        return nil
    }
}
