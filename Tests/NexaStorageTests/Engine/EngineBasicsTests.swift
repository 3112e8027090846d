// What an engine answers: the newest visible version, across memtables, tables and re-opening.

import NexaStorage
import NexaTestKit
import Testing

/// Small enough that a test sees flushes and compactions; steps by hand.
func smallOptions() -> EngineOptions {
    var options = EngineOptions(memoryByteCount: 8 << 20)
    options.memTableByteCount = 64 << 10
    options.logBufferByteCount = 64 << 10
    options.segmentByteCount = 256 << 10
    options.tableByteCount = 16 << 10
    options.baseLevelByteCount = 64 << 10
    options.blockByteCount = 1 << 10
    options.backgroundWork = .manual
    return options
}

@Suite struct EngineBasicsTests {
    @Test func readsWhatWasWritten() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        try engine.writeDurably {
            $0.put("a", "1")
            $0.put("b", "2")
        }
        try engine.writeDurably {
            $0.put("a", "3")
            $0.delete("b")
        }
        #expect(try engine.text("a") == "3")
        #expect(try engine.text("b") == nil)
        #expect(try engine.text("a", at: 1) == "1")
        #expect(try engine.text("c") == nil)
        try engine.close()
    }

    @Test func laterOperationOfABatchWins() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        try engine.writeDurably {
            $0.put("a", "1")
            $0.delete("a")
            $0.put("a", "2")
        }
        #expect(try engine.text("a") == "2")
        try engine.flush()
        #expect(try engine.text("a") == "2")
        #expect(engine.metrics().tableEntryCount == 1)
        try engine.close()
    }

    @Test func rangeDeleteHidesEarlierBatchesOnly() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        for key in ["a", "b", "c", "d"] { try engine.writeDurably { $0.put(key, key) } }
        try engine.writeDurably {
            $0.put("b", "new")
            $0.deleteRange("b", "d")
        }
        for _ in 0..<2 {
            #expect(try engine.contents().map { String(decoding: $0.value, as: UTF8.self) } == ["a", "new", "d"])
            #expect(try engine.text("c") == nil)
            #expect(try engine.text("c", at: 4) == "c" || engine.metrics().flushCount > 0)
            try engine.flush()
        }
        try engine.close()
    }

    @Test func unacknowledgedWritesAreInvisibleUntilTheLogIsSynced() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        let lsn = try engine.write { $0.put("a", "1") }
        #expect(engine.appliedLSN == lsn)
        #expect(engine.visibleLSN == 0)
        #expect(try engine.text("a") == nil)
        #expect(try engine.text("a", at: .max) == "1")
        #expect(engine.flushLogInline())
        #expect(engine.visibleLSN == lsn && engine.durableLSN == lsn)
        #expect(try engine.text("a") == "1")
        try engine.close()
    }

    @Test func durabilityOSIsAcknowledgedAfterTheWriteAndSyncedWhenIdle() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        let lsn = try engine.write(.os) { $0.put("a", "1") }
        #expect(engine.flushLogInline())
        #expect(engine.acknowledgedLSN == lsn && engine.writtenLSN == lsn && engine.durableLSN == 0)
        #expect(try engine.text("a") == "1")
        engine.stepIdleLog()
        #expect(engine.durableLSN == lsn)
        try engine.close()
    }

    @Test func survivesReopening() throws {
        let disk = CrashFileSystem()
        var engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        for round in 0..<5 {
            for index in 0..<200 { try engine.write { $0.put("key\(index)", "value \(round) \(index)") } }
            if round == 2 { try engine.flush() }
            let last = engine.appliedLSN
            try engine.close()
            engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
            #expect(engine.durableLSN == last)
            #expect(try engine.contents().count == 200)
            #expect(try engine.text("key77") == "value \(round) 77")
        }
        try engine.close()
    }

    @Test func refusesASecondOpening() throws {
        let disk = CrashFileSystem()
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        #expect(throws: StorageError.self) { try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions()) }
        try engine.close()
    }

    @Test func flushesAndCompactsByItselfWhileItIsWritten() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        var generator = SeededGenerator(seed: 1)
        for index in 0..<5000 {
            try engine.write { $0.put("key\(generator.below(1000))", "value \(index) " + String(repeating: "x", count: 80)) }
            if index % 100 == 0 {
                engine.stepLog()
                while try engine.stepFlush() {}
                while try engine.stepCompaction() {}
            }
        }
        engine.stepLog()
        let metrics = engine.metrics()
        #expect(metrics.flushCount > 5 && metrics.compactionCount > 0)
        #expect(metrics.levelZeroDepth <= 4)
        #expect(try engine.contents().count == 1000 - (try missing(engine)))
        try engine.verify()
        try engine.close()
    }

    private func missing(_ engine: Engine) throws -> Int {
        var count = 0
        for index in 0..<1000 where try engine.text("key\(index)") == nil { count += 1 }
        return count
    }

    @Test func snapshotsKeepSeeingTheirState() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        try engine.writeDurably { $0.put("a", "old") }
        let snapshot = engine.makeSnapshot()
        try engine.writeDurably { $0.put("a", "new") }
        try engine.flush()
        try engine.writeDurably { $0.deleteRange("a", "b") }
        try engine.flush()
        try engine.compactAll()
        #expect(try engine.text("a") == nil)
        #expect(try engine.text("a", at: snapshot.lsn) == "old")
        snapshot.release()
        #expect(engine.metrics().snapshotCount == 0)
        try engine.close()
    }

    @Test func aDroppedRangeLeavesTheDisk() throws {
        let engine = try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: smallOptions())
        for index in 0..<3000 {
            try engine.write { $0.put("c1/\(index)", String(repeating: "x", count: 100)) }
            if index % 500 == 0 { try engine.flush() }
        }
        try engine.writeDurably { $0.put("c2/0", "stays") }
        try engine.flush()
        try engine.compactAll()
        #expect(engine.metrics().tableEntryCount == 3001)
        try engine.writeDurably { $0.deleteRange("c1/", "c10") }
        try engine.flush()
        try engine.compactAll()
        #expect(engine.metrics().tableEntryCount == 1)
        #expect(try engine.text("c2/0") == "stays")
        try engine.close()
    }
}
