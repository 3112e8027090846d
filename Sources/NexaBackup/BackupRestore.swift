// Makes a data directory of a backup.
//
//     RESTORING, durably ─► tables ─► manifest ─► its marker ─► everything checked ─► a new epoch, ─► RESTORING goes
//                                                                                      or a cluster
//
// Invariants: while RESTORING is there no node opens the directory, and another restore into it begins from nothing; so there is all of the
// backup or none of it. Whoever removes RESTORING holds the directory's lock. Each file is read back from the new disk and checked before it
// counts.
//
// What does not come along, because a checkpoint has none of it: the node's id, its cluster and what it promised there, the slots of followers,
// rollback files. With a new epoch the positions that the old store gave out behind the backup are known to be lost (TOKEN_LOST) instead of
// being taken for those of new records.

import NexaReplication
import NexaStorage

package struct BackupRestore {
    package struct Options: Sendable {
        /// For a follower of the cluster that the backup came from, which streams what came since: the log stays as it was, and this writes
        /// into the directory that it belongs to the cluster.
        package var join: (@Sendable (_ directory: String, _ cluster: ClusterID) throws(StorageError) -> Void)?
        /// Of now. It makes an epoch that no other restore has, above every epoch that was counted up.
        package var seconds: Int64

        package init(seconds: Int64) { self.seconds = seconds }
    }

    package struct Outcome: Sendable {
        package var manifest: BackupManifest
        /// Nil for a follower.
        package var epoch: Epoch?
    }

    private let repository: BackupRepository
    private let manifest: BackupManifest
    private let layout: StoreLayout
    private let options: Options
    private let fileSystem: any FileSystem

    /// - Parameter fileSystem: of the new directory; the repository has its own.
    package init(
        _ name: BackupName, of repository: BackupRepository, into directory: String, fileSystem: any FileSystem,
        _ options: Options
    ) throws(BackupError) {
        manifest = try repository.manifest(name)
        guard options.join == nil || manifest.clusterID != .none else {
            throw .refused("\(name) was made of a node without a cluster: no follower can be made of it")
        }
        self.repository = repository
        layout = StoreLayout(directory: directory)
        self.fileSystem = fileSystem
        self.options = options
    }

    /// - Parameter progress: bytes that were copied, of how many.
    package func run(
        progress: (UInt64, UInt64) -> Void = { _, _ in }, isInterrupted: () -> Bool = { false }
    ) throws(BackupError) -> Outcome {
        let lock = try claim()
        defer { lock.release() }
        var copied: UInt64 = 0
        let total = manifest.checkpoint.byteCount
        // The marker comes last.
        let files = manifest.checkpoint.files
        for file in files.filter({ ManifestFileName.marker($0.name) == nil })
            + files.filter({ ManifestFileName.marker($0.name) != nil })
        {
            try copy(file, isInterrupted) { count in
                copied += count
                progress(copied, total)
            }
        }
        let reason = try BackupError.storing { () throws(StorageError) in
            for directory in [layout.tableDirectory, layout.logDirectory, layout.directory] {
                try fileSystem.syncDirectory(directory)
            }
            return try manifest.contradiction(in: layout.directory, fileSystem)
        }
        if let reason { throw .damaged("\(manifest.name): \(reason)") }
        return Outcome(manifest: manifest, epoch: try finish(lock))
    }

    private func finish(_ lock: any FileLock) throws(BackupError) -> Epoch? {
        try BackupError.storing { () throws(StorageError) in
            if let join = options.join {
                try join(layout.directory, manifest.clusterID)
                try endRestoring()
                return nil
            }
            // The engine takes the lock itself.
            lock.release()
            let engine = try Engine.open(
                directory: layout.directory, fileSystem: fileSystem, options: EngineOptions(memoryByteCount: 64 << 20))
            let epoch = max(engine.epoch + 1, Epoch(clamping: options.seconds))
            do throws(StorageError) {
                try engine.beginEpoch(epoch)
                try endRestoring()
            } catch {
                try? engine.close()
                throw error
            }
            try engine.close()
            return epoch
        }
    }

    /// From now on nodes may open the directory.
    private func endRestoring() throws(StorageError) {
        try fileSystem.remove(layout.restoringPath)
        try fileSystem.syncDirectory(layout.directory)
    }

    // MARK: - The directory

    /// An empty directory, or one in which a restore was cut off, becomes this restore's.
    private func claim() throws(BackupError) -> any FileLock {
        let isUnfinished = fileSystem.exists(layout.restoringPath)
        if fileSystem.exists(layout.directory) && !isUnfinished {
            let names = try BackupError.storing { () throws(StorageError) in try fileSystem.list(layout.directory) }
            guard names.allSatisfy({ $0 == "lost+found" }) else {
                throw .refused("\(layout.directory) is not empty: a backup is restored into a new or an empty directory")
            }
        }
        if !fileSystem.exists(layout.directory) { try BackupError.making(layout.directory, fileSystem) }
        return try BackupError.storing { () throws(StorageError) in
            if !isUnfinished { try fileSystem.writeNew(layout.restoringPath, Array("\(manifest.name)\n".utf8)) }
            try fileSystem.syncDirectory(layout.directory)
            let lock = try fileSystem.lockFile(layout.lockPath)
            // Another restore may have come to its end in between.
            guard fileSystem.exists(layout.restoringPath) else {
                lock.release()
                throw .writesRefused(reason: "\(layout.directory) was restored meanwhile")
            }
            if isUnfinished { try clear() }
            for directory in [layout.tableDirectory, layout.logDirectory] { try fileSystem.createDirectory(directory) }
            try fileSystem.syncDirectory(layout.directory)
            return lock
        }
    }

    /// Removes what a restore that was cut off has left: everything, since it began with nothing.
    private func clear() throws(StorageError) {
        let kept = [layout.restoringPath, layout.lockPath, layout.tableDirectory, layout.logDirectory]
        for directory in [layout.tableDirectory, layout.logDirectory, layout.directory] where fileSystem.exists(directory) {
            for name in try fileSystem.list(directory) where name != "lost+found" {
                let path = Path.join(directory, name)
                if !kept.contains(path) { try fileSystem.remove(path) }
            }
        }
    }

    // MARK: - Files

    private static let pieceByteCount = 1 << 20

    private func copy(
        _ file: CheckpointManifest.File, _ isInterrupted: () -> Bool, _ progress: (UInt64) -> Void
    ) throws(BackupError) {
        let object = BackupObject(file)
        let (from, to) = (repository.path(object), layout.path(ofFile: file.name))
        guard repository.fileSystem.exists(from) else { throw .damaged("\(from) is missing: nexadb backup verify says more") }
        var wasInterrupted = false
        let mismatch = try BackupError.storing { () throws(StorageError) -> String? in
            let source = try repository.fileSystem.open(from, .read)
            defer { source.close() }
            let target = try fileSystem.open(to, .createNew)
            defer { target.close() }
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceByteCount, alignment: 16)
            defer { buffer.deallocate() }
            var offset: UInt64 = 0
            while !wasInterrupted {
                let count = try source.read(into: buffer, at: offset)
                guard count > 0 else { break }
                try target.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: offset)
                offset += UInt64(count)
                progress(UInt64(count))
                wasInterrupted = isInterrupted()
            }
            if wasInterrupted { return nil }
            try target.sync()
            return try object.mismatch(at: to, fileSystem)
        }
        if wasInterrupted { throw .interrupted }
        if let mismatch { throw .damaged("\(from) is damaged: \(mismatch)") }
    }
}
