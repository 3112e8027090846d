// One memory number: what open tables hold beside their blocks comes off the block cache.

import NexaStorage
import NexaTestKit
import Synchronization
import Testing

@Suite struct EngineMemoryTests {
    private func options(cacheByteCount: Int) -> EngineOptions {
        var options = smallOptions()
        options.cacheByteCount = cacheByteCount
        return options
    }

    @Test func indexesAndFiltersOfOpenTablesAreTakenOffTheBlockCache() throws {
        let disk = CrashFileSystem()
        let capacity = 96 << 10
        var engine = try Engine.open(directory: "/db", fileSystem: disk, options: options(cacheByteCount: capacity))
        var generator = SeededGenerator(seed: 3)
        for index in 0..<3_000 { try engine.write { $0.put(Array("key\(index)".utf8), generator.bytes(60)) } }
        try engine.flush()
        try engine.close()
        engine = try Engine.open(directory: "/db", fileSystem: disk, options: options(cacheByteCount: capacity))
        #expect(engine.metrics().openTableByteCount == 0)
        for index in 0..<3_000 {
            let value = try engine.text("key\(index)")
            #expect(value != nil)
            let metrics = engine.metrics()
            #expect(metrics.cacheByteCount + metrics.openTableByteCount <= capacity)
        }
        var metrics = engine.metrics()
        // 10 bits a key, and an index entry for each of over 200 blocks.
        #expect(metrics.openTableByteCount > 3_000 * 10 / 8 + 200 * 24)
        #expect(metrics.cacheByteCount > capacity / 2 - metrics.openTableByteCount)

        // Tables that a compaction replaced give back what they held.
        for index in 0..<3_000 { try engine.write { $0.delete(Array("key\(index)".utf8)) } }
        try engine.flush()
        try engine.compactAll()
        let before = metrics.openTableByteCount
        metrics = engine.metrics()
        #expect(metrics.tableEntryCount < 3_000 / 5)
        #expect(metrics.openTableByteCount < before / 10)
        try engine.close()
    }

    @Test func blocksKeepAnEighthHoweverMuchTheTablesTake() throws {
        let cache = BlockCache(capacity: 80_000, blockByteCount: 1024)
        #expect(cache.blockCapacity == 80_000)
        cache.charge(30_000)
        #expect(cache.blockCapacity == 50_000)
        cache.charge(1_000_000)
        #expect(cache.blockCapacity == 10_000)
        cache.discharge(1_030_000)
        #expect(cache.blockCapacity == 80_000)
    }

    @Test func aLongReplayTellsHowFarItIs() throws {
        let disk = CrashFileSystem()
        var options = smallOptions()
        var engine = try Engine.open(directory: "/db", fileSystem: disk, options: options)
        for index in 0..<1_000 { try engine.write { $0.put("key\(index)", String(repeating: "v", count: 300)) } }
        try engine.waitDurable(engine.appliedLSN)
        let crashed = disk.crashClone(keepUnsynced: 1, seed: 1)
        try engine.close()
        let reports = Mutex<[RecoveryProgress]>([])
        options.recoveryProgress = { progress in reports.withLock { $0.append(progress) } }
        options.recoveryProgressMilliseconds = 0
        engine = try Engine.open(directory: "/db", fileSystem: crashed, options: options)
        let told = reports.withLock { $0 }
        #expect(told.map(\.recordCount) == Array(stride(from: 64, through: told.count * 64, by: 64)))
        #expect(told.count > 3)
        #expect(zip(told, told.dropFirst()).allSatisfy { $0.lsn < $1.lsn && $0.readByteCount < $1.readByteCount })
        #expect(told.allSatisfy { $0.readByteCount <= $0.totalByteCount })
        try engine.close()
    }
}
