import NexaStorage
import NexaTestKit
import Testing

@Suite struct CheckpointTests {
    @Test func aCheckpointOpensAsAStoreOfItsMoment() throws {
        let disk = CrashFileSystem()
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        for index in 0..<300 { try engine.write { $0.put("key\(index)", "before") } }
        try engine.writeDurably { $0.deleteRange("key1", "key2") }
        let expected = try engine.contents()
        try engine.checkpoint(into: "/copy")
        for index in 0..<300 { try engine.write { $0.put("key\(index)", "after") } }
        try engine.flush()
        try engine.compactAll()

        // Power fails right after: the copy was durable when the call returned.
        let crashed = disk.crashClone(keepUnsynced: 0, seed: 1)
        let copy = try Engine.open(directory: "/copy", fileSystem: crashed, options: smallOptions())
        let found = try copy.contents()
        #expect(found.map(\.key) == expected.map(\.key) && found.map(\.value) == expected.map(\.value))
        #expect(copy.storeUUID == engine.storeUUID && copy.appliedLSN == 301)
        try copy.writeDurably { $0.put("own", "life") }
        try copy.verify()
        try copy.close()
        try engine.close()
    }

    @Test func refusesADirectoryThatIsInUse() throws {
        let disk = CrashFileSystem()
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        try engine.checkpoint(into: "/copy")
        #expect(throws: StorageError.self) { try engine.checkpoint(into: "/copy") }
        try engine.close()
    }

    @Test func theTailGivesBackEveryDurableRecord() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        for index in 0..<50 { try engine.writeDurably { $0.put("key\(index)", "v") } }
        try engine.write { $0.put("in flight", "v") }
        let tail = engine.tail(from: 11)
        var found: [LSN] = []
        let progress = try tail.read(upTo: engine.durableLSN, byteCountMax: .max) { found.append($0.header.lsn) }
        #expect(progress == .caughtUp)
        #expect(found == Array(11...50))
        try engine.close()
    }
}
