// What a node holds for those who copy it: how many, for how long, at what price, and what is left when they go away.

import NexaReplication
import NexaServer
import NexaStorage
import NexaTestKit
import Testing

@Suite struct CheckpointShelfTests {
    private func engine(_ disk: any FileSystem) throws -> Engine {
        var options = EngineOptions(memoryByteCount: 8 << 20)
        options.memTableByteCount = 256 << 10
        options.logBufferByteCount = 64 << 10
        options.segmentByteCount = 256 << 10
        options.backgroundWork = .manual
        let engine = try Engine.open(directory: "/data", fileSystem: disk, options: options)
        for index in 0..<500 { try engine.writeDurably { $0.put("key\(index)", "value \(index)") } }
        return engine
    }

    private func directories(_ disk: CrashFileSystem) throws -> Int { try disk.list("/data/checkpoints").count }

    @Test func whatIsDoneWithIsRemovedWhenItsLastHolderSaysSo() throws {
        let disk = CrashFileSystem()
        let shelf = CheckpointShelf(engine: try engine(disk), directory: "/data", fileSystem: disk)
        let held = try shelf.make(.follower, for: ["a"])
        #expect(shelf.join("b") { $0.id == held.id } != nil)
        #expect(shelf.join("c") { $0.id == held.id + 1 } == nil)
        shelf.release(held.id, by: "a")
        #expect(shelf.count == 1)
        shelf.release(held.id, by: "b")
        #expect(try shelf.count == 0 && directories(disk) == 0)
        // Who says it twice, or of something unknown, changes nothing.
        shelf.release(held.id, by: "b")
        shelf.release(1, by: nil)
    }

    @Test func nobodyWhoGoesAwayLeavesAnythingBehind() throws {
        let disk = CrashFileSystem()
        let shelf = CheckpointShelf(engine: try engine(disk), directory: "/data", fileSystem: disk)
        let (backup, follower) = (try shelf.make(.backup, for: ["b"]), try shelf.make(.follower, for: ["f"]))
        let start = CheckpointShelf.now()
        #expect(shelf.tidy(now: start + CheckpointShelf.Purpose.backup.lifetime / 2).isEmpty)
        #expect(shelf.tidy(now: start + CheckpointShelf.Purpose.backup.lifetime + 1_000_000).map(\.id) == [backup.id])
        #expect(shelf.tidy(now: start + CheckpointShelf.Purpose.follower.lifetime + 1_000_000).map(\.id) == [follower.id])
        #expect(try directories(disk) == 0)
        let get = SnapshotGet(id: backup.id, file: 0, offset: 0, byteCount: 10)
        #expect(try shelf.read(get) == nil)
        _ = try shelf.make(.backup, for: ["b"])
        shelf.removeAll()
        #expect(try shelf.count == 0 && directories(disk) == 0)
    }

    /// Who has taken a copy goes on from the log behind it.
    @Test func theLogBehindAFollowersCopyIsKeptAsLongAsTheCopy() throws {
        let disk = CrashFileSystem()
        let engine = try engine(disk)
        let shelf = CheckpointShelf(engine: engine, directory: "/data", fileSystem: disk)
        _ = try shelf.make(.backup, for: ["x"])
        #expect(engine.retention.isEmpty)
        let held = try shelf.make(.follower, for: ["a"])
        let end = held.checkpoint.manifest.point.lsn
        #expect(engine.retention.map(\.oldestNeededLSN) == [end + 1])
        func write() throws {
            for index in 0..<3_000 { try engine.writeDurably { $0.put("key\(index)", String(repeating: "v", count: 500)) } }
            try engine.flush()
            while try engine.releaseLog() {}
        }
        try write()
        #expect(engine.oldestLogLSN ?? .max <= end + 1)
        shelf.release(held.id, by: "a")
        #expect(engine.retention.isEmpty)
        while try engine.releaseLog() {}
        #expect(engine.oldestLogLSN ?? .max > end + 1)
    }

