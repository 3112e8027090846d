// The receiving half of a full copy: files come in pieces into `DIR/incoming`, in any order of files, each file from its beginning.
//
//     incoming/CHECKPOINT     the manifest of what comes             incoming/sst/<n>.sst.part     as far as it came
//     incoming/READY          everything is there: the next open     incoming/sst/<n>.sst          whole, checked and synced
//                             of the store swaps it in (SnapshotSwap)
//
// Invariants: a file has its final name only when its digest was right on disk; READY is there only when all of them have, durably.
// The store in DIR is not touched. Started again with the same manifest it goes on where it was; with another one it keeps the
// files that both have.

import CSupport
import Glibc

/// One installation. Confined to a thread.
package final class SnapshotInstaller {
    package enum Problem: Error, Equatable, Sendable {
        /// The manifest cannot be installed.
        case badManifest(String)
        /// The piece is not what its checksum says, or not the next one of its file.
        case badChunk(String)
        /// All pieces of the file came and it is not the file that the manifest names; it starts over.
        case badFile(name: String, reason: String)
        case storage(StorageError)
    }

    /// A run of bytes to fetch.
    package struct Wanted: Hashable, Sendable {
        /// Place in the manifest.
        package var file: Int
        package var offset: UInt64
        package var byteCount: Int
    }

    private static let partSuffix = ".part"

    package let manifest: CheckpointManifest
    /// Bytes of files that were taken from the own store, and of those that an earlier attempt had fetched.
    package private(set) var linkedByteCount: UInt64 = 0
    package private(set) var resumedByteCount: UInt64 = 0
    /// Bytes that came since `begin`.
    package private(set) var fetchedByteCount: UInt64 = 0
    private let fileSystem: any FileSystem
    private let layout: StoreLayout
    /// Bytes that are on disk, or asked for, of each file.
    private var received: [UInt64]
    private var requested: [UInt64]
    private var isWhole: [Bool]
    private var current: (index: Int, file: any File)?

    /// Begins or goes on. Files that `engine`, the store in `directory`, has already are linked.
    package static func begin(
        directory: String, fileSystem: any FileSystem, manifest: CheckpointManifest, engine: Engine? = nil
    ) throws(Problem) -> SnapshotInstaller {
        if let reason = manifest.contradiction { throw .badManifest(reason) }
        let installer = SnapshotInstaller(directory: directory, fileSystem: fileSystem, manifest: manifest)
        do throws(StorageError) {
            try installer.prepare()
            try installer.takeStock()
            if let engine { try installer.link(engine) }
            try installer.makeEmptyFiles()
        } catch {
            throw .storage(error)
        }
        return installer
    }

    private init(directory: String, fileSystem: any FileSystem, manifest: CheckpointManifest) {
        self.manifest = manifest
        self.fileSystem = fileSystem
        layout = StoreLayout(directory: StoreLayout(directory: directory).incomingDirectory)
        received = Array(repeating: 0, count: manifest.files.count)
        requested = received
        isWhole = Array(repeating: false, count: manifest.files.count)
    }

    deinit { current?.file.close() }

    // MARK: - Fetching

    /// Everything is there; `finish` is next.
    package var isComplete: Bool { isWhole.allSatisfy { $0 } }

    /// Bytes that are here, however they came.
    package var presentByteCount: UInt64 { received.reduce(0, +) }

    /// The next run to ask for, at most so long; nil when everything has been asked for.
    package func next(byteCountMax: Int) -> Wanted? {
        for (index, file) in manifest.files.enumerated() where !isWhole[index] && requested[index] < file.byteCount {
            let wanted = Wanted(
                file: index, offset: requested[index],
                byteCount: Int(min(UInt64(byteCountMax), file.byteCount - requested[index])))
            requested[index] += UInt64(wanted.byteCount)
            return wanted
        }
        return nil
    }

    /// Forgets what was asked for and did not come: a new connection asks again.
    package func forgetRequests() { requested = received }

    /// Takes a piece in. Pieces of one file come in order. A file that is whole is checked and synced before this returns.
    package func write(
        file index: Int, at offset: UInt64, _ bytes: UnsafeRawBufferPointer, checksum: UInt64
    ) throws(Problem) {
        guard manifest.files.indices.contains(index), !isWhole[index], offset == received[index], bytes.count > 0,
            UInt64(bytes.count) <= manifest.files[index].byteCount - offset
        else { throw .badChunk("\(bytes.count) bytes at \(offset) of file \(index) are not what comes next") }
        guard nexa_xxh3(bytes.baseAddress, bytes.count, 0) == checksum else {
            throw .badChunk("the checksum of \(bytes.count) bytes at \(offset) of file \(index) does not fit")
        }
        do throws(StorageError) {
            try part(index).write(bytes, at: offset)
        } catch {
            throw .storage(error)
        }
        received[index] += UInt64(bytes.count)
        requested[index] = max(requested[index], received[index])
        fetchedByteCount += UInt64(bytes.count)
        if received[index] == manifest.files[index].byteCount { try complete(index) }
    }

    /// Checks the whole and marks it as ready, durably: the next open of the store swaps it in. Until then the old store is the store.
    package func finish() throws(Problem) {
        precondition(isComplete, "files are missing")
        do throws(StorageError) {
            try checkWhole()
            for directory in [layout.tableDirectory, layout.directory] { try fileSystem.syncDirectory(directory) }
            let ready = Path.join(layout.directory, SnapshotSwap.readyName)
            if !fileSystem.exists(ready) { try fileSystem.open(ready, .createNew).close() }
            try fileSystem.syncDirectory(layout.directory)
        } catch {
            throw .storage(error)
        }
    }

    // MARK: - Parts of it

    private func part(_ index: Int) throws(StorageError) -> any File {
        if let current, current.index == index { return current.file }
        current?.file.close()
        current = nil
        let path = partPath(index)
        let file = try fileSystem.open(path, fileSystem.exists(path) ? .readWrite : .createNew)
        current = (index, file)
        return file
    }

    private func path(_ index: Int) -> String { layout.path(ofFile: manifest.files[index].name) }
    private func partPath(_ index: Int) -> String { path(index) + Self.partSuffix }

    private func complete(_ index: Int) throws(Problem) {
        do {
            let file = try part(index)
            try file.sync()
            file.close()
            current = nil
            if let reason = try mismatch(index, at: partPath(index)) {
                try fileSystem.remove(partPath(index))
                received[index] = 0
                requested[index] = 0
                throw Problem.badFile(name: manifest.files[index].name, reason: reason)
            }
            try fileSystem.rename(partPath(index), to: path(index))
            isWhole[index] = true
        } catch let problem as Problem {
            throw problem
        } catch let error as StorageError {
            throw .storage(error)
        } catch {
            preconditionFailure("\(error)")
        }
    }

    /// How the bytes on disk differ from what the manifest says; nil when they do not.
    private func mismatch(_ index: Int, at path: String) throws(StorageError) -> String? {
        let expected = manifest.files[index]
        if expected.tableNumber == nil {
            let bytes = try fileSystem.readAll(path)
            let digest = bytes.withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, 0) }
            return digest == expected.digest ? nil : "its digest does not fit"
        }
        do throws(StorageError) {
            let table = try TableReader.open(path: path, fileSystem: fileSystem, cache: BlockCache(capacity: 1 << 20))
            try table.verify()
            return table.info.digest == expected.digest ? nil : "its digest does not fit"
        } catch .corruption(let corruption) {
            return corruption.reason
        }
    }

    /// The manifest that came must name exactly the tables that came.
    private func checkWhole() throws(StorageError) {
        guard let found = try ManifestReader.read(directory: layout.directory, fileSystem: fileSystem)?.state,
            found.storeUUID == manifest.storeUUID, found.flushedLSN == manifest.point.lsn,
            Set(found.files.values.map { CheckpointManifest.File(table: $0) })
                == Set(manifest.files.filter { $0.tableNumber != nil })
        else {
            throw .corruption(
                Corruption(
                    file: layout.directory, offset: 0, reason: "the fetched manifest does not describe the fetched files",
                    remedy: "Fetch the snapshot again."))
        }
    }
}

