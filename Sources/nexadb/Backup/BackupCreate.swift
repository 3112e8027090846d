import ArgumentParser
import Glibc
import NexaBackup
import NexaBlockingClient
import NexaStorage
import NexaWire

/// `nexadb backup create DIRECTORY`.
struct BackupCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Copy everything that a running node holds at one moment.",
        discussion: """
            The node may be a leader, a follower or alone, and goes on serving. Everything that it had acknowledged when the command began \
            is in the backup; what is written meanwhile may be or not, each batch as a whole. Where the node has users, an admin asks, or \
            one with the role replication.

            The directory is made when it is missing. Files that an earlier backup in it has are not fetched again. A run that was cut \
            off leaves no backup; the next one goes on with what came.

            EXAMPLES
              nexadb backup create /backups/shop
              nexadb backup create /backups/shop --host db2 --user ann --password-file ann.password --rate 50 --progress

            EXIT CODES  0 the backup is there, 1 failed, 4 that name is taken or the directory is another node's, 5 the node cannot be \
            reached.
            """)

    @OptionGroup var node: NodeOptions
    @Argument(help: ArgumentHelp("Directory of the backups.", valueName: "directory")) var directory: DirectoryPath
    @Option(help: "Name of the backup; without, the time, like 20261126T070012Z.") var name: BackupName?
    @Option(help: ArgumentHelp("Fetch at most so many MiB a second.", valueName: "mib")) var rate: Double?
    @Flag(help: "Say how far it is, also where stderr is no terminal.") var progress = false
    @Flag(help: "Print what was made as JSON.") var json = false

    func validate() throws {
        if let rate, !(rate > 0 && rate <= 1_000_000) { throw ValidationError("--rate is a number of MiB a second above 0") }
    }

    func run() throws {
        let endpoint = try node.endpoint()
        let clientOptions = try node.clientOptions(name: "nexadb-backup")
        let signals = StopSignals()
        let start = ContinuousClock.now
        let outcome = try ToolExit.backingUp {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            var options = BackupCreation.Options(
                name: name ?? BackupName(at: Int64(now.tv_sec)),
                createdAt: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000,
                source: endpoint.description)
            options.bytesPerSecond = rate.map { UInt64(max(1, $0 * 1_048_576)) }
            let repository = try BackupRepository.openOrCreate(directory.path, fileSystem: PosixFileSystem())
            let source = try NodeSource(endpoint, clientOptions)
            let line = ByteProgress("fetching", isAsked: progress)
            defer { line.end() }
            var creation = BackupCreation(
                repository, from: source, options,
                report: { progress in
                    line.show(
                        progress.presentByteCount + progress.fetchedByteCount, of: progress.byteCount,
                        detail: "\(progress.wholeFileCount) of \(progress.fileCount) files")
                }, isInterrupted: { signals.isRaised })
            do {
                return try creation.run()
            } catch BackupError.interrupted {
                line.end()
                Console.complain("interrupted: no backup was made. What came is kept; the next run goes on with it")
                throw ToolExit.failed
            }
        }
        let elapsed = (ContinuousClock.now - start).components
        show(outcome, seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18)
    }

    private func show(_ outcome: BackupCreation.Outcome, seconds: Double) {
        let (manifest, fetched) = (outcome.manifest, outcome.progress.fetchedByteCount)
        if json {
            var value = BackupRow(manifest).value
            value.append(.init("fetched_bytes", .uint(fetched)))
            value.append(.init("seconds", .double(seconds)))
            value.append(.init("resumptions", .int(Int64(outcome.resumptionCount))))
            return Console.say(JSONText.write(.map(value)))
        }
        Console.say(
            "backup \(manifest.name): LSN \(manifest.checkpoint.point.lsn), \(manifest.checkpoint.files.count) files, "
                + "\(Console.bytes(manifest.checkpoint.byteCount)), of which \(Console.bytes(manifest.newByteCount)) are new; "
                + "fetched \(Console.bytes(fetched)) in \(Console.fixed(seconds, 1)) s")
    }
}
