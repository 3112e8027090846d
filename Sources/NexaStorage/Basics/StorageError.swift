/// Everything that the storage engine can answer instead of a result. Each case carries what a person needs to act on it.
package enum StorageError: Error, Equatable, Sendable {
    /// A system call failed. `errno` is the system's own number.
    case io(operation: String, path: String, errno: Int32)
    /// Bytes that were known to be good are not good any more. Nothing was changed on disk.
    case corruption(Corruption)
    /// Written by a newer or foreign program: reading on would guess.
    case unsupportedFormat(file: String, reason: String)
    /// Another process holds the directory; `holder` is its process id where it could be read.
    case locked(path: String, holder: Int32?)
    /// The engine refuses writes: an earlier write or sync failed, the disk is full, or it was opened for reading.
    case writesRefused(reason: String)
    case tooLarge(what: String, byteCount: Int, limit: Int)
    /// Memory could not be reserved, or a write stalled for too long.
    case overloaded(reason: String)
    /// The engine follows a leader and takes no writes of its own.
    case following
    /// A leadership cannot begin with an epoch that is not above all before.
    case staleEpoch(offered: Epoch, current: Epoch)
    case closed
    /// A read with `mayBlock: false` needs the disk.
    case wouldBlock
}

/// Damage of durable data: where it is, how it was told from a torn tail, and the command that helps.
package struct Corruption: Error, Equatable, Sendable {
    package var file: String
    package var offset: UInt64
    /// The last position known to be whole before the damage, where the file has one.
    package var lsn: LSN?
    package var reason: String
    /// What to type next.
    package var remedy: String

    package init(file: String, offset: UInt64, lsn: LSN? = nil, reason: String, remedy: String) {
        self.file = file
        self.offset = offset
        self.lsn = lsn
        self.reason = reason
        self.remedy = remedy
    }
}

extension Corruption: CustomStringConvertible {
    package var description: String {
        let position = lsn.map { " after LSN \($0)" } ?? ""
        return "\(file) is damaged at offset \(offset)\(position): \(reason). \(remedy)"
    }
}

extension StorageError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .io(let operation, let path, let number):
            return "\(operation) \(path): \(describeErrno(number))"
        case .corruption(let corruption):
            return corruption.description
        case .unsupportedFormat(let file, let reason):
            return "\(file) cannot be read by this version: \(reason)"
        case .locked(let path, let holder):
            return "\(path) is in use by " + (holder.map { "process \($0)" } ?? "another process")
        case .writesRefused(let reason):
            return "writes are refused: \(reason)"
        case .tooLarge(let what, let byteCount, let limit):
            return "\(what) has \(byteCount) bytes, more than the limit of \(limit)"
        case .overloaded(let reason):
            return "overloaded: \(reason)"
        case .following:
            return "this node follows a leader and takes no writes"
        case .staleEpoch(let offered, let current):
            return "epoch \(offered) is not above epoch \(current)"
        case .closed:
            return "the store is closed"
        case .wouldBlock:
            return "the read needs the disk"
        }
    }
}
