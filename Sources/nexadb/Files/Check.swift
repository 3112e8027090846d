import ArgumentParser
import NexaShell
import NexaStorage
import NexaWire

/// `nexadb check DIR`: reads every byte of a stopped node's files.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read every byte of a stopped node's files and say what is damaged.",
        discussion: """
            Checks the manifest; each table it names, against what it says of that table (checksums of all blocks, order of all \
            entries, index, filter, counts, digest); and each log record, by the rules of recovery, so that the torn tail of a crash \
            is told from lost data. All damage is listed with file and offset, not only the first. Nothing is changed.

            --salvage-log is the last resort for a log that is damaged, when there is no backup and no replica: the store opens again with \
            everything in front of the damage, and what lies behind it, acknowledged or not, is set aside in files named .lost.

            The node must be stopped: the check takes the store's lock. --no-lock is for copies on read-only media.

            EXAMPLES
              nexadb check ./data
              nexadb check --json ./data > report.json

            EXIT CODES  0 everything is whole, 1 damage was found, 2 it could not be checked (the node runs, no store there, no \
            permission).
            """)

    @Argument(help: "The data directory of the node.") var directory: String
    @Flag(help: "Print the report as JSON.") var json = false
    @Flag(help: "Show no progress.") var quiet = false
    @Flag(help: "Do not take the lock of the store: for copies that nobody writes to.") var noLock = false

    @Flag(help: "Give up what a damaged log holds behind the damage, so that the store opens again.") var salvageLog = false

    func run() throws {
        let check = StoreCheck(layout: StoreLayout(directory: directory), fileSystem: PosixFileSystem())
        let lock = try lockStore(check)
        defer { lock?.release() }
        if salvageLog { try salvage(check) }
        let report = check.run(progress: showProgress)
        if Console.isErrorTerminal && !quiet { ProgressBar.clear() }
        if json {
            Console.say(JSONLayout.pretty(Self.json(report)))
        } else {
            for line in Self.lines(report) { Console.say(line) }
        }
        if !report.damage.isEmpty { throw ToolExit.failed }
    }

    /// The lock of the store, nil with --no-lock. Exits where there is no store or somebody uses it.
    private func lockStore(_ check: StoreCheck) throws -> (any FileLock)? {
        do {
            guard try check.holdsStore() else {
                Console.complain("\(directory) holds no store: there is no manifest in it")
                throw ToolExit.usage
            }
            return noLock && !salvageLog ? nil : try check.fileSystem.lockFile(check.layout.lockPath)
        } catch let error as StorageError {
            var reason = error.description
            if case .locked = error { reason += ": stop the node first, or check a copy of its files" }
            Console.complain(reason)
            throw ToolExit.usage
        }
    }

    private func salvage(_ check: StoreCheck) throws {
        do throws(StorageError) {
            guard let report = try LogSalvage.run(layout: check.layout, fileSystem: check.fileSystem) else {
                return Console.say("the log is whole: nothing was given up")
            }
            Console.say("gave up what lies behind LSN \(report.keptLSN): \(report.problem)")
            if report.provenLSN > report.keptLSN {
                Console.say("at least LSN \(report.keptLSN + 1) to \(report.provenLSN) are lost")
            }
            for name in report.setAside { Console.say("set aside \(name)\(LogSalvage.lostSuffix)") }
        } catch {
            Console.complain(error.description)
            throw ToolExit.failed
        }
    }

    private func showProgress(_ progress: VerifyProgress) {
        guard Console.isErrorTerminal && !quiet else { return }
        let percent = progress.totalByteCount > 0 ? progress.checkedByteCount * 100 / progress.totalByteCount : 100
        ProgressBar.draw("checking tables: \(percent) % of \(Console.bytes(progress.totalByteCount))")
    }

    private static func lines(_ report: StoreCheckReport) -> [String] {
        let verified = report.verified
        var lines = [
            "\(verified.tableCount) tables, \(Console.bytes(verified.tableByteCount)), \(Console.grouped(verified.entryCount)) entries",
            "\(report.segmentCount) log segments, \(Console.grouped(UInt64(verified.logRecordCount))) records to replay",
        ]
        lines += report.remarks
        lines += report.damage.map { "DAMAGE " + $0 }
        lines.append(report.damage.isEmpty ? "ok: every byte is whole" : "\(report.damage.count) places are damaged")
        return lines
    }

    private static func json(_ report: StoreCheckReport) -> MessagePackValue {
        let verified = report.verified
        return [
            "ok": .bool(report.damage.isEmpty), "tables": .int(Int64(verified.tableCount)),
            "table_bytes": .int(Int64(clamping: verified.tableByteCount)), "entries": .int(Int64(clamping: verified.entryCount)),
            "log_segments": .int(Int64(report.segmentCount)), "log_records": .int(Int64(verified.logRecordCount)),
            "remarks": .array(report.remarks.map { .string($0) }), "damage": .array(report.damage.map { .string($0) }),
        ]
    }
}
