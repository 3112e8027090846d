import Glibc
import NexaStorage
import NexaWire

/// Where an export goes. A file gets its name when it is whole and on disk; until then it is called NAME.partial.
final class ExportFile {
    private static let blockByteCount = 256 << 10

    private let path: String
    private let partialPath: String
    private let descriptor: Int32
    let buffer = OutputBytes(capacity: 2 * blockByteCount)
    private(set) var byteCount: UInt64 = 0

    init(path: String) throws(TransferError) {
        self.path = path
        partialPath = path + ".partial"
        descriptor = path == "-" ? dup(1) : open(partialPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .system("cannot write \(path): \(describeErrno(errno))") }
    }

    deinit { close(descriptor) }

    private var name: String { path == "-" ? "standard output" : path }

    /// Writes the buffer when it is full enough.
    func flushIfFull() throws(TransferError) {
        if buffer.byteCount >= Self.blockByteCount { try flush() }
    }

    private func flush() throws(TransferError) {
        while !buffer.isEmpty {
            let count = write(descriptor, buffer.bytes.baseAddress, buffer.byteCount)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system("cannot write \(name): \(describeErrno(errno))") }
            byteCount += UInt64(count)
            buffer.removeFirst(count)
        }
    }

    /// The whole file is there.
    func finish() throws(TransferError) {
        try flush()
        guard path != "-" else { return }
        guard fsync(descriptor) == 0, rename(partialPath, path) == 0 else {
            throw .system("cannot write \(name): \(describeErrno(errno))")
        }
    }

    /// It will not be whole.
    func abandon() {
        if path != "-" { unlink(partialPath) }
    }
}
