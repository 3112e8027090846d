import NexaStorage
import NexaTestKit
import Testing

/// The crashing disk promises exactly as much as a real one must.
@Suite struct CrashFileSystemTests {
    private func write(_ file: any File, _ bytes: [UInt8], at offset: UInt64) throws {
        try bytes.withUnsafeBytes { buffer in Result { () throws(StorageError) in try file.write(buffer, at: offset) } }.get()
    }

    @Test func syncedBytesUnderSyncedNamesSurvive() throws {
        let disk = CrashFileSystem()
        let file = try disk.open("/a", .createNew)
        try write(file, [1, 2, 3], at: 0)
        try file.sync()
        try disk.syncDirectory("/")
        try write(file, [9, 9, 9, 9], at: 0)
        #expect(try disk.crashClone(keepUnsynced: 0, seed: 1).contents("/a") == [1, 2, 3])
        #expect(try disk.crashClone(keepUnsynced: 1, seed: 1).contents("/a") == [9, 9, 9, 9])
    }

    @Test func aNameWithoutDirectorySyncIsLost() throws {
        let disk = CrashFileSystem()
        try disk.writeNew("/a", [1])
        #expect(!disk.crashClone(keepUnsynced: 0, seed: 1).exists("/a"))
        try disk.syncDirectory("/")
        try disk.writeNew("/b", [2])
        try disk.rename("/b", to: "/a")
        try disk.remove("/a")
        #expect(try disk.crashClone(keepUnsynced: 0, seed: 1).contents("/a") == [1])
        #expect(!disk.crashClone(keepUnsynced: 1, seed: 1).exists("/a"))
    }

    @Test func aDirectoryThatIsLostTakesItsFilesAlong() throws {
        let disk = CrashFileSystem()
        try disk.createDirectory("/d")
        try disk.writeNew("/d/a", [1])
        try disk.syncDirectory("/d")
        #expect(!disk.crashClone(keepUnsynced: 0, seed: 1).exists("/d/a"))
        try disk.syncDirectory("/")
        #expect(try disk.crashClone(keepUnsynced: 0, seed: 1).contents("/d/a") == [1])
    }

    @Test func sectorsSurviveOneByOne() throws {
        let disk = CrashFileSystem()
        let file = try disk.open("/a", .createNew)
        try file.preallocate(64 * 512)
        try file.sync()
        try disk.syncDirectory("/")
        try write(file, [UInt8](repeating: 1, count: 64 * 512), at: 0)
        var kept: Set<Int> = []
        for seed: UInt64 in 0..<20 {
            let bytes = try disk.crashClone(keepUnsynced: 0.5, seed: seed).contents("/a")
            let sectors = stride(from: 0, to: bytes.count, by: 512).map { Array(bytes[$0..<$0 + 512]) }
            for sector in sectors { #expect(sector.allSatisfy { $0 == sector[0] }, "a sector is never torn") }
            kept.insert(sectors.count { $0[0] == 1 })
        }
        #expect(kept.count > 3 && kept.allSatisfy { (10...54).contains($0) })
    }

    @Test func aCloneAndItsOriginGoSeparateWays() throws {
        let disk = CrashFileSystem()
        try disk.writeNew("/a", [1])
        try disk.syncDirectory("/")
        let clone = disk.crashClone(keepUnsynced: 0, seed: 1)
        try clone.setContents("/a", [2])
        try disk.setContents("/a", [3])
        #expect(try clone.contents("/a") == [2] && disk.contents("/a") == [3])
    }

    @Test func crashesAreReproducible() throws {
        let disk = CrashFileSystem()
        for index in 0..<20 { try disk.writeNew("/f\(index)", [UInt8](repeating: 1, count: 5000)) }
        let first = disk.crashClone(keepUnsynced: 0.5, seed: 42)
        let second = disk.crashClone(keepUnsynced: 0.5, seed: 42)
        #expect(try first.list("/") == second.list("/") && (1...19).contains(first.list("/").count))
    }
}
