import ArgumentParser
import NexaBackup
import NexaStorage
import NexaWire

/// `nexadb backup list DIRECTORY`.
struct BackupList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The backups in a directory, oldest first.",
        discussion: """
            NEW is what no earlier backup had when this one was made.

            EXIT CODES  0 shown, 1 some cannot be read, 3 there are no backups in that directory.
            """)

    @Argument(help: ArgumentHelp("Directory of the backups.", valueName: "directory")) var directory: DirectoryPath
    @Flag(help: "Print a JSON list.") var json = false

    func run() throws {
        let (manifests, damage) = try ToolExit.backingUp { try directory.repository().manifests() }
        let rows = manifests.map(BackupRow.init)
        if json {
            Console.say(JSONText.write(.array(rows.map { .map($0.value) })))
        } else {
            for line in ClusterRow.columns([BackupRow.titles] + rows.map(\.cells)) { Console.say(line) }
        }
        for line in damage { Console.complain(line) }
        if !damage.isEmpty { throw ToolExit.failed }
    }
}

/// A backup as people and scripts see it.
struct BackupRow {
    let manifest: BackupManifest

    init(_ manifest: BackupManifest) { self.manifest = manifest }

    static let titles = ["NAME", "TIME", "EPOCH", "LSN", "FILES", "BYTES", "NEW", "FROM"]

    var cells: [String] {
        let checkpoint = manifest.checkpoint
        return [
            manifest.name.text, BackupName.time(manifest.createdAt / 1_000_000), "\(checkpoint.point.epoch)",
            "\(checkpoint.point.lsn)",
            "\(checkpoint.files.count)", Console.bytes(checkpoint.byteCount), Console.bytes(manifest.newByteCount),
            manifest.source,
        ]
    }

    var value: [MessagePackValue.Entry] {
        let checkpoint = manifest.checkpoint
        return [
            .init("name", .string(manifest.name.text)), .init("time", .string(BackupName.time(manifest.createdAt / 1_000_000))),
            .init("epoch", .uint(checkpoint.point.epoch)), .init("lsn", .uint(checkpoint.point.lsn)),
            .init("files", .int(Int64(checkpoint.files.count))), .init("bytes", .uint(checkpoint.byteCount)),
            .init("new_bytes", .uint(manifest.newByteCount)), .init("source", .string(manifest.source)),
            .init("store", .string(checkpoint.storeUUID.description)),
        ]
    }
}
