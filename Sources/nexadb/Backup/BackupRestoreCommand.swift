import ArgumentParser
import Glibc
import NexaBackup
import NexaReplication
import NexaServer
import NexaStorage
import NexaWire

/// `nexadb backup restore DIRECTORY NAME DATA-DIR`.
struct BackupRestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Make a data directory of a backup.",
        discussion: """
            The data directory must be missing or empty. Every file is checked on its way. A restore that was cut off leaves a directory \
            that no node opens; the same command begins it anew.

            The node that is started on it has all databases and users of the backup and belongs to no cluster yet. It begins a new epoch, so \
            that positions which the old node gave out after the backup are answered with TOKEN_LOST. With --as-follower the log is left as it \
            was, for a node that is to follow the cluster which the backup came from: it streams what came since instead of taking a \
            full copy.

            EXAMPLES
              nexadb backup restore /backups/shop 20261126T070012Z ./data && nexadb serve --data-dir ./data
              nexadb backup restore --as-follower /backups/shop nightly ./n4 && nexadb serve --data-dir ./n4 --node-name n4 --follow db1:6970

            EXIT CODES  0 restored, 1 the backup is damaged or the disk failed, 2 the data directory is not empty, 3 no such backup.
            """)

    @Argument(help: ArgumentHelp("Directory of the backups.", valueName: "directory")) var directory: DirectoryPath
    @Argument(help: "Name of the backup.") var name: BackupName
    @Argument(help: ArgumentHelp("The new data directory.", valueName: "data-dir")) var target: DirectoryPath
    @Flag(help: "Begin no new epoch: for a follower of the cluster that the backup came from.") var asFollower = false
    @Flag(help: "Say how far it is, also where stderr is no terminal.") var progress = false
    @Flag(help: "Print what was restored as JSON.") var json = false

    func run() throws {
        let signals = StopSignals()
        let outcome = try ToolExit.backingUp {
            var options = BackupRestore.Options(seconds: Int64(time(nil)))
            if asFollower { options.join = Self.join }
            let restore = try BackupRestore(
                name, of: directory.repository(), into: target.path, fileSystem: PosixFileSystem(), options)
            let line = ByteProgress("restoring", isAsked: progress)
            defer { line.end() }
            return try restore.run(progress: { line.show($0, of: $1) }, isInterrupted: { signals.isRaised })
        }
        show(outcome)
    }

    /// As a newcomer: what it promised and acknowledged in the cluster before, if it was in it, is not known any more.
    @Sendable private static func join(_ directory: String, _ cluster: ClusterID) throws(StorageError) {
        var state = CoordinationState()
        state.clusterID = cluster
        state.promise.standing = .newcomer
        try CoordinationFile.store(state, directory: directory, fileSystem: PosixFileSystem())
    }

    private func show(_ outcome: BackupRestore.Outcome) {
        let checkpoint = outcome.manifest.checkpoint
        if json {
            var value = BackupRow(outcome.manifest).value
            value.append(.init("data_dir", .string(target.path)))
            value.append(.init("new_epoch", outcome.epoch.map { .uint($0) } ?? .null))
            return Console.say(JSONText.write(.map(value)))
        }
        Console.say(
            "restored \(name) into \(target.path): LSN \(checkpoint.point.lsn), \(checkpoint.files.count) files, "
                + Console.bytes(checkpoint.byteCount) + (outcome.epoch.map { "; it goes on in epoch \($0)" } ?? ""))
    }
}
