// A directory of backups:
//
//     NEXADB-BACKUPS                   says that it is one, and in which form
//     LOCK                             held by who writes in it
//     backups/NAME.json                the manifest of a backup (BackupManifest); there is a backup when there is this file
//     objects/<2 digits>/<object>      the content of files, each once (BackupObject)
//     incoming/<object>.part           content on its way, as far as it came; incoming/*.json a manifest before it counts
//     log/<epoch>-<first lsn>-<last lsn>.wal    reserved for log segments, from which a restore could go on to a point in time
//
// Invariants: an object has its name when its bytes were checked on disk and synced. A manifest gets its name, by a rename, when all of its
// objects and their names are durable. An object goes only when no manifest names it. So every moment at which a run is cut off leaves whole
// backups and, in `incoming`, what the next run goes on with.

import Glibc
import NexaStorage

package struct BackupRepository: Sendable {
    static let markerName = "NEXADB-BACKUPS"
    static let marker = "nexadb backups, form 1\n"
    private static let suffix = ".json"
    static let partSuffix = ".part"

    package let directory: String
    let fileSystem: any FileSystem

    private init(directory: String, fileSystem: any FileSystem) {
        self.directory = directory
        self.fileSystem = fileSystem
    }

    var backupsDirectory: String { Path.join(directory, "backups") }
    var objectsDirectory: String { Path.join(directory, "objects") }
    var incomingDirectory: String { Path.join(directory, "incoming") }

    func manifestPath(_ name: BackupName) -> String { Path.join(backupsDirectory, name.text + Self.suffix) }
    func path(_ object: BackupObject) -> String { Path.join(Path.join(objectsDirectory, object.folder), object.name) }
    func partPath(_ object: BackupObject) -> String { Path.join(incomingDirectory, object.name + Self.partSuffix) }

    // MARK: Opening

    /// One that is there.
    package static func open(_ directory: String, fileSystem: any FileSystem) throws(BackupError) -> BackupRepository {
        let path = Path.join(directory, markerName)
        guard fileSystem.exists(path) else { throw .missing("\(directory) holds no backups (there is no \(markerName) in it)") }
        let text = try BackupError.storing { () throws(StorageError) in try fileSystem.readAll(path, byteCountMax: 4096) }
        guard text == Array(marker.utf8) else {
            throw .refused("\(path) says something else than this program expects: is it from a newer one?")
        }
        return BackupRepository(directory: directory, fileSystem: fileSystem)
    }

    /// The one that is there, or a new one in a directory that is missing or empty.
    package static func openOrCreate(_ directory: String, fileSystem: any FileSystem) throws(BackupError) -> BackupRepository {
        let path = Path.join(directory, markerName)
        if !fileSystem.exists(path) {
            let repository = BackupRepository(directory: directory, fileSystem: fileSystem)
            try BackupError.making(directory, fileSystem)
            let names = try BackupError.storing { () throws(StorageError) in try fileSystem.list(directory) }
            guard names.allSatisfy({ ["lost+found", "backups", "objects", "incoming"].contains($0) }) else {
                throw .refused("\(directory) is not empty and holds no backups: name another directory")
            }
            try BackupError.storing { () throws(StorageError) in try repository.begin() }
        }
        let repository = try open(directory, fileSystem: fileSystem)
        try BackupError.storing { () throws(StorageError) in try repository.makeFolders() }
        return repository
    }

    /// Copies may lack those that were empty.
    func makeFolders() throws(StorageError) {
        for folder in [backupsDirectory, objectsDirectory, incomingDirectory] where !fileSystem.exists(folder) {
            try fileSystem.createDirectory(folder)
        }
    }

    private func begin() throws(StorageError) {
        try makeFolders()
        // It says so only when it is there in one piece: a crash may keep a later name and lose an earlier one.
        let temporary = Path.join(incomingDirectory, Self.markerName)
        if fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
        try fileSystem.writeNew(temporary, Array(Self.marker.utf8))
        try fileSystem.syncDirectory(directory)
        try fileSystem.rename(temporary, to: Path.join(directory, Self.markerName))
        try fileSystem.syncDirectory(directory)
    }

    /// For everything that writes. Reading needs none: what is named does not change, and it goes at the end of what names it.
    func lock() throws(BackupError) -> any FileLock {
        do throws(StorageError) {
            return try fileSystem.lockFile(Path.join(directory, "LOCK"))
        } catch .locked(_, let holder) {
            throw .conflict("another command works in \(directory)" + (holder.map { " (process \($0))" } ?? ""))
        } catch {
            throw .storage(error)
        }
    }

    // MARK: Backups

    /// The names of all, sorted.
    package func names() throws(BackupError) -> [BackupName] {
        guard fileSystem.exists(backupsDirectory) else { return [] }
        let files = try BackupError.storing { () throws(StorageError) in try fileSystem.list(backupsDirectory) }
        return files.filter { $0.hasSuffix(Self.suffix) }.compactMap { BackupName(String($0.dropLast(Self.suffix.count))) }
            .sorted()
    }

    package func manifest(_ name: BackupName) throws(BackupError) -> BackupManifest {
        let path = manifestPath(name)
        let bytes: [UInt8]
        do throws(StorageError) {
            bytes = try fileSystem.readAll(path, byteCountMax: BackupManifest.byteCountMax)
        } catch .io(_, _, ENOENT) {
            throw .missing("there is no backup \(name) in \(directory)")
        } catch {
            throw .storage(error)
        }
        do throws(BackupManifest.Problem) {
            let manifest = try BackupManifest(decoding: bytes)
            guard manifest.name == name else { throw .init(reason: "it is that of \(manifest.name)") }
            return manifest
        } catch {
            throw .damaged("\(path) is damaged: \(error.reason)")
        }
    }

    /// All that can be read, oldest first, and what is wrong with the others. One that is removed meanwhile is none.
    package func manifests() throws(BackupError) -> (manifests: [BackupManifest], damage: [String]) {
        var (manifests, damage): ([BackupManifest], [String]) = ([], [])
        for name in try names() {
            do throws(BackupError) {
                manifests.append(try manifest(name))
            } catch .missing {
                continue
            } catch {
                damage.append(error.description)
            }
        }
        manifests.sort { ($0.createdAt, $0.name) < ($1.createdAt, $1.name) }
        return (manifests, damage)
    }

    /// Makes the backup count. Everything that it names is there, durably.
    func commit(_ manifest: BackupManifest) throws(StorageError) {
        let temporary = Path.join(incomingDirectory, manifest.name.text + Self.suffix)
        if fileSystem.exists(temporary) { try fileSystem.remove(temporary) }
        try fileSystem.writeNew(temporary, manifest.encoded())
        try fileSystem.rename(temporary, to: manifestPath(manifest.name))
        try fileSystem.syncDirectory(backupsDirectory)
    }

    // MARK: Objects

    /// Whether it is there in full length. Its bytes were right when it got its name.
    func has(_ object: BackupObject) throws(StorageError) -> Bool {
        let path = path(object)
        guard fileSystem.exists(path) else { return false }
        return try fileSystem.byteCount(of: path) == object.byteCount
    }

    /// Gives a part that is whole its name, if its bytes are what they should be; else says why not, and removes it.
    func admit(_ object: BackupObject) throws(StorageError) -> String? {
        let part = partPath(object)
        if let reason = try object.mismatch(at: part, fileSystem) {
            try fileSystem.remove(part)
            return reason
        }
        try fileSystem.createDirectory(Path.directory(of: path(object)))
        try fileSystem.rename(part, to: path(object))
        return nil
    }

    /// Makes an object of a part that an earlier run had in full; else removes it.
    func adopt(_ object: BackupObject) throws(StorageError) -> Bool {
        let file = try fileSystem.open(partPath(object), .readWrite)
        defer { file.close() }
        try file.sync()
        return try admit(object) == nil
    }

    /// Makes the names of objects durable.
    func syncFolders(of objects: some Sequence<BackupObject>) throws(StorageError) {
        for folder in Set(objects.map(\.folder)) { try fileSystem.syncDirectory(Path.join(objectsDirectory, folder)) }
        try fileSystem.syncDirectory(objectsDirectory)
    }
}
