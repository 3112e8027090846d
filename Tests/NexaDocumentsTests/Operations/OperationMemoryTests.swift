import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// What is remembered survives what the writes survive, and goes when its time is over.
struct OperationMemoryTests {
    /// Remembered operations that are still in the store.
    private func entryCount(_ engine: Engine) throws -> Int {
        let entries = engine.makeReader().makeIterator(
            lowerBound: [0, 0, 0, 0, 0x7E, 0], upperBound: [0, 0, 0, 1], at: engine.appliedLSN)
        var count = 0
        try entries.seekToFirst()
        while entries.isValid {
            count += 1
            try entries.next()
        }
        return count
    }

    private func small(window: Int64 = 600_000_000, byteCount: Int = 1 << 30) -> OperationOptions {
        var options = OperationOptions()
        options.windowMicroseconds = window
        options.byteCountMax = byteCount
        return options
    }

    @Test func aRestartRemembers() throws {
        let test = try TestStore()
        let first = try test.worker.create(["n": 1], in: try test.collection(), as: operationBytes(1))
        let again = try test.reopened()
        #expect(try again.worker.create(["n": 1], in: try again.collection(), as: operationBytes(1)) == first)
        #expect(try again.count(in: try again.collection()) == 1)
        // What is remembered is no part of the catalog.
        #expect(again.store.catalog.view.databaseNames == ["default"])
    }

    @Test func aWriteIsRememberedForTheWindowAndForgottenWithinTwo() throws {
        let window: Int64 = 1_000_000
        let test = try TestStore(operations: small(window: window))
        let things = try test.collection()
        let first = try test.worker.create(["n": 1], in: things, as: operationBytes(1))
        // A write with an op_id once a tenth of the window: it is what makes time pass.
        for step in 0..<10 {
            #expect(try test.worker.create(["n": 1], in: things, as: operationBytes(1)) == first)
            test.clock.advance(microseconds: window / 10)
            _ = try test.worker.create(["step": .int(Int64(step))], in: things, as: operationBytes(100 + step))
        }
        #expect(try test.worker.create(["n": 1], in: things, as: operationBytes(1)) == first)
        for step in 10..<22 {
            test.clock.advance(microseconds: window / 10)
            _ = try test.worker.create(["step": .int(Int64(step))], in: things, as: operationBytes(100 + step))
        }
        #expect(try test.worker.create(["n": 1], in: things, as: operationBytes(1)).key != first.key)
        #expect(try entryCount(test.engine) <= 21)
    }

    @Test func whatIsForgottenLeavesTheStore() throws {
        let test = try TestStore(operations: small(window: 1_000))
        let things = try test.collection()
        for number in 0..<300 {
            if number % 10 == 0 { test.clock.advance(microseconds: 1_000) }
            _ = try test.worker.create(["n": 1], in: things, as: operationBytes(number))
            #expect(try entryCount(test.engine) <= 20)
        }
        #expect(try test.count(in: things) == 300)
    }

    @Test func theNewestHalfStaysWhenTheSpaceIsUsedUp() throws {
        let test = try TestStore(operations: small(byteCount: 10_000))
        let things = try test.collection()
        var keys: [String] = []
        for number in 0..<1_000 {
            keys.append(try test.worker.create(["n": 1], in: things, as: operationBytes(number)).key)
            // An entry has 67 bytes: half of the space holds 74.
            for earlier in stride(from: max(0, number - 70), through: number, by: 35) {
                #expect(try test.worker.create(["n": 1], in: things, as: operationBytes(earlier)).key == keys[earlier])
            }
            #expect(try entryCount(test.engine) <= 2 * 75)
        }
    }

