// Floors under the log: what they hold, what they let go, also across restarts.

import NexaStorage
import NexaTestKit
import Testing

@Suite struct RetentionTests {
    private let disk = CrashFileSystem()

    private func open(_ retention: [String: LSN] = [:]) throws -> Engine {
        var options = smallOptions()
        options.retention = retention
        return try Engine.open(directory: "/db", fileSystem: disk, options: options)
    }

    private func fill(_ engine: Engine, _ count: Int = 4000) throws {
        for index in 0..<count { try engine.write { $0.put("key\(index)", String(repeating: "v", count: 200)) } }
        try engine.flush()
    }

    private func canRead(_ engine: Engine, _ lsn: LSN) throws -> Bool {
        try engine.tail(from: lsn).shipment(upTo: lsn)?.1.firstLSN == lsn
    }

    @Test func aFloorHoldsTheSegmentsFromItsRecordOnAndDroppingItLetsThemGo() throws {
        let engine = try open()
        try fill(engine, 1500)
        let floor = engine.durableLSN - 10
        engine.setRetention("follower", oldestNeededLSN: floor)
        try fill(engine)
        #expect(try canRead(engine, floor))
        let held = try #require(engine.retention.first)
        #expect(held.name == "follower" && held.isHeld && held.oldestNeededLSN == floor)
        #expect(held.byteCount > 4000 * 200 && held.byteCount < 5000 * 400)
        let segments = engine.metrics().liveSegmentCount

        engine.dropRetention("follower")
        #expect(try engine.releaseLog())
        #expect(engine.metrics().liveSegmentCount < segments && engine.retention.isEmpty)
        #expect(try !canRead(engine, floor))
        #expect(try !engine.releaseLog(), "there is nothing left to release")
        try engine.close()
    }

    @Test func theLowestFloorCountsAndMovingItReleases() throws {
        let engine = try open(["a": 1, "b": 1])
        try fill(engine)
        #expect(try canRead(engine, 1))
        engine.setRetention("a", oldestNeededLSN: engine.durableLSN)
        #expect(try !engine.releaseLog())
        #expect(try canRead(engine, 1))
        engine.setRetention("b", oldestNeededLSN: 2000)
        #expect(try engine.releaseLog())
        #expect(try !canRead(engine, 1))
        #expect(try canRead(engine, 2000))
        try engine.close()
    }

    @Test func whatAFloorHeldIsThereAfterARestart() throws {
        var engine = try open(["follower": 100])
        try fill(engine)
        try engine.close()
        engine = try open(["follower": 100])
        let chain = try engine.chain(at: 100)
        #expect(chain != nil)
        try fill(engine, 500)
        #expect(try canRead(engine, 100))
        try engine.close()
        // Without the floor the next flush lets it go.
        engine = try open()
        try fill(engine, 500)
        #expect(try !canRead(engine, 100))
        try engine.verify()
        try engine.close()
    }

    @Test func aCrashBetweenReleaseAndItsFilesIsNoDamage() throws {
        for call in 0..<12 {
            let disk = CrashFileSystem()
            let crash = PendingCrash(disk: disk, durable: 0)
            var options = smallOptions()
            options.retention = ["follower": 1]
            let engine = try Engine.open(directory: "/db", fileSystem: crash.fileSystem(nil), options: options)
            try fill(engine)
            crash.watch(engine, committed: 4000)
            crash.arm(afterCalls: call, keepUnsynced: 0.5, seed: UInt64(call))
            engine.dropRetention("follower")
            try engine.releaseLog()
            let (clone, _) = crash.take(engine, keepUnsynced: 0, seed: 3)
            let again = try Engine.open(directory: "/db", fileSystem: clone, options: smallOptions())
            #expect(again.appliedLSN == 4000)
            #expect(try again.contents().count == 4000)
            try again.close()
        }
    }

    @Test func flushesStayBelowTheCeilingUntilMemoryForcesThem() throws {
        var options = smallOptions()
        options.memTableByteCount = 64 << 10
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: options)
        engine.setFlushCeiling(0)
        var written: LSN = 0
        // Two memtables and a bit.
        while engine.metrics().immutableMemTableCount < 2 {
            written = try engine.write { $0.put("key\(written)", String(repeating: "v", count: 500)) }
        }
        #expect(try !engine.stepFlush(), "nothing below the ceiling")
        engine.setFlushCeiling(written)
        #expect(try engine.stepFlush())
        engine.setFlushCeiling(0)
        for index in 0..<8000 { try engine.write { $0.put("key\(index)", String(repeating: "v", count: 500)) } }
        #expect(engine.metrics().flushCount > 1, "memory is finite")
        try engine.close()
    }
}
