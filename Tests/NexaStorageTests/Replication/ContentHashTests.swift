import NexaStorage
import NexaTestKit
import Testing

@Suite struct ContentHashTests {
    private func open(_ follows: Bool = false) throws -> Engine {
        var options = smallOptions()
        options.follows = follows
        return try Engine.open(directory: "/db", fileSystem: CrashFileSystem(), options: options)
    }

    private func hash(_ engine: Engine, at lsn: LSN, from lower: String? = nil, to upper: String? = nil) throws -> ContentHash {
        let snapshot = try #require(engine.makeSnapshot(at: lsn))
        return try #require(
            try engine.contentHash(
                lowerBound: lower.map { Array($0.utf8) }, upperBound: upper.map { Array($0.utf8) }, at: snapshot))
    }

    @Test func nodesWithTheSameContentsHaveTheSameHashWhateverTheirTablesAre() throws {
        let seed = SeededGenerator.seed(default: 3)
        var generator = SeededGenerator(seed: seed)
        let (leader, follower) = (try open(), try open(true))
        for round in 0..<20 {
            for _ in 0..<50 {
                let batch = WriteBatch()
                for operation in BatchGenerator().batch(&generator) { batch.add(operation) }
                _ = try leader.commit(batch, durability: .disk)
            }
            try leader.waitDurable(leader.reservedLSN)
            if round % 3 == 0 { try leader.flush() }
            try follower.catchUp(with: leader)
            if round % 5 == 0 {
                try follower.flush()
                try follower.compactAll()
            }
            let lsn = leader.visibleLSN
            #expect(try hash(leader, at: lsn) == hash(follower, at: lsn), "seed \(seed)")
            var parts = try hash(follower, at: lsn, to: "key120")
            parts += try hash(follower, at: lsn, from: "key120")
            #expect(try parts == hash(leader, at: lsn))
        }
        try leader.close()
        try follower.close()
    }

    @Test func aChangedValueKeyOrMissingEntryChangesTheHash() throws {
        let engine = try open()
        try engine.writeDurably {
            $0.put("a", "1")
            $0.put("b", "2")
        }
        let before = try hash(engine, at: 1)
        for change in [{ $0.put("a", "2") }, { $0.delete("a") }, { $0.put("c", "1") }] as [(WriteBatch) -> Void] {
            let engine = try open()
            try engine.writeDurably {
                $0.put("a", "1")
                $0.put("b", "2")
            }
            try engine.writeDurably(change)
            #expect(try hash(engine, at: 2) != before)
            #expect(try hash(engine, at: 1) == before, "the older state is still there")
            try engine.close()
        }
        try engine.close()
    }

    @Test func onlyWhatIsStillExactCanBePinned() throws {
        let engine = try open()
        for value in ["1", "2", "3"] { try engine.writeDurably { $0.put("a", value) } }
        #expect(engine.makeSnapshot(at: 4) == nil)
        let snapshot = try #require(engine.makeSnapshot(at: 2))
        try engine.flush()
        #expect(engine.makeSnapshot(at: 1) == nil, "the flush may have dropped it")
        #expect(engine.makeSnapshot(at: 2) != nil, "a pinned one can be pinned again")
        #expect(engine.makeSnapshot(at: 3) != nil)
        #expect(try engine.text("a", at: snapshot.lsn) == "2")
        try engine.close()
    }
}
