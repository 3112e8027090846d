// Leaderships of one engine: what begins them, what remembers them, what a crash and a failed log leave of them.

import Glibc
import NexaStorage
import NexaTestKit
import Testing

@Suite struct EpochTests {
    private let disk = CrashFileSystem()

    private func open(_ files: (any FileSystem)? = nil, memTableByteCount: Int? = nil) throws -> Engine {
        var options = smallOptions()
        if let memTableByteCount { options.memTableByteCount = memTableByteCount }
        return try Engine.open(directory: "/db", fileSystem: files ?? disk, options: options)
    }

    @Test func anEpochBeginsWithARecordOfItsOwn() throws {
        let engine = try open()
        try engine.writeDurably { $0.put("a", "1") }
        let start = try engine.beginEpoch(4, nodeID: Array("node b".utf8))
        #expect(start == 2 && engine.durableLSN == 2 && engine.visibleLSN == 2 && engine.epoch == 4)
        try engine.writeDurably { $0.put("b", "2") }
        #expect(engine.epochHistory == [EpochStart(epoch: 1, firstLSN: 1), EpochStart(epoch: 4, firstLSN: 2)])
        var epochs: [Epoch] = []
        var payload: EpochStartRecord?
        _ = try engine.tail(from: 1).read(upTo: 3, byteCountMax: .max) { record throws(StorageError) in
            epochs.append(record.header.epoch)
            if record.header.type == .epochStart { payload = EpochStartRecord(record.stored) }
        }
        #expect(epochs == [1, 4, 4])
        #expect(payload == EpochStartRecord(previousEpoch: 1, previousLSN: 1, nodeID: Array("node b".utf8)))
        try engine.close()
    }

    @Test(arguments: [0, 1, 3] as [Epoch]) func anEpochThatIsNotAboveAllIsRefused(_ epoch: Epoch) throws {
        let engine = try open()
        try engine.beginEpoch(3)
        #expect(failure { try engine.beginEpoch(epoch) } == .staleEpoch(offered: epoch, current: 3))
        #expect(engine.reservedLSN == 1)
        try engine.close()
    }

    @Test func theHistoryComesBackFromTheLogAndFromTheManifest() throws {
        var engine = try open()
        try engine.writeDurably { $0.put("a", "1") }
        try engine.beginEpoch(2)
        let history = engine.epochHistory
        // From the log alone: the manifest's edit was not there yet.
        let crashed = disk.crashClone(keepUnsynced: 0, seed: 1)
        let other = try Engine.open(directory: "/db", fileSystem: crashed, options: smallOptions())
        #expect(other.epochHistory == history && other.epoch == 2)
        try other.close()
        // From the manifest alone: the segment with the record is gone.
        for index in 0..<4000 { try engine.write { $0.put("key\(index)", String(repeating: "v", count: 200)) } }
        try engine.flush()
        #expect(try #require(engine.oldestLogLSN) > 2)
        try engine.close()
        engine = try open()
        #expect(engine.epochHistory == history && engine.epoch == 2)
        try engine.close()
    }

    @Test func aCrashAtAnyCallLeavesTheEpochOrNothingOfIt() throws {
        for call in 0..<30 {
            let disk = CrashFileSystem()
            let crash = PendingCrash(disk: disk, durable: 0)
            let files = crash.fileSystem(nil)
            let engine = try Engine.open(directory: "/db", fileSystem: files, options: smallOptions())
            try engine.writeDurably { $0.put("a", "1") }
            crash.watch(engine, committed: 1)
            crash.arm(afterCalls: call, keepUnsynced: 0.5, seed: UInt64(call))
            try engine.beginEpoch(7)
            let (clone, evidence) = crash.take(engine, keepUnsynced: 0, seed: 1)
            let again = try Engine.open(directory: "/db", fileSystem: clone, options: smallOptions())
            let hasBegun = again.reservedLSN == 2
            #expect(again.epoch == (hasBegun ? 7 : 1))
            #expect(again.epochHistory.count == (hasBegun ? 2 : 1))
            #expect(hasBegun || evidence.durable < 2)
            try again.close()
        }
    }

    @Test func aFailedLogTakesTheEpochBack() throws {
        let files = FaultFileSystem(disk)
        let engine = try open(files)
        try engine.writeDurably { $0.put("a", "1") }
        files.add(FaultRule(.sync, pathSuffix: ".wal", effect: .fail(errno: EIO)))
        #expect(failure { try engine.beginEpoch(2) } != nil)
        try engine.resume()
        #expect(engine.epoch == 1 && engine.epochHistory.count == 1 && engine.reservedLSN == 1)
        try engine.beginEpoch(2)
        #expect(engine.epochHistory == [EpochStart(epoch: 1, firstLSN: 1), EpochStart(epoch: 2, firstLSN: 2)])
        try engine.close()
    }

    @Test func theChainIsKnownForEveryRecordOfTheLogAndForMarksBeforeIt() throws {
        // Nothing is flushed by itself, so the whole log is there to read.
        let engine = try open(memTableByteCount: 2 << 20)
        var chains: [LSN: UInt64] = [0: LogChain.start]
        for index in 0..<9000 { try engine.write { $0.put("key\(index)", "v") } }
        try engine.waitDurable(9000)
        var chain = LogChain.start
        _ = try engine.tail(from: 1).read(upTo: 9000, byteCountMax: .max) { record throws(StorageError) in
            chain = LogChain.advanced(chain, by: record.header.recordHash)
            chains[record.header.lsn] = chain
        }
        #expect(engine.durablePoint == LogPoint(epoch: 1, lsn: 9000, chain: chain))
        for lsn: LSN in [0, 1, 2, 4095, 4096, 4097, 8191, 8192, 8193, 8999, 9000] {
            let found = try engine.chain(at: lsn)
            #expect(found == chains[lsn], "LSN \(lsn)")
        }
        #expect(try engine.chain(at: 9001) == nil)
        try engine.flush()
        let oldest = try #require(engine.oldestLogLSN)
        #expect(oldest > 4097)
        #expect(try engine.chain(at: oldest - 1) == chains[oldest - 1])
        #expect(try engine.chain(at: 4096) == chains[4096])
        #expect(try engine.chain(at: 4097) == nil)
        try engine.close()
        // Recovery makes the marks of the log that is there anew.
        let again = try open()
        #expect(try again.chain(at: 8192) == chains[8192])
        #expect(try again.chain(at: 8500) == chains[8500])
        try again.close()
    }
}