// MARK: - What is here already

extension SnapshotInstaller {
    private var manifestPath: String { Path.join(layout.directory, SnapshotSwap.manifestName) }

    /// Makes the directories, removes what belongs to another manifest only, and remembers this one.
    private func prepare() throws(StorageError) {
        for directory in [layout.directory, layout.tableDirectory, layout.logDirectory] {
            try fileSystem.createDirectory(directory)
            try fileSystem.syncDirectory(Path.directory(of: directory))
        }
        // An earlier copy may be ready and not swapped in yet: it must not be taken for whole while its files change.
        let ready = Path.join(layout.directory, SnapshotSwap.readyName)
        if fileSystem.exists(ready) {
            try fileSystem.remove(ready)
            try fileSystem.syncDirectory(layout.directory)
        }
        let before = fileSystem.exists(manifestPath) ? try fileSystem.readAll(manifestPath) : []
        let old = before.withUnsafeBytes { CheckpointManifest($0) }
        if old == manifest { return }
        let kept = Set(manifest.files.map { $0 }).intersection(old?.files ?? []).filter { $0.tableNumber != nil }
        let keptNames = Set(kept.flatMap { [$0.name, $0.name + Self.partSuffix] })
        for directory in [layout.directory, layout.tableDirectory] {
            for name in try fileSystem.list(directory) where name != "sst" && name != "wal" && !keptNames.contains(name) {
                try fileSystem.remove(Path.join(directory, name))
            }
            try fileSystem.syncDirectory(directory)
        }
        let temporary = manifestPath + Self.partSuffix
        try fileSystem.writeNew(temporary, manifest.encoded())
        try fileSystem.rename(temporary, to: manifestPath)
        try fileSystem.syncDirectory(layout.directory)
    }

