/// How a file is opened.
package enum OpenMode: Sendable {
    /// An existing file, for reading.
    case read
    /// A file that must not exist yet, for reading and writing.
    case createNew
    /// An existing file, for reading and writing.
    case readWrite
}

/// The only way from the engine to a disk. Three implementations: `PosixFileSystem`, and in NexaTestKit `CrashFileSystem` (in memory,
/// forgets what was not synced) and `FaultFileSystem` (fails by rule).
///
/// What survives a power cut, and the engine relies on nothing more: bytes of a file after its `sync`, and names in a directory after
/// its `syncDirectory`. A new file needs both. All calls are safe from any thread.
package protocol FileSystem: AnyObject, Sendable {
    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File
    /// Replaces `to` atomically if it exists.
    func rename(_ from: String, to: String) throws(StorageError)
    func remove(_ path: String) throws(StorageError)
    /// Removes an empty directory.
    func removeDirectory(_ path: String) throws(StorageError)
    /// A second name for the same bytes; fails if `to` exists.
    func link(_ existing: String, to: String) throws(StorageError)
    /// Creates the directory, readable by its owner only; does nothing when it is there already.
    func createDirectory(_ path: String) throws(StorageError)
    /// The names in a directory, sorted, without `.` and `..`.
    func list(_ directory: String) throws(StorageError) -> [String]
    func exists(_ path: String) -> Bool
    func byteCount(of path: String) throws(StorageError) -> UInt64
    /// Makes creations, renames and removals in this directory durable.
    func syncDirectory(_ path: String) throws(StorageError)
    /// Holds the path, which is created if needed, until the lock is released or the process ends.
    func lockFile(_ path: String) throws(StorageError) -> any FileLock
    /// Bytes that this process may still write there; 0 when unknown.
    func freeByteCount(_ directory: String) -> UInt64
}

/// An open file. Reads and writes name their offset, so one file can be shared by many threads.
package protocol File: AnyObject, Sendable {
    var path: String { get }
    /// Fills the buffer from `offset` and answers how many bytes it got: short only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int
    /// Writes all bytes or throws; after an error any part of them may be there.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError)
    /// Returns when everything written so far survives a power cut. After an error the file must not be trusted or synced again: the
    /// system may have dropped the bytes and forgotten the error.
    func sync() throws(StorageError)
    /// Makes the file at least this long, with the new part written as zeros (not merely reserved), so that writing there later
    /// changes no metadata and its `sync` is cheaper. Not synced.
    func preallocate(_ byteCount: UInt64) throws(StorageError)
    func byteCount() throws(StorageError) -> UInt64
    /// Closes the file; later calls throw `closed`. Unsynced bytes stay unsynced.
    func close()
}

package protocol FileLock: AnyObject, Sendable {
    func release()
}

extension FileSystem {
    /// The whole of a file that is known to be small.
    package func readAll(_ path: String, byteCountMax: Int = 1 << 30) throws(StorageError) -> [UInt8] {
        let file = try open(path, .read)
        defer { file.close() }
        let byteCount = try file.byteCount()
        guard byteCount <= UInt64(byteCountMax) else {
            throw .tooLarge(what: path, byteCount: Int(clamping: byteCount), limit: byteCountMax)
        }
        var bytes = [UInt8](repeating: 0, count: Int(byteCount))
        let result = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(StorageError) in try file.read(into: buffer, at: 0) }
        }
        bytes.removeLast(bytes.count - (try result.get()))
        return bytes
    }

    /// Creates a file with this content, durable except for its name: `syncDirectory` follows.
    package func writeNew(_ path: String, _ bytes: [UInt8]) throws(StorageError) {
        let file = try open(path, .createNew)
        defer { file.close() }
        try bytes.withUnsafeBytes { buffer in Result { () throws(StorageError) in try file.write(buffer, at: 0) } }.get()
        try file.sync()
    }
}

/// Path arithmetic; the engine's paths never end in a slash.
package enum Path {
    package static func join(_ directory: String, _ name: String) -> String {
        directory.hasSuffix("/") ? directory + name : directory + "/" + name
    }

    package static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    package static func name(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return path }
        return String(path[path.index(after: slash)...])
    }
}
