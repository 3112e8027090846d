// Cutting the log of a stopped store back to a common point: what stays, what is kept for people, and that a crash at any step
// leaves the old log or the new one.

import NexaStorage
import NexaTestKit
import Testing

@Suite struct TruncationTests {
    private static let directory = "/db"

    private func options(_ follows: Bool = false) -> EngineOptions {
        var options = smallOptions()
        options.memTableByteCount = 1 << 20
        options.segmentByteCount = 8 << 10
        options.follows = follows
        options.storeUUID = StoreUUID(high: 7, low: 7)
        return options
    }

    private func open(_ disk: any FileSystem, follows: Bool = false) throws -> Engine {
        try Engine.open(directory: Self.directory, fileSystem: disk, options: options(follows))
    }

    /// A closed store: 200 records of epoch 1, EPOCH_START of epoch 2 as 201, then 99 records.
    private func closedStore(_ disk: CrashFileSystem) throws -> [LSN: UInt64] {
        let engine = try open(disk)
        for index in 1...200 { try engine.write { $0.put("key\(index % 50)", "one \(index)") } }
        try engine.waitDurable(200)
        try engine.beginEpoch(2)
        for index in 202...300 { try engine.write { $0.put("key\(index % 50)", "two \(index)") } }
        try engine.waitDurable(300)
        var chains: [LSN: UInt64] = [:]
        for lsn: LSN in 0...300 { chains[lsn] = try engine.chain(at: lsn) }
        #expect(engine.metrics().liveSegmentCount > 2)
        try engine.close()
        return chains
    }

    private func truncate(_ disk: any FileSystem, _ epoch: Epoch, _ lsn: LSN, chain: UInt64? = nil) throws -> TruncationReport {
        try LogTruncation.truncate(
            directory: Self.directory, fileSystem: disk, after: LogPosition(epoch: epoch, lsn: lsn), chain: chain)
    }

