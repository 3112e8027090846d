import Glibc
import NexaStorage

/// An open file of a `CrashFileSystem`. `@unchecked Sendable`: the file system's lock guards the node and the flag.
final class CrashFile: File, @unchecked Sendable {
    let path: String
    private let node: CrashNode
    private let lock: NexaLock
    private let isWritable: Bool
    private var isClosed = false

    init(path: String, node: CrashNode, lock: NexaLock, isWritable: Bool) {
        self.path = path
        self.node = node
        self.lock = lock
        self.isWritable = isWritable
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        try locked { () throws(StorageError) in node.read(into: buffer, at: Int(offset)) }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError) {
        try locked { () throws(StorageError) in
            guard isWritable else { throw .io(operation: "pwrite", path: path, errno: EBADF) }
            node.write(bytes, at: Int(offset))
        }
    }

    func sync() throws(StorageError) {
        try locked { () throws(StorageError) in node.sync() }
    }

    func preallocate(_ byteCount: UInt64) throws(StorageError) {
        try locked { () throws(StorageError) in
            guard isWritable else { throw .io(operation: "fallocate", path: path, errno: EBADF) }
            node.extend(to: Int(byteCount))
        }
    }

    func byteCount() throws(StorageError) -> UInt64 {
        try locked { () throws(StorageError) in UInt64(node.byteCount) }
    }

    func close() {
        lock.withLock { isClosed = true }
    }

    private func locked<R>(_ body: () throws(StorageError) -> R) throws(StorageError) -> R {
        try lock.withLock { () throws(StorageError) in
            guard !isClosed else { throw .closed }
            return try body()
        }
    }
}
