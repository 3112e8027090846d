import Glibc
import NexaStorage
import NexaTestKit
import Testing

/// What every implementation of `FileSystem` does, checked on the real disk and on the one in memory.
@Suite struct FileSystemContractTests {
    enum Kind: CaseIterable { case posix, crash }

    /// An empty directory of its own, removed afterwards.
    private func withDirectory(_ kind: Kind, _ body: (any FileSystem, String) throws -> Void) throws {
        switch kind {
        case .crash:
            let disk = CrashFileSystem()
            try disk.createDirectory("/t")
            try body(disk, "/t")
        case .posix:
            var template = Array("/tmp/nexadb-test-XXXXXX".utf8CString)
            let path = try #require(mkdtemp(&template).map { String(cString: $0) })
            defer { removeTree(path) }
            try body(PosixFileSystem(), path)
        }
    }

    private func removeTree(_ path: String) {
        for name in (try? PosixFileSystem().list(path)) ?? [] {
            let child = Path.join(path, name)
            if unlink(child) != 0 { removeTree(child) }
        }
        rmdir(path)
    }

    private func write(_ file: any File, _ bytes: [UInt8], at offset: UInt64) throws {
        try bytes.withUnsafeBytes { buffer in Result { () throws(StorageError) in try file.write(buffer, at: offset) } }.get()
    }

    private func read(_ file: any File, _ count: Int, at offset: UInt64) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        let done = try bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(StorageError) in try file.read(into: buffer, at: offset) }
        }.get()
        return Array(bytes[..<done])
    }

    private func errorNumber(_ body: () throws -> Void) -> Int32? {
        if case .io(_, _, let number) = failure(of: body) { return number }
        return nil
    }

    @Test(arguments: Kind.allCases) func writesAtAnyOffsetAndReadsShortOnlyAtTheEnd(_ kind: Kind) throws {
        try withDirectory(kind) { fileSystem, directory in
            let path = Path.join(directory, "a")
            let file = try fileSystem.open(path, .createNew)
            try write(file, [1, 2, 3], at: 5000)
            try write(file, [9], at: 0)
            #expect(try file.byteCount() == 5003)
            #expect(try read(file, 3, at: 0) == [9, 0, 0])
            #expect(try read(file, 10, at: 5001) == [2, 3])
            #expect(try read(file, 10, at: 6000) == [])
            try file.sync()
            file.close()
            #expect(failure { try file.byteCount() } == .closed)
            #expect(try fileSystem.byteCount(of: path) == 5003)
            #expect(try fileSystem.readAll(path).count == 5003)
        }
    }

    @Test(arguments: Kind.allCases) func opensOnlyWhatTheModeAllows(_ kind: Kind) throws {
        try withDirectory(kind) { fileSystem, directory in
            let path = Path.join(directory, "a")
            #expect(errorNumber { _ = try fileSystem.open(path, .read) } == ENOENT)
            #expect(errorNumber { _ = try fileSystem.open(path, .readWrite) } == ENOENT)
            try fileSystem.writeNew(path, [1])
            #expect(errorNumber { _ = try fileSystem.open(path, .createNew) } == EEXIST)
            let reader = try fileSystem.open(path, .read)
            #expect(errorNumber { try write(reader, [1], at: 0) } == EBADF)
        }
    }

    @Test(arguments: Kind.allCases) func preallocationIsZeroAndKeepsWhatIsThere(_ kind: Kind) throws {
        try withDirectory(kind) { fileSystem, directory in
            let file = try fileSystem.open(Path.join(directory, "a"), .createNew)
            try write(file, [7, 7], at: 0)
            try file.preallocate(600_000)
            #expect(try file.byteCount() == 600_000)
            let bytes = try read(file, 600_000, at: 0)
            #expect(bytes[..<2] == [7, 7] && bytes[2...].allSatisfy { $0 == 0 })
            try file.preallocate(10)
            #expect(try file.byteCount() == 600_000)
        }
    }

    @Test(arguments: Kind.allCases) func namesAreListedRenamedLinkedAndRemoved(_ kind: Kind) throws {
        try withDirectory(kind) { fileSystem, directory in
            let (a, b, c) = (Path.join(directory, "a"), Path.join(directory, "b"), Path.join(directory, "c"))
            try fileSystem.writeNew(a, [1])
            try fileSystem.writeNew(b, [2])
            try fileSystem.link(a, to: c)
            #expect(errorNumber { try fileSystem.link(a, to: b) } == EEXIST)
            try fileSystem.rename(a, to: b)
            #expect(try fileSystem.list(directory) == ["b", "c"])
            #expect(try fileSystem.readAll(b) == [1] && fileSystem.readAll(c) == [1])
            try fileSystem.remove(c)
            #expect(!fileSystem.exists(c) && fileSystem.exists(b))
            #expect(errorNumber { try fileSystem.remove(c) } == ENOENT)
            try fileSystem.createDirectory(Path.join(directory, "d"))
            try fileSystem.createDirectory(Path.join(directory, "d"))
            #expect(try fileSystem.list(directory) == ["b", "d"])
            let inner = Path.join(directory, "d/e")
            try fileSystem.writeNew(inner, [1])
            #expect(errorNumber { try fileSystem.removeDirectory(Path.join(directory, "d")) } == ENOTEMPTY)
            try fileSystem.remove(inner)
            try fileSystem.removeDirectory(Path.join(directory, "d"))
            #expect(try fileSystem.list(directory) == ["b"] && !fileSystem.exists(Path.join(directory, "d")))
            try fileSystem.syncDirectory(directory)
            #expect(fileSystem.freeByteCount(directory) > 0)
        }
    }

    @Test(arguments: Kind.allCases) func aLockHasOneHolderAndNamesIt(_ kind: Kind) throws {
        try withDirectory(kind) { fileSystem, directory in
            let path = Path.join(directory, "LOCK")
            let lock = try fileSystem.lockFile(path)
            #expect(failure { _ = try fileSystem.lockFile(path) } == .locked(path: path, holder: getpid()))
            lock.release()
            try fileSystem.lockFile(path).release()
        }
    }

    @Test func realFilesArePrivateAndLinksAreNotFollowed() throws {
        try withDirectory(.posix) { fileSystem, directory in
            let path = Path.join(directory, "a")
            try fileSystem.writeNew(path, [1])
            try fileSystem.createDirectory(Path.join(directory, "d"))
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            #expect(stat(Path.join(directory, "d"), &status) == 0 && status.st_mode & 0o777 == 0o700)
            symlink(path, Path.join(directory, "s"))
            #expect(errorNumber { _ = try fileSystem.open(Path.join(directory, "s"), .read) } == ELOOP)
        }
    }
}
