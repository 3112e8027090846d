import Glibc

/// The real disk. Files are created 0600 and directories 0700: a store holds other people's data. Symbolic links are not followed at the
/// last component and descriptors do not leak into child processes.
package final class PosixFileSystem: FileSystem {
    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
        let common = O_CLOEXEC | O_NOFOLLOW
        let descriptor =
            switch mode {
            case .read: retryingInterrupts { Glibc.open(path, O_RDONLY | common) }
            case .createNew: retryingInterrupts { Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | common, 0o600) }
            case .readWrite: retryingInterrupts { Glibc.open(path, O_RDWR | common) }
            }
        guard descriptor >= 0 else { throw .io(operation: "open", path: path, errno: errno) }
        return PosixFile(descriptor: descriptor, path: path)
    }

    package func rename(_ from: String, to: String) throws(StorageError) {
        try check(Glibc.rename(from, to), "rename", from)
    }

    package func remove(_ path: String) throws(StorageError) {
        try check(Glibc.unlink(path), "unlink", path)
    }

    package func removeDirectory(_ path: String) throws(StorageError) {
        try check(Glibc.rmdir(path), "rmdir", path)
    }

    package func link(_ existing: String, to: String) throws(StorageError) {
        try check(Glibc.link(existing, to), "link", to)
    }

    package func createDirectory(_ path: String) throws(StorageError) {
        if Glibc.mkdir(path, 0o700) == 0 { return }
        let number = errno
        var status = stat()
        if number == EEXIST, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return }
        throw .io(operation: "mkdir", path: path, errno: number)
    }

    package func list(_ directory: String) throws(StorageError) -> [String] {
        guard let stream = opendir(directory) else { throw .io(operation: "opendir", path: directory, errno: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        guard errno == 0 else { throw .io(operation: "readdir", path: directory, errno: errno) }
        return names.sorted()
    }

    package func exists(_ path: String) -> Bool {
        Glibc.access(path, F_OK) == 0
    }

    package func byteCount(of path: String) throws(StorageError) -> UInt64 {
        var status = stat()
        try check(stat(path, &status), "stat", path)
        return UInt64(status.st_size)
    }

    package func syncDirectory(_ path: String) throws(StorageError) {
        let descriptor = retryingInterrupts { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw .io(operation: "open", path: path, errno: errno) }
        defer { _ = Glibc.close(descriptor) }
        try check(Glibc.fsync(descriptor), "fsync", path)
    }

    package func lockFile(_ path: String) throws(StorageError) -> any FileLock {
        try PosixFileLock(path: path)
    }

    package func freeByteCount(_ directory: String) -> UInt64 {
        var status = statvfs()
        guard statvfs(directory, &status) == 0 else { return 0 }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }

    private func check(_ result: Int32, _ operation: String, _ path: String) throws(StorageError) {
        guard result == 0 else { throw .io(operation: operation, path: path, errno: errno) }
    }
}

/// Repeats a system call that a signal cut short.
func retryingInterrupts<R: FixedWidthInteger & SignedInteger>(_ call: () -> R) -> R {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}