    @Test(arguments: [0, 1, 57, 140, 199, 200, 201, 260, 299] as [LSN])
    func cutsAnywhereAndKeepsWhatItCut(_ lsn: LSN) throws {
        let disk = CrashFileSystem()
        let chains = try closedStore(disk)
        let epoch: Epoch = lsn > 200 ? 2 : 1
        let report = try truncate(disk, epoch, lsn, chain: chains[lsn])
        #expect(report.end == LogPoint(epoch: epoch, lsn: lsn, chain: chains[lsn]!) && report.cutRecordCount == 300 - lsn)

        var cut: [LSN] = []
        let path = try #require(report.rollbackPath)
        let header = try RollbackFile.read(path, fileSystem: disk) { record, _ in cut.append(record.header.lsn) }
        #expect(cut == Array(lsn + 1...300) && header.epoch == 2 && header.chain == chains[300])
        #expect(path == "/db/rollback/2-\(lsn + 1)-300.nxr")
        #expect(try RollbackFile.paths(in: StoreLayout(directory: Self.directory), fileSystem: disk) == [path])

        var engine = try open(disk)
        #expect(engine.durablePoint == report.end)
        #expect(engine.epochHistory.count == Int(epoch))
        #expect(
            try engine.text("key7")
                == (lsn < 7 ? nil : lsn < 207 ? "one \((lsn - 7) / 50 * 50 + 7)" : "two \((lsn - 7) / 50 * 50 + 7)"))
        // Life goes on under a new leadership, over restarts.
        try engine.beginEpoch(3)
        for index in 0..<300 { try engine.write { $0.put("key\(index % 50)", "three \(index)") } }
        try engine.waitDurable(engine.reservedLSN)
        let point = engine.durablePoint
        try engine.verify()
        try engine.close()
        engine = try open(disk)
        #expect(engine.durablePoint == point && engine.epochHistory.last == EpochStart(epoch: 3, firstLSN: lsn + 1))
        try engine.close()
        #expect(Engine.verify(directory: Self.directory, fileSystem: disk).problems.isEmpty)
    }

    @Test func anOldLeaderFollowsTheNewOneAfterwards() throws {
        let (oldDisk, newDisk) = (CrashFileSystem(), CrashFileSystem())
        let old = try open(oldDisk)
        let new = try open(newDisk, follows: true)
        for index in 0..<100 { try old.write { $0.put("key\(index)", "common") } }
        try old.waitDurable(100)
        try new.catchUp(with: old)
        for index in 0..<50 { try old.writeDurably { $0.put("key\(index)", "lost") } }
        try new.beginEpoch(2)
        for index in 40..<60 { try new.writeDurably { $0.put("key\(index)", "won") } }
        let common = try new.chain(at: 100)
        try old.close()
        let report = try truncate(oldDisk, 1, 100, chain: common)
        #expect(report.cutRecordCount == 50)
        let rejoined = try open(oldDisk, follows: true)
        try rejoined.catchUp(with: new)
        #expect(rejoined.durablePoint == new.durablePoint && rejoined.epochHistory == new.epochHistory)
        let (mine, theirs) = (try rejoined.contents(), try new.contents())
        #expect(mine.map(\.key) == theirs.map(\.key) && mine.map(\.value) == theirs.map(\.value))
        try rejoined.close()
        try new.close()
    }

    @Test func whatCannotBeCutIsRefusedAndNothingChanges() throws {
        let disk = CrashFileSystem()
        let chains = try closedStore(disk)
        func refusal(_ epoch: Epoch, _ lsn: LSN, chain: UInt64? = nil) -> TruncationError? {
            do {
                _ = try truncate(disk, epoch, lsn, chain: chain)
                return nil
            } catch { return error as? TruncationError }
        }
        #expect(refusal(2, 301) == .notInLog(end: LogPosition(epoch: 2, lsn: 300)))
        #expect(refusal(2, 200) == .otherHistory(LogPoint(epoch: 1, lsn: 200, chain: chains[200]!)))
        #expect(refusal(1, 200, chain: 5) == .otherHistory(LogPoint(epoch: 1, lsn: 200, chain: chains[200]!)))
        let nothing = try truncate(disk, 2, 300, chain: chains[300])
        #expect(nothing.end == LogPoint(epoch: 2, lsn: 300, chain: chains[300]!) && nothing.cutRecordCount == 0)
        #expect(nothing.rollbackPath == nil)
        #expect(try disk.list("/db/rollback").isEmpty)
        var engine = try open(disk)
        #expect(engine.durablePoint.chain == chains[300])
        try engine.flush()
        try engine.writeDurably { $0.put("after", "the flush") }
        #expect(refusal(1, 200)?.isLocked == true)
        try engine.close()
        #expect(refusal(2, 299) == .needsSnapshot(tablesReach: 300))
        // What no table holds can still go.
        #expect(try truncate(disk, 2, 300).cutRecordCount == 1)
        engine = try open(disk)
        #expect(engine.durablePoint.chain == chains[300])
        try engine.close()
    }

    @Test func aCrashAtAnyCallLeavesTheOldLogOrTheNewOneAndNeverLosesTheCopy() throws {
        var outcomes: Set<LSN> = []
        for keep in [0, 0.5, 1] {
            for call in 0..<60 {
                let disk = CrashFileSystem()
                let chains = try closedStore(disk)
                let crash = PendingCrash(disk: disk, durable: 300)
                crash.arm(afterCalls: call, keepUnsynced: keep, seed: UInt64(call))
                _ = try truncate(crash.fileSystem(nil), 1, 150)
                guard let clone = crash.takeIfTaken() else { break }
                let engine = try open(clone)
                let lsn = engine.durableLSN
                #expect(lsn == 150 || lsn == 300, "call \(call)")
                #expect(engine.durablePoint.chain == chains[lsn])
                outcomes.insert(lsn)
                try engine.close()
                if lsn == 150 {
                    try RollbackFile.read("/db/rollback/2-151-300.nxr", fileSystem: clone)
                } else {
                    // Again, to the end.
                    #expect(try truncate(clone, 1, 150).cutRecordCount == 150)
                    try RollbackFile.read("/db/rollback/2-151-300.nxr", fileSystem: clone)
                    let again = try open(clone)
                    #expect(again.durablePoint == LogPoint(epoch: 1, lsn: 150, chain: chains[150]!))
                    try again.close()
                }
            }
        }
        #expect(outcomes == [150, 300])
    }

    @Test func aCrashWhileTheCutLogIsOpenedAgainChangesNothing() throws {
        for call in 0..<40 {
            let disk = CrashFileSystem()
            let chains = try closedStore(disk)
            _ = try truncate(disk, 1, 150)
            let crash = PendingCrash(disk: disk, durable: 150)
            crash.arm(afterCalls: call, keepUnsynced: 0.5, seed: UInt64(call))
            let engine = try open(crash.fileSystem(nil))
            try engine.beginEpoch(3)
            guard let clone = crash.takeIfTaken() else { break }
            let again = try open(clone)
            #expect([150, 151].contains(again.durableLSN))
            #expect(try again.chain(at: 150) == chains[150])
            #expect(again.epochHistory.map(\.epoch) == (again.durableLSN == 151 ? [1, 3] : [1]))
            try again.close()
        }
    }

    @Test func everyFlippedByteOfARollbackFileIsNoticed() throws {
        let disk = CrashFileSystem()
        _ = try closedStore(disk)
        let path = try #require(try truncate(disk, 2, 295).rollbackPath)
        let whole = try disk.contents(path)
        for index in whole.indices {
            var damaged = whole
            damaged[index] ^= 0x10
            try disk.setContents(path, damaged)
            #expect(failure { try RollbackFile.read(path, fileSystem: disk) } != nil, "byte \(index)")
        }
        for length in 0..<whole.count {
            try disk.setContents(path, Array(whole[..<length]))
            #expect(failure { try RollbackFile.read(path, fileSystem: disk) } != nil, "length \(length)")
        }
    }

    @Test func aRollbackHeaderHasTheGoldenBytes() throws {
        let text =
            "4e58524f4c4c0d0a010001008000000055555555555555555555555555555555"
            + "6500000000000000960000000000000002000000000000008813000000000000"
            + "eeffc00000000000decafa000000000001000000000000000000000000000000"
            + "0000000000000000000000000000000000000000000000004e527ec398d6e552"
        let bytes = stride(from: 0, to: text.utf8.count, by: 2).map { index in
            UInt8(text.dropFirst(index).prefix(2), radix: 16)!
        }
        let header = try #require(try bytes.withUnsafeBytes { try RollbackFile($0, path: "x") })
        #expect(header.storeUUID == StoreUUID(high: 0x5555_5555_5555_5555, low: 0x5555_5555_5555_5555))
        #expect(header.firstLSN == 101 && header.lastLSN == 150 && header.epoch == 2 && header.recordsByteCount == 5000)
        #expect(header.previousChain == 0xC0FFEE && header.chain == 0xFACADE && header.createdNanoseconds == 1)
        #expect(header.encoded() == bytes)
    }
}

extension TruncationError {
    fileprivate var isLocked: Bool {
        if case .storage(.locked) = self { return true }
        return false
    }
}
