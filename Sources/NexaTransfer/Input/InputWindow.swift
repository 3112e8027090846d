import Glibc
import NexaStorage
import NexaWire

/// The part of the input that is in memory: read at its end, given up at its front. Confined to one thread.
final class InputWindow {
    /// Read at once; what a disk or a pipe gives quickly.
    private static let blockByteCount = 256 << 10
    private static let silenceMilliseconds: Int32 = 100

    private let descriptor: Int32
    private let isFile: Bool
    private let name: String
    /// A file as it was when it was opened; nil of a pipe, and of standard input, which may begin anywhere in one.
    let file: stat?
    /// Which file it is.
    let identity: FileIdentity
    private let buffer = OutputBytes(capacity: 1 << 20)
    /// Where the window begins in the input.
    private(set) var offset: UInt64 = 0
    private(set) var isAtEnd = false

    /// Opens a file, or standard input for "-".
    init(path: String) throws(TransferError) {
        name = path == "-" ? "standard input" : path
        descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unusable("cannot open \(name): \(describeErrno(errno))") }
        var status = stat()
        isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        file = isFile && path != "-" ? status : nil
        identity = FileIdentity(status)
    }

    deinit { close(descriptor) }

    /// Valid until the next call that changes the window.
    var bytes: UnsafeRawBufferPointer { buffer.bytes }

    /// Reads on: at least one byte, or `isAtEnd` is set. While a pipe is silent `goesOn` is asked now and then. What does not fit a window of n bytes costs reading n more, so a long record is
    /// looked through a few times only.
    func fill(while goesOn: () -> Bool = { true }) throws(TransferError) {
        guard !isAtEnd else { return }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while !isFile, poll(&entry, 1, Self.silenceMilliseconds) <= 0 {
            guard goesOn() else { throw .interrupted }
        }
        let before = buffer.byteCount
        let wanted = max(Self.blockByteCount, before)
        var count = 0
        buffer.append(count: wanted) { room in
            repeat { count = read(descriptor, room.baseAddress!, room.count) } while count < 0 && errno == EINTR
        }
        buffer.truncate(to: before + max(0, count))
        if count < 0 { throw .system("cannot read \(name): \(describeErrno(errno))") }
        guard count == 0 else { return }
        isAtEnd = true
        if let file, offset + UInt64(before) < UInt64(file.st_size) {
            throw .unusable("\(name) became shorter while it was read")
        }
    }

    func consume(_ byteCount: Int) {
        buffer.removeFirst(byteCount)
        offset += UInt64(byteCount)
    }

    /// Goes to `target`, behind the window's start: a file by seeking, a pipe by reading.
    func skip(to target: UInt64) throws(TransferError) {
        while offset < target {
            if bytes.isEmpty && !isAtEnd, lseek(descriptor, off_t(target), SEEK_SET) >= 0 {
                offset = target
                return
            }
            if bytes.isEmpty { try fill() }
            if bytes.isEmpty { throw .unusable("\(name) ends at byte \(offset), before byte \(target)") }
            consume(Int(min(UInt64(bytes.count), target - offset)))
        }
    }
}
