import ArgumentParser
import NexaBackup
import NexaWire

/// `nexadb backup verify DIRECTORY [NAME...]`.
struct BackupVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Read every byte of backups and say what is damaged.",
        discussion: """
            Each file is read once, however many backups need it: size, digest, and of tables all checksums, the order of all entries, index \
            and filter, as nexadb check does. Then each backup is looked at as the store that it would become. Nothing is changed.

            EXIT CODES  0 everything is whole, 1 damage was found, 3 no such backup.
            """)

    @Argument(help: ArgumentHelp("Directory of the backups.", valueName: "directory")) var directory: DirectoryPath
    @Argument(help: "Names of backups; without, all of them.") var names: [BackupName] = []
    @Flag(help: "Say how far it is, also where stderr is no terminal.") var progress = false
    @Flag(help: "Print the report as JSON.") var json = false

    func run() throws {
        let signals = StopSignals()
        let report = try ToolExit.backingUp {
            let line = ByteProgress("verifying", isAsked: progress)
            defer { line.end() }
            return try BackupVerification.run(
                directory.repository(), names, progress: { line.show($0, of: $1) }, isInterrupted: { signals.isRaised })
        }
        if json {
            Console.say(
                JSONText.write([
                    "ok": .bool(report.damage.isEmpty), "backups": .int(Int64(report.backupCount)),
                    "files": .int(Int64(report.objectCount)), "bytes": .uint(report.byteCount),
                    "damage": .array(report.damage.map { .string($0) }),
                ]))
        } else {
            for line in report.damage { Console.say("DAMAGE " + line) }
            let read = "\(report.backupCount) backups, \(report.objectCount) files, \(Console.bytes(report.byteCount)) read"
            Console.say(
                report.damage.isEmpty ? "ok: \(read), every byte is whole" : "\(report.damage.count) places are damaged; \(read)")
        }
        if !report.damage.isEmpty { throw ToolExit.failed }
    }
}
