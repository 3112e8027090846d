import Glibc
import NexaStorage

/// Files that one process at a time writes.
enum LockedFile {
    private static let tryCountMax = 100

    /// Opens a file for reading and writing, makes it where it is missing, and locks it until its descriptor is closed; nil while somebody else
    /// holds it. The file has its name when this returns: one that was renamed or removed meanwhile is no hindrance and no prize.
    static func open(_ path: String) throws(TransferError) -> Int32? {
        for _ in 0..<tryCountMax {
            let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw .system("cannot write \(path): \(describeErrno(errno))") }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let number = errno
                close(descriptor)
                guard number == EWOULDBLOCK else { throw .system("cannot lock \(path): \(describeErrno(number))") }
                return nil
            }
            var (mine, named) = (stat(), stat())
            let isNamed =
                fstat(descriptor, &mine) == 0 && stat(path, &named) == 0 && FileIdentity(mine) == FileIdentity(named)
            // Devices are not replaced by files.
            if isNamed && mine.st_mode & S_IFMT == S_IFREG { return descriptor }
            close(descriptor)
            if isNamed { throw .unusable("\(path) is not a file") }
        }
        return nil
    }

    /// Makes a file's name durable.
    static func syncName(_ path: String) throws(TransferError) {
        do throws(StorageError) {
            try PosixFileSystem().syncDirectory(Path.directory(of: path))
        } catch {
            throw .system(error.description)
        }
    }
}
