// Removes backups and then what no backup names any more. The manifests go first, durably: a run that is cut off leaves objects that nobody
// needs, which the next one finds.

import NexaStorage

package enum BackupRemoval {
    package struct Outcome: Sendable {
        package var removed: [BackupName]
        package var objectCount: Int
        package var byteCount: UInt64
    }

    /// Which backups go when the newest `count` are to stay. Pure.
    static func surplus(_ manifests: [BackupManifest], keeping count: Int) -> [BackupName] {
        manifests.dropLast(count).map(\.name)
    }

    package static func delete(_ names: [BackupName], of repository: BackupRepository) throws(BackupError) -> Outcome {
        let lock = try lock(repository)
        defer { lock.release() }
        let known = Set(try repository.names())
        for name in names where !known.contains(name) {
            throw .missing("there is no backup \(name) in \(repository.directory)")
        }
        return try remove(Set(names).sorted(), of: repository)
    }

    /// Keeps the newest. One whose manifest cannot be read counts neither way, and keeps this from being done.
    package static func keep(_ count: Int, of repository: BackupRepository) throws(BackupError) -> Outcome {
        let lock = try lock(repository)
        defer { lock.release() }
        let (manifests, damage) = try repository.manifests()
        if let first = damage.first { throw .damaged("\(first). Delete that backup by its name first") }
        return try remove(surplus(manifests, keeping: count), of: repository)
    }

    private static func lock(_ repository: BackupRepository) throws(BackupError) -> any FileLock {
        let lock = try repository.lock()
        do throws(StorageError) {
            try repository.makeFolders()
            return lock
        } catch {
            lock.release()
            throw .storage(error)
        }
    }

    private static func remove(_ names: [BackupName], of repository: BackupRepository) throws(BackupError) -> Outcome {
        let fileSystem = repository.fileSystem
        try BackupError.storing { () throws(StorageError) in
            for name in names { try fileSystem.remove(repository.manifestPath(name)) }
            try fileSystem.syncDirectory(repository.backupsDirectory)
        }
        // What a manifest that cannot be read needs is not known: then nothing goes but the manifests.
        let (manifests, damage) = try repository.manifests()
        var outcome = Outcome(removed: names, objectCount: 0, byteCount: 0)
        guard damage.isEmpty else { return outcome }
        let needed = Set(manifests.flatMap(\.objects).map { repository.path($0) })
        try BackupError.storing { () throws(StorageError) in
            for folder in try fileSystem.list(repository.objectsDirectory) where BackupObject.isFolder(folder) {
                let directory = Path.join(repository.objectsDirectory, folder)
                for name in try fileSystem.list(directory) {
                    let path = Path.join(directory, name)
                    guard !needed.contains(path) else { continue }
                    outcome.byteCount += try fileSystem.byteCount(of: path)
                    outcome.objectCount += 1
                    try fileSystem.remove(path)
                }
            }
            for name in try fileSystem.list(repository.incomingDirectory) {
                try fileSystem.remove(Path.join(repository.incomingDirectory, name))
            }
        }
        return outcome
    }
}
