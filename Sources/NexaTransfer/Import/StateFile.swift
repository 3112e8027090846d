import Glibc
import NexaStorage

/// The file of an `ImportState`: replaced whole by a rename, so that a kill leaves the old state or the new one, and locked as long as its
/// import runs.
final class StateFile {
    private let path: String
    /// Holds the lock on the file that stands under the name.
    private var descriptor: Int32 = -1

    init(path: String) {
        self.path = path
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// What an earlier run left; nil when there is none.
    func read() throws(TransferError) -> ImportState? {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 && errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw .system("cannot open \(path): \(describeErrno(errno))") }
        try lock()
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            guard count >= 0 else { throw .system("cannot read \(path): \(describeErrno(errno))") }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        guard let state = ImportState(text: String(decoding: bytes, as: UTF8.self)) else {
            throw .unusable("\(path) is no state of an import that this version knows; --restart begins anew")
        }
        return state
    }

    private func lock() throws(TransferError) {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw .unusable("another import is at work on \(path)")
        }
    }

    /// The state is on disk when this returns.
    func write(_ state: ImportState) throws(TransferError) {
        let draft = path + ".new"
        let next = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard next >= 0 else { throw cannotWrite() }
        var text = state.text
        let isWritten = text.withUTF8 { Glibc.write(next, $0.baseAddress, $0.count) == $0.count }
        guard isWritten, fdatasync(next) == 0, flock(next, LOCK_EX | LOCK_NB) == 0, rename(draft, path) == 0 else {
            let failure = cannotWrite()
            close(next)
            throw failure
        }
        if descriptor >= 0 { close(descriptor) }
        descriptor = next
    }

    private func cannotWrite() -> TransferError {
        .system(
            "cannot write \(path), where the position is kept: \(describeErrno(errno)); --state names another place, --no-state keeps none"
        )
    }

    /// The import is done.
    func remove() {
        unlink(path)
    }
}
