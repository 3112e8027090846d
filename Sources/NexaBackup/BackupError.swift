import Glibc
import NexaBlockingClient
import NexaStorage

/// Why a backup could not be made, read or removed. The cases differ in what a person or a script does next.
package enum BackupError: Error, Sendable {
    /// There is no backup of that name, or no repository.
    case missing(String)
    /// The name is taken, somebody else writes in the repository, the repository is another store's.
    case conflict(String)
    /// What was asked for cannot be done as it was asked: a directory that is not empty, a name that is none.
    case refused(String)
    /// Bytes are not what they were.
    case damaged(String)
    /// It was told to stop. What came is kept for the next run.
    case interrupted
    case storage(StorageError)
    case node(ClientError)
}

extension BackupError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let text), .conflict(let text), .refused(let text), .damaged(let text): text
        case .interrupted: "interrupted"
        case .storage(let error): error.description
        case .node(let error): error.description
        }
    }

    /// Runs a call of the file system.
    static func storing<R>(_ body: () throws(StorageError) -> R) throws(BackupError) -> R {
        do throws(StorageError) {
            return try body()
        } catch {
            throw .storage(error)
        }
    }

    /// Makes a directory, durably, in one that is there.
    static func making(_ directory: String, _ fileSystem: any FileSystem) throws(BackupError) {
        let parent = Path.directory(of: directory)
        do throws(StorageError) {
            try fileSystem.createDirectory(directory)
            try fileSystem.syncDirectory(parent)
        } catch .io(_, _, ENOENT) {
            throw .refused("\(directory) cannot be made: there is no directory \(parent)")
        } catch {
            throw .storage(error)
        }
    }
}