    @Test func aCopyThatKeepsMoreOfTheLogThanASlotMayIsGivenUp() throws {
        let disk = CrashFileSystem()
        let engine = try engine(disk)
        let shelf = CheckpointShelf(
            engine: engine, directory: "/data", fileSystem: disk, logByteCountMax: 1 << 20, logAgeMax: 60_000_000)
        let held = try shelf.make(.follower, for: ["a"])
        #expect(shelf.tidy().isEmpty)
        for index in 0..<3_000 { try engine.writeDurably { $0.put("key\(index)", String(repeating: "v", count: 500)) } }
        #expect(shelf.tidy().map(\.id) == [held.id])
        #expect(engine.retention.isEmpty)
        let old = try shelf.make(.follower, for: ["a"])
        #expect(shelf.tidy(now: old.madeAt + 60_000_000).isEmpty)
        #expect(shelf.tidy(now: old.madeAt + 60_000_001).map(\.id) == [old.id])
    }

    @Test func aFewBackupsAtATimeAndFollowersBeside() throws {
        let disk = CrashFileSystem()
        let shelf = CheckpointShelf(engine: try engine(disk), directory: "/data", fileSystem: disk)
        let held = try (0..<CheckpointShelf.backupCountMax).map { try shelf.make(.backup, for: ["\($0)"]) }
        #expect(throws: StorageError.self) { try shelf.make(.backup, for: ["one too many"]) }
        _ = try shelf.make(.follower, for: ["f"])
        shelf.release(held[0].id, by: nil)
        _ = try shelf.make(.backup, for: ["again"])
    }

    @Test func aBackupThatKeepsMoreThanIsFreeIsGivenUp() throws {
        let disk = CrashFileSystem(capacity: 16 << 20)
        let engine = try engine(disk)
        try engine.flush()
        let shelf = CheckpointShelf(engine: engine, directory: "/data", fileSystem: disk)
        let held = try shelf.make(.backup, for: ["b"])
        #expect(engine.byteCountKept(by: held.checkpoint) == 0 && shelf.tidy().isEmpty)
        // So many tables of the same keys that they are merged.
        for round in 0..<8 {
            for index in 0..<100 { try engine.writeDurably { $0.put("key\(index)", "value \(round)-\(index)") } }
            try engine.flush()
        }
        try engine.compactAll()
        #expect(engine.byteCountKept(by: held.checkpoint) > 0)
        #expect(shelf.tidy().isEmpty, "there is room")
        // Somebody fills the disk.
        let free = disk.freeByteCount("/data")
        try disk.setContents("/ballast", [UInt8](repeating: 1, count: Int(free) - 100))
        #expect(shelf.tidy().map(\.id) == [held.id])
    }

    @Test func oneThatIsLetGoOfWhileItIsReadIsNotThere() throws {
        let disk = FaultFileSystem(CrashFileSystem())
        let shelf = CheckpointShelf(engine: try engine(disk), directory: "/data", fileSystem: disk)
        let held = try shelf.make(.backup, for: ["b"])
        let get = SnapshotGet(id: held.id, file: 0, offset: 0, byteCount: 10)
        #expect(try shelf.read(get)?.bytes.count == 10)
        disk.setHook { operation, path, _ in
            if operation == .open, path.contains("/checkpoints/") { shelf.release(held.id, by: nil) }
        }
        #expect(try shelf.read(get) == nil)
    }

    @Test func piecesEndWithTheirFileAndAreOfWhatIsThereOnly() throws {
        let disk = CrashFileSystem()
        let shelf = CheckpointShelf(engine: try engine(disk), directory: "/data", fileSystem: disk)
        let held = try shelf.make(.backup, for: ["b"])
        let files = held.checkpoint.manifest.files
        let byteCount = files[0].byteCount
        func get(_ file: Int, _ offset: UInt64, _ count: UInt64) throws -> CheckpointShelf.Piece? {
            try shelf.read(SnapshotGet(id: held.id, file: file, offset: offset, byteCount: count))
        }
        #expect(try get(0, 0, 10)?.bytes.count == 10 && get(0, 0, 10)?.isEnd == false)
        let last = try #require(try get(0, byteCount - 5, 4 << 20))
        #expect(last.bytes.count == 5 && last.isEnd)
        #expect(try get(0, byteCount + 1, 10) == nil && get(files.count, 0, 10) == nil)
        #expect(shelf.servedByteCount == 25)
    }
}
