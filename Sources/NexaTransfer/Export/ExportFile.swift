import Glibc
import NexaStorage
import NexaWire

/// Where an export goes. A file gets its name when it is whole and on disk; until then it stands beside it, under a name that nobody had. Standard
/// output, and a name that is a pipe's or a device's, gets what comes.
final class ExportFile {
    private static let blockByteCount = 256 << 10
    private static let linkCountMax = 40

    private let path: String
    /// Nil where there is no file.
    private let draft: Draft?
    private let descriptor: Int32
    let buffer = OutputBytes(capacity: 2 * blockByteCount)
    private(set) var byteCount: UInt64 = 0

    init(path: String) throws(TransferError) {
        self.path = path
        if Self.isStream(path) {
            draft = nil
            descriptor = path == "-" ? dup(1) : open(path, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw failure }
        } else {
            let draft = try Self.draft(for: path)
            (self.draft, descriptor) = (draft, draft.descriptor)
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
        guard let draft else { return }
        guard fsync(descriptor) == 0 else { throw failure }
        try draft.publish()
    }

    /// It will not be whole.
    func abandon() {
        draft?.discard()
    }

    // MARK: Its place

    /// With the owner and the rights of the file that it will replace.
    private static func draft(for path: String) throws(TransferError) -> Draft {
        let target = followed(path)
        var earlier = stat()
        guard stat(target, &earlier) == 0 else { return try Draft.make(of: target, ending: "partial", mode: 0o644) }
        let draft = try Draft.make(of: target, ending: "partial", mode: 0o600)
        // Only the superuser gives files away; for others the file becomes their own.
        fchown(draft.descriptor, earlier.st_uid, earlier.st_gid)
        fchmod(draft.descriptor, earlier.st_mode & 0o777)
        return draft
    }

    /// Where symbolic links lead, also to what is not there yet: they stay, and the file at their end is replaced.
    private static func followed(_ path: String) -> String {
        var path = path
        for _ in 0..<linkCountMax {
            var link = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let count = link.withUnsafeMutableBytes { bytes in
                readlink(path, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
            }
            guard count > 0 else { return path }
            let next = String(decoding: link[..<count], as: UTF8.self)
            path = next.hasPrefix("/") ? next : Path.join(Path.directory(of: path), next)
        }
        return path
    }
}
