import Glibc
import Synchronization

/// An exclusive `flock` on a file that holds the owner's process id, so that the next one can say who is in the way. The system drops
/// the lock when the process ends, however it ends; the file stays.
final class PosixFileLock: FileLock {
    private let descriptor: Atomic<Int32>

    init(path: String) throws(StorageError) {
        let number = retryingInterrupts { Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        guard number >= 0 else { throw .io(operation: "open", path: path, errno: errno) }
        guard retryingInterrupts({ flock(number, LOCK_EX | LOCK_NB) }) == 0 else {
            let reason = errno
            let holder = PosixFileLock.readHolder(number)
            _ = Glibc.close(number)
            throw reason == EWOULDBLOCK
                ? .locked(path: path, holder: holder) : .io(operation: "flock", path: path, errno: reason)
        }
        let text = Array("\(getpid())\n".utf8)
        guard ftruncate(number, 0) == 0, pwrite(number, text, text.count, 0) == text.count else {
            let reason = errno
            _ = Glibc.close(number)
            throw .io(operation: "write", path: path, errno: reason)
        }
        descriptor = Atomic(number)
    }

    deinit { release() }

    func release() {
        let number = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
        if number >= 0 { _ = Glibc.close(number) }
    }

    private static func readHolder(_ number: Int32) -> Int32? {
        withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { buffer in
            let count = pread(number, buffer.baseAddress!, buffer.count, 0)
            guard count > 0 else { return nil }
            var holder: Int32 = 0
            for byte in buffer[..<count] where byte != UInt8(ascii: "\n") {
                guard (48...57).contains(byte), holder < 100_000_000 else { return nil }
                holder = holder * 10 + Int32(byte - 48)
            }
            return holder > 0 ? holder : nil
        }
    }
}
