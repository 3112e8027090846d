// A leader and a follower in one process: what travels, what the follower has afterwards, and what it refuses.

import Glibc
import NexaStorage
import NexaTestKit
import Testing

@Suite struct FollowTests {
    private func open(_ name: String, on disk: any FileSystem, follows: Bool = false) throws -> Engine {
        var options = smallOptions()
        options.follows = follows
        options.storeUUID = StoreUUID(high: 1, low: 1)
        return try Engine.open(directory: name, fileSystem: disk, options: options)
    }

    private func portable(_ engine: Engine) throws -> [UInt8] {
        var bytes: [UInt8] = []
        _ = try engine.tail(from: 1).read(upTo: engine.durableLSN, byteCountMax: .max) { record throws(StorageError) in
            bytes += record.portable
        }
        return bytes
    }

    @Test func aFollowerHasTheLeadersBytesChainAndContents() throws {
        let seed = SeededGenerator.seed(default: 7)
        var generator = SeededGenerator(seed: seed)
        let disk = CrashFileSystem()
        let leader = try open("/leader", on: disk)
        let follower = try open("/follower", on: disk, follows: true)
        for round in 0..<60 {
            for _ in 0..<generator.below(40) {
                let batch = WriteBatch()
                for operation in BatchGenerator().batch(&generator) { batch.add(operation) }
                if generator.chance(0.2) { batch.put("large", String(repeating: "text ", count: generator.below(6000))) }
                _ = try leader.commit(batch, durability: .os)
            }
            if round % 20 == 10 { try leader.beginEpoch(leader.epoch + 2, nodeID: [1, 2, 3]) }
            leader.flushLogInline()
            leader.stepIdleLog()
            try follower.catchUp(with: leader, byteCountMax: 1 + generator.below(20_000))
            if generator.chance(0.2) { try follower.flush() }
        }
        #expect(follower.durablePoint == leader.durablePoint, "seed \(seed)")
        #expect(follower.epochHistory == leader.epochHistory)
        #expect(try portable(follower) == portable(leader))
        let (mine, theirs) = (try follower.contents(), try leader.contents())
        #expect(mine.map(\.key) == theirs.map(\.key) && mine.map(\.value) == theirs.map(\.value))
        try follower.close()
        let again = try open("/follower", on: disk, follows: true)
        #expect(again.durablePoint == leader.durablePoint && again.epochHistory == leader.epochHistory)
        try again.close()
        try leader.close()
    }

