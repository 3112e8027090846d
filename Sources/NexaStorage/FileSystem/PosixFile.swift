import Glibc
import Synchronization

/// An open descriptor. Whoever closes it owns the moment: the engine closes a file only when no other thread uses it any more.
package final class PosixFile: File {
    package let path: String
    private let descriptor: Atomic<Int32>

    init(descriptor: Int32, path: String) {
        self.descriptor = Atomic(descriptor)
        self.path = path
    }

    deinit { close() }

    /// The descriptor, for calls that the protocol does not cover (readahead hints). -1 when closed.
    package var fileDescriptor: Int32 { descriptor.load(ordering: .relaxed) }

    private func openDescriptor() throws(StorageError) -> Int32 {
        let number = fileDescriptor
        guard number >= 0 else { throw .closed }
        return number
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        let number = try openDescriptor()
        var done = 0
        while done < buffer.count {
            let count = retryingInterrupts {
                Glibc.pread(number, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + done)
            }
            if count == 0 { break }
            guard count > 0 else { throw .io(operation: "pread", path: path, errno: errno) }
            done += count
        }
        return done
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError) {
        let number = try openDescriptor()
        var done = 0
        while done < bytes.count {
            let count = retryingInterrupts {
                Glibc.pwrite(number, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + done)
            }
            guard count > 0 else { throw .io(operation: "pwrite", path: path, errno: count == 0 ? ENOSPC : errno) }
            done += count
        }
    }

    /// `fdatasync`: also writes the metadata that is needed to find the bytes again, such as a new length. Never repeated on failure.
    package func sync() throws(StorageError) {
        let number = try openDescriptor()
        guard fdatasync(number) == 0 else { throw .io(operation: "fdatasync", path: path, errno: errno) }
    }

    package func preallocate(_ byteCount: UInt64) throws(StorageError) {
        let number = try openDescriptor()
        let existing = try self.byteCount()
        guard existing < byteCount else { return }
        // Reserve first: one extent, and a full disk is found out before anything is written.
        var status = EINTR
        while status == EINTR { status = posix_fallocate(number, off_t(existing), off_t(byteCount - existing)) }
        guard status == 0 else { throw .io(operation: "posix_fallocate", path: path, errno: status) }
        let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { zeros.deallocate() }
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
        var offset = existing
        while offset < byteCount {
            let count = Int(min(UInt64(zeros.count), byteCount - offset))
            try write(UnsafeRawBufferPointer(rebasing: zeros[..<count]), at: offset)
            offset += UInt64(count)
        }
    }

    package func byteCount() throws(StorageError) -> UInt64 {
        var status = stat()
        guard fstat(try openDescriptor(), &status) == 0 else { throw .io(operation: "fstat", path: path, errno: errno) }
        return UInt64(status.st_size)
    }

    package func close() {
        let number = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
        if number >= 0 { _ = Glibc.close(number) }
    }
}