    /// What an earlier attempt fetched. Whole files were checked before they got their names, and their names may be younger than their
    /// bytes only; parts are checked when they are whole.
    private func takeStock() throws(StorageError) {
        for (index, file) in manifest.files.enumerated() {
            if fileSystem.exists(path(index)) {
                if try fileSystem.byteCount(of: path(index)) == file.byteCount {
                    (received[index], isWhole[index]) = (file.byteCount, true)
                } else {
                    try fileSystem.remove(path(index))
                }
            } else if fileSystem.exists(partPath(index)) {
                let byteCount = try fileSystem.byteCount(of: partPath(index))
                if byteCount < file.byteCount {
                    received[index] = byteCount
                } else {
                    try fileSystem.remove(partPath(index))
                }
            }
            resumedByteCount += received[index]
        }
        requested = received
    }

    /// Tables of the own store that are the same to the last byte.
    private func link(_ engine: Engine) throws(StorageError) {
        let view = engine.views.load().view
        let own = Set(view.version.allTables.map { CheckpointManifest.File(table: $0.file) })
        for (index, file) in manifest.files.enumerated() where !isWhole[index] && own.contains(file) {
            if fileSystem.exists(partPath(index)) { try fileSystem.remove(partPath(index)) }
            try fileSystem.link(engine.layout.path(ofFile: file.name), to: path(index))
            linkedByteCount += file.byteCount
            (received[index], requested[index], isWhole[index]) = (file.byteCount, file.byteCount, true)
        }
        // The view keeps the handles, and so the files, while they are linked.
        withExtendedLifetime(view) {}
    }

    private func makeEmptyFiles() throws(StorageError) {
        for (index, file) in manifest.files.enumerated() where file.byteCount == 0 && !isWhole[index] {
            try fileSystem.open(path(index), .createNew).close()
            isWhole[index] = true
        }
    }
}

extension CheckpointManifest.File {
    init(table: TableFile) {
        self.init(name: StoreLayout.tableName(table.number), byteCount: table.byteCount, digest: table.digest)
    }
}