    @Test func commitsAreRefusedWhileFollowingAndTakenAfterAnEpochBegan() throws {
        let disk = CrashFileSystem()
        let engine = try open("/db", on: disk)
        try engine.write { $0.put("a", "1") }
        try engine.follow()
        #expect(engine.durableLSN == 1 && engine.isFollowing)
        #expect(failure { try engine.write { $0.put("b", "2") } } == .following)
        try engine.beginEpoch(2)
        #expect(!engine.isFollowing)
        try engine.writeDurably { $0.put("b", "2") }
        #expect(throws: ReplicationFault.notFollowing) {
            try withBytes([UInt8]()) { bytes throws(ReplicationFault) in _ = try engine.appendReplicated(bytes) }
        }
        try engine.close()
    }

    @Test func roleChangesPassTheLogBackAndForth() throws {
        let disk = CrashFileSystem()
        let (a, b) = (try open("/a", on: disk), try open("/b", on: disk, follows: true))
        for round: Epoch in 1...6 {
            let (leader, follower) = round % 2 == 1 ? (a, b) : (b, a)
            if round > 1 {
                try follower.follow()
                try leader.beginEpoch(round)
            }
            for index in 0..<50 { try leader.write { $0.put("key\(round).\(index)", "v") } }
            try leader.waitDurable(leader.reservedLSN)
            try follower.catchUp(with: leader)
            #expect(follower.durablePoint == leader.durablePoint)
        }
        #expect(a.epochHistory == b.epochHistory && a.epochHistory.count == 6)
        #expect(try portable(a) == portable(b))
        try a.close()
        try b.close()
    }

    /// Three records as they travel, and an engine that has the first one.
    private func prepared() throws -> (records: [[UInt8]], leader: Engine, follower: Engine) {
        let disk = CrashFileSystem()
        let leader = try open("/leader", on: disk)
        let follower = try open("/follower", on: disk, follows: true)
        for value in ["1", "2", "3"] { try leader.writeDurably { $0.put("a", value) } }
        var records: [[UInt8]] = []
        _ = try leader.tail(from: 1).read(upTo: 3, byteCountMax: .max) { record throws(StorageError) in
            records.append(Array(record.portable))
        }
        try follower.append(records[0])
        return (records, leader, follower)
    }

    @Test func whatIsNotTheNextRecordIsRefusedAndNothingOfItAppended() throws {
        let (records, leader, follower) = try prepared()
        let chain = try leader.chain(at: 1)
        #expect(follower.fault(records[2]) == .gap(expected: 2, found: 3))
        #expect(follower.fault(records[0]) == .gap(expected: 2, found: 1))
        #expect(follower.fault(records[1] + records[1]) == .gap(expected: 3, found: 2))
        #expect(follower.fault(records[1], previousChain: chain! ^ 1) == .chainMismatch(lsn: 1))
        #expect(
            follower.fault(records[1] + records[2].dropLast())
                == .malformed(offset: records[1].count, reason: "the record is cut off"))
        #expect(follower.fault(Array(records[1].prefix(39))) != nil)
        #expect(follower.reservedLSN == 1)
        try follower.append(records[1] + records[2], previousChain: chain)
        #expect(follower.reservedLSN == 3)
        try follower.waitDurable(3)
        #expect(follower.durablePoint == leader.durablePoint)
        try leader.close()
        try follower.close()
    }

    @Test func everyFlippedBitIsNoticed() throws {
        let (records, leader, follower) = try prepared()
        let input = records[1] + records[2]
        for index in input.indices {
            for bit in 0..<8 {
                var changed = input
                changed[index] ^= 1 << bit
                #expect(follower.fault(changed) != nil, "byte \(index) bit \(bit)")
            }
        }
        #expect(follower.reservedLSN == 1)
        try leader.close()
        try follower.close()
    }

    /// A record with a right hash.
    private func forged(
        _ lsn: LSN, epoch: Epoch = 1, type: RecordType = .batch, operationCount: UInt32 = 1, _ payload: [UInt8]
    ) -> [UInt8] {
        let record = LogFixture.record(lsn, payload, epoch: epoch, type: type, operationCount: operationCount)
        return Array(record[16..<56 + payload.count])
    }

    @Test func recordsWithRightHashesAndWrongContentsAreRefused() throws {
        let (_, leader, follower) = try prepared()
        let delete: [UInt8] = [2, 1, 0x61]
        #expect(follower.fault(forged(2, epoch: 2, delete)) == .wrongEpoch(lsn: 2, reason: "epoch 2 after epoch 1"))
        #expect(follower.fault(forged(2, epoch: 0, delete)) == .wrongEpoch(lsn: 2, reason: "epoch 0 after epoch 1"))
        #expect(follower.fault(forged(2, operationCount: 2, delete)) == .malformedBatch(lsn: 2))
        #expect(follower.fault(forged(2, operationCount: 1, [2, 9, 0x61])) == .malformedBatch(lsn: 2))
        #expect(follower.fault(forged(2, type: .mark, delete)) == .malformedBatch(lsn: 2))
        for (previousEpoch, previousLSN) in [(1, 0), (0, 1), (2, 1)] as [(Epoch, LSN)] {
            var payload: [UInt8] = []
            for value in [previousEpoch, previousLSN] { withUnsafeBytes(of: value.littleEndian) { payload += $0 } }
            let fault = follower.fault(forged(2, epoch: 2, type: .epochStart, operationCount: 0, payload))
            #expect(fault == .wrongEpoch(lsn: 2, reason: "the start of epoch 2 does not follow 1:1"))
        }
        #expect(follower.reservedLSN == 1)
        // A good record in front of a malformed one of the same chunk is not appended either.
        #expect(follower.fault(forged(2, delete) + forged(3, [9])) == .malformedBatch(lsn: 3))
        #expect(follower.reservedLSN == 1)
        try follower.append(forged(2, delete))
        #expect(follower.reservedLSN == 2)
        try leader.close()
        try follower.close()
    }

    @Test func aCrashAtAnyCallLeavesAPrefixOfTheLeadersLog() throws {
        let seed = SeededGenerator.seed(default: 11)
        for round in 0..<60 {
            var generator = SeededGenerator(seed: seed &+ UInt64(round))
            let leader = try open("/leader", on: CrashFileSystem())
            for _ in 0..<200 {
                let batch = WriteBatch()
                for operation in BatchGenerator().batch(&generator) { batch.add(operation) }
                _ = try leader.commit(batch, durability: .os)
            }
            try leader.beginEpoch(2)
            let disk = CrashFileSystem()
            let crash = PendingCrash(disk: disk, durable: 0)
            let follower = try open("/follower", on: crash.fileSystem(nil), follows: true)
            crash.watch(follower, committed: 201)
            crash.arm(afterCalls: generator.below(40), keepUnsynced: [0, 0.5, 1][generator.below(3)], seed: generator.next())
            try follower.catchUp(with: leader, byteCountMax: 2000)
            try follower.flush()
            let (clone, evidence) = crash.take(follower, keepUnsynced: 0, seed: 1)
            let again = try open("/follower", on: clone, follows: true)
            let point = again.durablePoint
            #expect(point.lsn >= evidence.acknowledged, "seed \(seed) round \(round)")
            let chain = try leader.chain(at: point.lsn)
            #expect(chain == point.chain, "seed \(seed) round \(round)")
            try again.catchUp(with: leader)
            #expect(again.durablePoint == leader.durablePoint && again.epochHistory == leader.epochHistory)
            let (mine, theirs) = (try again.contents(), try leader.contents())
            #expect(
                mine.map(\.key) == theirs.map(\.key) && mine.map(\.value) == theirs.map(\.value), "seed \(seed) round \(round)")
            try again.close()
            try leader.close()
        }
    }

    @Test func aFollowerThatCouldNotSyncGoesOnBehindWhatItAcknowledged() throws {
        let leader = try open("/leader", on: CrashFileSystem())
        let files = FaultFileSystem(CrashFileSystem())
        let follower = try open("/follower", on: files, follows: true)
        for index in 0..<20 { try leader.writeDurably { $0.put("key\(index)", "v") } }
        try follower.catchUp(with: leader)
        for index in 20..<40 { try leader.writeDurably { $0.put("key\(index)", "v") } }
        files.add(FaultRule(.sync, pathSuffix: ".wal", effect: .fail(errno: EIO)))
        #expect(throws: (any Error).self) { try follower.catchUp(with: leader) }
        #expect(follower.durableLSN == 20)
        try follower.resume()
        try follower.catchUp(with: leader)
        #expect(follower.durablePoint == leader.durablePoint)
        try follower.close()
        try leader.close()
    }
}

extension Engine {
    fileprivate func append(_ records: [UInt8], previousChain: UInt64? = nil) throws {
        try withBytes(records) { bytes throws(ReplicationFault) in
            _ = try appendReplicated(bytes, previousChain: previousChain)
        }
    }

    fileprivate func fault(_ records: [UInt8], previousChain: UInt64? = nil) -> ReplicationFault? {
        do {
            try append(records, previousChain: previousChain)
            return nil
        } catch {
            return error as? ReplicationFault
        }
    }
}
