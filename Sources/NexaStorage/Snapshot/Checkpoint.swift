// A checkpoint that others fetch, and the file reads that serve it. It lies in `DIR/checkpoints/<name>`, costs no data while its tables
// are the store's, and goes with `remove`, or with the next start of the store.

import CSupport

/// A checkpoint on disk. Immutable; any number of threads may read it.
package final class Checkpoint: Sendable {
    package let manifest: CheckpointManifest
    private let layout: StoreLayout
    private let fileSystem: any FileSystem

    init(manifest: CheckpointManifest, layout: StoreLayout, fileSystem: any FileSystem) {
        self.manifest = manifest
        self.layout = layout
        self.fileSystem = fileSystem
    }

    /// Fills `buffer` from a place of a file, as far as the file goes, and answers how many bytes that are and their XXH3-64.
    package func read(
        file index: Int, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(StorageError) -> (byteCount: Int, checksum: UInt64) {
        let file = try fileSystem.open(layout.path(ofFile: manifest.files[index].name), .read)
        defer { file.close() }
        let count = try file.read(into: buffer, at: offset)
        return (count, nexa_xxh3(buffer.baseAddress, count, 0))
    }

    /// Removes it; what it shares with the store stays there.
    package func remove() throws(StorageError) {
        try Self.remove(layout, fileSystem: fileSystem)
    }

    static func remove(_ layout: StoreLayout, fileSystem: any FileSystem) throws(StorageError) {
        // The marker first: what is left after a crash is no store.
        for directory in [layout.directory, layout.tableDirectory, layout.logDirectory] where fileSystem.exists(directory) {
            let names = try fileSystem.list(directory)
            for name in names.filter({ ManifestFileName.marker($0) != nil })
                + names.filter({ ManifestFileName.marker($0) == nil })
            where name != "sst" && name != "wal" {
                try fileSystem.remove(Path.join(directory, name))
            }
        }
        for directory in [layout.tableDirectory, layout.logDirectory, layout.directory] where fileSystem.exists(directory) {
            try fileSystem.removeDirectory(directory)
        }
    }
}

extension Engine {
    /// Makes a checkpoint that others can fetch, under a name of letters and digits that no other has. Set the retention floor of who will
    /// stream behind it first: at `durableLSN`, which the checkpoint's point is not below.
    package func makeCheckpoint(named name: String) throws(StorageError) -> Checkpoint {
        try fileSystem.createDirectory(layout.checkpointsDirectory)
        let copy = StoreLayout(directory: Path.join(layout.checkpointsDirectory, name))
        do throws(StorageError) {
            let manifest = try checkpoint(into: copy.directory)
            return Checkpoint(manifest: manifest, layout: copy, fileSystem: fileSystem)
        } catch {
            try? Checkpoint.remove(copy, fileSystem: fileSystem)
            throw error
        }
    }

    /// Bytes of its tables that are not the store's any more: what the disk would get back if it went.
    package func byteCountKept(by checkpoint: Checkpoint) -> UInt64 {
        let own = Set(views.load().view.version.allTables.map { $0.file.number })
        return checkpoint.manifest.files.reduce(0) { sum, file in
            file.tableNumber.map { own.contains($0) } ?? true ? sum : sum + file.byteCount
        }
    }

    /// Checkpoints that an earlier run left behind. What cannot be removed stays.
    func removeCheckpoints() {
        guard fileSystem.exists(layout.checkpointsDirectory) else { return }
        for name in (try? fileSystem.list(layout.checkpointsDirectory)) ?? [] {
            try? Checkpoint.remove(
                StoreLayout(directory: Path.join(layout.checkpointsDirectory, name)), fileSystem: fileSystem)
        }
    }
}

extension StoreLayout {
    /// Where a file of a checkpoint lies.
    package func path(ofFile name: String) -> String {
        Path.join(Self.tableNumber(name) == nil ? directory : tableDirectory, name)
    }
}