    @Test func aFollowerHasWhatItsLeaderRemembersAndLetsItGoWithIt() throws {
        var options = EngineOptions(memoryByteCount: 64 << 20)
        options.segmentByteCount = 1 << 20
        let leader = try TestStore(options: options, operations: small(window: 1_000))
        options.follows = true
        let follower = try TestStore(options: options, operations: small(window: 1_000))
        let things = try leader.collection()
        func sync() throws {
            try leader.engine.waitDurable(leader.engine.reservedLSN)
            try follower.engine.catchUp(with: leader.engine)
        }
        for number in 0..<100 {
            if number % 10 == 0 { leader.clock.advance(microseconds: 1_000) }
            _ = try leader.worker.create(["n": 1], in: things, as: operationBytes(number))
        }
        try sync()
        #expect(try entryCount(follower.engine) == entryCount(leader.engine))
        #expect(try withOperation(operationBytes(99)) { try follower.worker.remembers($0, mayBlock: true) })
        #expect(try withOperation(operationBytes(85)) { try follower.worker.remembers($0, mayBlock: true) })
        #expect(try !withOperation(operationBytes(75)) { try follower.worker.remembers($0, mayBlock: true) })
    }

    @Test func aFollowerThatLeadsNowKnowsTheWritesOfItsLeaderAndGoesOnForgetting() throws {
        var options = EngineOptions(memoryByteCount: 64 << 20)
        options.segmentByteCount = 1 << 20
        let leader = try TestStore(options: options, operations: small(window: 1_000_000))
        options.follows = true
        let follower = try TestStore(options: options, operations: small(window: 1_000_000))
        let things = try leader.collection()
        let first = try leader.worker.create(["n": 1], in: things, as: operationBytes(1))
        try leader.engine.waitDurable(leader.engine.reservedLSN)
        try follower.engine.catchUp(with: leader.engine)
        // The old leader alone has this one; it is lost with it.
        _ = try leader.worker.create(["n": 2], in: things, as: operationBytes(2))

        _ = try follower.engine.beginEpoch(2)
        let followed = try follower.collection()
        #expect(try follower.worker.create(["n": 1], in: followed, as: operationBytes(1)) == first)
        _ = try follower.worker.create(["n": 2], in: followed, as: operationBytes(2))
        #expect(try follower.count(in: followed) == 2)
        for number in 10..<13 {
            follower.clock.advance(microseconds: 1_000_000)
            _ = try follower.worker.create(["n": 3], in: followed, as: operationBytes(number))
        }
        #expect(try entryCount(follower.engine) == 2)
        #expect(try follower.worker.create(["n": 1], in: followed, as: operationBytes(1)).key != first.key)
    }

    @Test func aWriteAndItsMemoryOutliveACrashTogether() throws {
        let seed = SeededGenerator.seed(default: UInt64.random(in: 0...UInt64.max))
        var random = SeededGenerator(seed: seed)
        for round in 0..<40 {
            let disk = CrashFileSystem()
            let test = try TestStore(fileSystem: disk, operations: small(window: 2_000))
            let things = try test.collection()
            try test.engine.waitDurable(test.engine.reservedLSN)
            let count = Int.random(in: 1...30, using: &random)
            let synced = Int.random(in: 0...count, using: &random)
            for number in 0..<count {
                if Bool.random(using: &random) { test.clock.advance(microseconds: 100) }
                let lsn = try test.worker.create(["n": .int(Int64(number))], in: things, as: operationBytes(number)).lsn
                if number < synced { try test.engine.waitDurable(lsn) }
            }
            let after = try TestStore(
                fileSystem: disk.crashClone(keepUnsynced: [0, 0.5, 1].randomElement(using: &random)!, seed: random.next()),
                operations: small(window: 2_000))
            after.clock.advance(microseconds: test.clock.microseconds - after.clock.microseconds)
            let found = try after.collection()
            for number in 0..<count {
                _ = try after.worker.create(["n": .int(Int64(number))], in: found, as: operationBytes(number))
            }
            let numbers = try after.query(in: found).compactMap { $0["n"]?.intValue }.sorted()
            #expect(numbers == (0..<Int64(count)).map { $0 }, "seed \(seed), round \(round)")
        }
    }
}
