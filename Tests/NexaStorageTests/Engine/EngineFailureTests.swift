// What happens when the disk fails under the engine.

import Glibc
import NexaStorage
import NexaTestKit
import Synchronization
import Testing

@Suite struct EngineFailureTests {
    @Test func aFailedSyncRefusesWritesKeepsReadingAndResumes() throws {
        let disk = CrashFileSystem()
        let files = FaultFileSystem(disk)
        var engine = try Engine.open(directory: "/db", fileSystem: files, options: smallOptions())
        try engine.writeDurably { $0.put("a", "durable") }
        let told = Mutex<StorageError?>(nil)
        _ = engine.addDurabilityObserver { _, error in if let error { told.withLock { $0 = error } } }

        files.add(FaultRule(.sync, pathSuffix: ".wal", effect: .fail(errno: EIO)))
        let lost = try engine.write { $0.put("a", "lost") }
        engine.flushLogInline()
        #expect(told.withLock { $0 } != nil)
        #expect(engine.visibleLSN == lost - 1)
        #expect(throws: StorageError.self) { try engine.write { $0.put("b", "refused") } }
        #expect(throws: StorageError.self) { try engine.waitDurable(lost) }
        let syncs = files.count(of: .sync)
        engine.flushLogInline()
        engine.stepIdleLog()
        #expect(files.count(of: .sync) == syncs, "a failed sync is never tried again")
        var value = try engine.text("a")
        #expect(value == "durable")

        try engine.resume()
        value = try engine.text("a", at: .max)
        #expect(value == "durable", "what was not acknowledged is gone")
        let next = try engine.writeDurably { $0.put("b", "after") }
        #expect(next == lost)
        try engine.close()
        engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        let contents = try engine.contents()
        #expect(contents.map { String(decoding: $0.value, as: UTF8.self) } == ["durable", "after"])
        try engine.close()
    }

    @Test func directoriesThatAKilledProcessLeftUnsyncedAreMadeDurable() throws {
        let disk = CrashFileSystem()
        // It was killed after it had made them and before it had synced their names.
        for path in ["/db", "/db/wal", "/db/sst"] { try disk.createDirectory(path) }
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        try engine.writeDurably { $0.put("a", "durable") }
        let crashed = disk.crashClone(keepUnsynced: 0, seed: 1)
        let recovered = try Engine.open(directory: "/db", fileSystem: crashed, options: smallOptions())
        let value = try recovered.text("a")
        #expect(value == "durable")
        try recovered.close()
        try engine.close()
    }

    @Test func tablesThatACrashLeftUnnamedAreNotInTheWayOfReplay() throws {
        let disk = CrashFileSystem()
        var roomy = smallOptions()
        roomy.memTableByteCount = 1 << 20
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: roomy)
        for index in 0..<400 { try engine.writeDurably { $0.put("key\(index)", String(repeating: "v", count: 500)) } }

