import Glibc
import NexaStorage
import NexaWire

/// Where an export goes. A file gets its name when it is whole and on disk; until then it is called NAME.partial. Standard output, and a name
/// that is a pipe's or a device's, gets what comes.
final class ExportFile {
    private static let blockByteCount = 256 << 10

    private let path: String
    /// Nil where there is no file.
    private let partialPath: String?
    private let descriptor: Int32
    let buffer = OutputBytes(capacity: 2 * blockByteCount)
    private(set) var byteCount: UInt64 = 0

    init(path: String) throws(TransferError) {
        self.path = path
        if Self.isStream(path) {
            partialPath = nil
            descriptor = path == "-" ? dup(1) : open(path, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw failure }
        } else {
            let partial = path + ".partial"
            guard let opened = try LockedFile.open(partial) else { throw .unusable("another export is at work on \(path)") }
            (partialPath, descriptor) = (partial, opened)
            guard ftruncate(descriptor, 0) == 0 else { throw failure }
        }
    }

    deinit { close(descriptor) }

    private static func isStream(_ path: String) -> Bool {
        var status = stat()
        return path == "-" || (stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG)
    }

    /// What the system said just now.
    private var failure: TransferError {
        .system("cannot write \(path == "-" ? "standard output" : path): \(describeErrno(errno))")
    }

    /// Writes the buffer when it is full enough.
    func flushIfFull() throws(TransferError) {
        if buffer.byteCount >= Self.blockByteCount { try flush() }
    }

    private func flush() throws(TransferError) {
        while !buffer.isEmpty {
            let count = write(descriptor, buffer.bytes.baseAddress, buffer.byteCount)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure }
            byteCount += UInt64(count)
            buffer.removeFirst(count)
        }
    }

    /// The whole file is there.
    func finish() throws(TransferError) {
        try flush()
        guard let partialPath else { return }
        guard fsync(descriptor) == 0 else { throw failure }
        try LockedFile.rename(partialPath, to: path)
    }

    /// It will not be whole.
    func abandon() {
        if let partialPath { unlink(partialPath) }
    }
}
