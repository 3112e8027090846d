import ArgumentParser
import NexaBackup
import NexaWire

/// `nexadb backup delete DIRECTORY NAME... | --keep N`.
struct BackupDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove backups, and the files that no other backup needs.",
        discussion: """
            EXAMPLES
              nexadb backup delete /backups/shop 20261120T030000Z
              nexadb backup delete /backups/shop --keep 14

            EXIT CODES  0 removed, 1 failed, 3 no such backup, 4 another command works in the directory.
            """)

    @Argument(help: ArgumentHelp("Directory of the backups.", valueName: "directory")) var directory: DirectoryPath
    @Argument(help: "Names of backups.") var names: [BackupName] = []
    @Option(help: "Keep the newest so many and remove all others.") var keep: Int?
    @Flag(help: "Print what was removed as JSON.") var json = false

    func validate() throws {
        guard names.isEmpty == (keep != nil) else { throw ValidationError("name the backups, or say --keep N") }
        if let keep, keep < 1 { throw ValidationError("--keep is at least 1; name the last backup to remove it, too") }
    }

    func run() throws {
        let outcome = try ToolExit.backingUp {
            let repository = try directory.repository()
            if let keep { return try BackupRemoval.keep(keep, of: repository) }
            return try BackupRemoval.delete(names, of: repository)
        }
        if json {
            return Console.say(
                JSONText.write([
                    "removed": .array(outcome.removed.map { .string($0.text) }), "files": .int(Int64(outcome.objectCount)),
                    "bytes": .uint(outcome.byteCount),
                ]))
        }
        Console.say(
            "removed \(outcome.removed.count) backups, \(outcome.objectCount) files, \(Console.bytes(outcome.byteCount))")
    }
}
