import ArgumentParser
import Glibc
import NexaBackup
import NexaStorage

/// `nexadb backup`: copies of a running node in a directory, and data directories made of them.
struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Make backups of a running node, check them, and restore them.",
        discussion: """
            A backup is everything that the node held at one moment, fetched while it serves. All backups of a node lie in one directory, \
            in which a file that several of them have is kept once: a second backup costs what has changed. See docs/backup.md.
            """,
        subcommands: [BackupCreate.self, BackupList.self, BackupVerify.self, BackupRestoreCommand.self, BackupDelete.self])
}

extension BackupName: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

/// A directory as a path without a slash at its end.
struct DirectoryPath: ExpressibleByArgument {
    var path: String

    init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        path = argument
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    }

    func repository() throws(BackupError) -> BackupRepository {
        try BackupRepository.open(path, fileSystem: PosixFileSystem())
    }
}

extension ToolExit {
    /// Runs the body of a backup command: what fails becomes a line on stderr and its exit code.
    static func backingUp<Result>(_ body: () throws -> Result) throws -> Result {
        umask(0o077)
        do {
            return try answering(body)
        } catch let error as BackupError {
            Console.complain(error.description)
            throw code(for: error)
        }
    }

    static func code(for error: BackupError) -> ExitCode {
        switch error {
        case .missing: notFound
        case .conflict: conflict
        case .refused: usage
        case .damaged, .interrupted, .storage: failed
        case .node(let error): code(for: error)
        }
    }
}
