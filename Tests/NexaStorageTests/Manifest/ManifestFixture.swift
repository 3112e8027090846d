import NexaStorage
import NexaTestKit

/// A store's directory on a disk in memory, with edits that tests make up.
struct ManifestFixture {
    static let directory = "/store"
    static let uuid = StoreUUID(high: 0x5555_5555_5555_5555, low: 0x5555_5555_5555_5555)

    let fileSystem: any FileSystem
    var options = ManifestOptions(byteCountMin: 8 << 10)

    static func emptyDisk() throws -> CrashFileSystem {
        let disk = CrashFileSystem()
        try disk.createDirectory(directory)
        try disk.syncDirectory("/")
        return disk
    }

    static var initial: VersionEdit {
        var edit = VersionEdit()
        edit.storeUUID = uuid
        return edit
    }

    static func table(_ number: UInt64, level: Int = 0) -> TableFile {
        TableFile(
            level: level, number: number, byteCount: 1000 + number, smallestKey: [1, UInt8(truncatingIfNeeded: number)],
            largestKey: [2, UInt8(truncatingIfNeeded: number)], smallestLSN: number, largestLSN: number + 1, entryCount: 10,
            tombstoneCount: 1, fileContext: number &* 77, digest: number &* 99)
    }

    func create() throws -> ManifestWriter {
        try ManifestWriter.create(
            directory: ManifestFixture.directory, fileSystem: fileSystem, initial: ManifestFixture.initial, options: options)
    }

    func read() throws -> RecoveredManifest? {
        try ManifestReader.read(directory: ManifestFixture.directory, fileSystem: fileSystem)
    }

    func start(_ recovered: RecoveredManifest) throws -> ManifestWriter {
        try ManifestWriter.start(
            after: recovered, directory: ManifestFixture.directory, fileSystem: fileSystem, options: options)
    }

    /// The file that counts now.
    func path(_ writer: ManifestWriter) -> String {
        Path.join(ManifestFixture.directory, ManifestFileName.manifest(writer.marker.manifestID))
    }
}

extension ManifestWriter {
    /// Adds a table and names the next file number, as a flush does.
    func addTable(_ number: UInt64) throws {
        var edit = VersionEdit()
        edit.added = [ManifestFixture.table(number)]
        edit.nextFile = number + 1
        edit.flushedLSN = number + 1
        try append(edit)
    }

    /// Moves tables into one of the next level, as a compaction does.
    func compact(_ numbers: [UInt64], into number: UInt64) throws {
        var edit = VersionEdit()
        edit.removed = numbers.map { VersionEdit.RemovedFile(level: state.files[$0]!.level, number: $0) }
        edit.added = [ManifestFixture.table(number, level: 1)]
        edit.nextFile = number + 1
        try append(edit)
    }
}