        let crashed = disk.crashClone(keepUnsynced: 1, seed: 1)
        let layout = StoreLayout(directory: "/db")
        for number in UInt64(1)..<20 { try crashed.open(layout.tablePath(number), .createNew).close() }
        let recovered = try Engine.open(directory: "/db", fileSystem: crashed, options: smallOptions())
        let count = try recovered.contents().count
        #expect(count == 400)
        #expect(!crashed.exists(layout.tablePath(19)), "after a good open they are removed")
        try recovered.close()
    }

    @Test func aCrashAfterAFailedSyncKeepsTheAcknowledgedPrefix() throws {
        for seed in UInt64(0)..<20 {
            let disk = CrashFileSystem()
            let files = FaultFileSystem(disk)
            let engine = try Engine.open(directory: "/db", fileSystem: files, options: smallOptions())
            for index in 0..<5 { try engine.writeDurably { $0.put("key\(index)", "durable") } }
            files.add(FaultRule(.sync, pathSuffix: ".wal", effect: .fail(errno: EIO)))
            try engine.write { $0.put("lost", "lost") }
            engine.flushLogInline()
            if seed % 2 == 0 { try engine.resume() }
            let crashed = disk.crashClone(keepUnsynced: 0.5, seed: seed)
            let again = try Engine.open(directory: "/db", fileSystem: crashed, options: smallOptions())
            for index in 0..<5 {
                let value = try again.text("key\(index)")
                #expect(value == "durable", "seed \(seed)")
            }
            try again.close()
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 8, 10, 13]) func aFullDiskDuringAFlushLosesNothing(_ nth: Int) throws {
        let disk = CrashFileSystem()
        let files = FaultFileSystem(disk)
        var engine = try Engine.open(directory: "/db", fileSystem: files, options: smallOptions())
        for index in 0..<300 { try engine.write { $0.put("key\(index)", "value \(index)") } }
        engine.flushLogInline()
        files.add(FaultRule(.write, nth: nth, effect: .short(byteCount: 100, errno: ENOSPC)))
        try? engine.flush()
        files.removeRules()
        var count = try engine.contents().count
        #expect(count == 300)
        // With room again the same flush works, without a restart.
        if engine.metrics().refusal != nil { try engine.resume() }
        try engine.flush()
        try engine.writeDurably { $0.put("more", "1") }
        try engine.close()
        engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        count = try engine.contents().count
        #expect(count == 301)
        try engine.close()
    }

    @Test(arguments: [1, 2, 3, 5, 8, 12, 20]) func aFailedCompactionKeepsItsInputs(_ nth: Int) throws {
        let disk = CrashFileSystem()
        let files = FaultFileSystem(disk)
        let engine = try Engine.open(directory: "/db", fileSystem: files, options: smallOptions())
        for round in 0..<6 {
            for index in 0..<100 { try engine.write { $0.put("key\(index)", "value \(round)") } }
            try engine.flush()
        }
        files.add(FaultRule(.write, nth: nth, count: 3, effect: .fail(errno: EIO)))
        try? engine.compactAll()
        files.removeRules()
        let values = try engine.contents().map { String(decoding: $0.value, as: UTF8.self) }
        #expect(values == Array(repeating: "value 5", count: 100))
        try engine.compactAll()
        try engine.verify()
        try engine.close()
    }

    @Test func aReadThatMustNotBlockSaysSo() throws {
        let disk = CrashFileSystem()
        var engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        try engine.writeDurably { $0.put("a", "1") }
        try engine.flush()
        try engine.close()
        engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        let reader = engine.makeReader()
        let lsn = engine.visibleLSN
        var refused: StorageError?
        do throws(StorageError) {
            _ = try withBytes("a") { (key) throws(StorageError) in try reader.get(key, at: lsn, mayBlock: false)?.lsn }
        } catch { refused = error }
        #expect(refused == .wouldBlock)
        #expect(try withBytes("a") { try reader.get($0, at: lsn, mayBlock: true) } != nil)
        #expect(try withBytes("a") { try reader.get($0, at: lsn, mayBlock: false) } != nil, "now it is cached")
        try engine.close()
    }

    @Test func openingReadsNoTable() throws {
        let disk = CrashFileSystem()
        var engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        for index in 0..<500 { try engine.write { $0.put("key\(index)", "value") } }
        try engine.flush()
        try engine.close()
        let opened = Mutex<[String]>([])
        let files = FaultFileSystem(disk) { operation, path, _ in
            if operation == .open && path.hasSuffix(".sst") { opened.withLock { $0.append(path) } }
        }
        engine = try Engine.open(directory: "/db", fileSystem: files, options: smallOptions())
        #expect(opened.withLock { $0 } == [])
        let value = try engine.text("key77")
        #expect(value == "value")
        #expect(opened.withLock { $0.count } == 1)
        try engine.close()
    }

    @Test func aMissingOrShortenedTableRefusesToOpen() throws {
        let disk = CrashFileSystem()
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        try engine.writeDurably { $0.put("a", "1") }
        try engine.flush()
        try engine.close()
        let name = try disk.list("/db/sst")[0]
        let bytes = try disk.contents("/db/sst/" + name)
        try disk.setContents("/db/sst/" + name, Array(bytes.dropLast()))
        #expect(throws: StorageError.self) { try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions()) }
        try disk.remove("/db/sst/" + name)
        #expect(throws: StorageError.self) { try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions()) }
    }
}
