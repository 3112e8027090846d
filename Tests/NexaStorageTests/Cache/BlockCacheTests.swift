import Foundation
import NexaStorage
import NexaTestKit
import Synchronization
import Testing

@Suite struct BlockCacheTests {
    private func makeTable(_ fixture: TableFixture, entryCount: Int = 3000) throws -> (TableReader, EntryModel) {
        var model = EntryModel()
        for index in 0..<entryCount {
            model.entries.append(
                TestEntry(key: Array("k\(10_000 + index)".utf8), lsn: 1, value: [UInt8](repeating: UInt8(index % 256), count: 30))
            )
        }
        return (try fixture.makeTable(model), model)
    }

    @Test func neverHoldsMoreThanItsCapacity() throws {
        let fixture = TableFixture(cacheByteCount: 20_000)
        let (table, model) = try makeTable(fixture)
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<3000 {
            let entry = model.entries[generator.below(model.entries.count)]
            #expect(try table.lookup(entry.key, at: 1) == .value(entry.value, 1))
            #expect(fixture.cache.byteCount <= fixture.cache.capacity)
        }
        let statistics = fixture.cache.statistics
        #expect(statistics.evictions > 100)
        #expect(statistics.hits > 0)
        #expect(statistics.uncached == 0)
        #expect(statistics.entryCount > 5)
    }

    @Test func pinnedBlocksStayAndWhatDoesNotFitIsHandedOutBesideTheCache() throws {
        let fixture = TableFixture(cacheByteCount: 4_000)
        let (table, model) = try makeTable(fixture)
        var iterators: [InternalIterator] = []
        for index in stride(from: 0, to: model.entries.count, by: 100) {
            let iterator = table.makeIterator()
            try iterator.seek(model.entries[index].key, 1)
            iterators.append(iterator)
        }
        #expect(fixture.cache.byteCount <= fixture.cache.capacity)
        #expect(fixture.cache.statistics.uncached > 10)
        for (index, iterator) in iterators.enumerated() { #expect(iterator.current == model.entries[index * 100]) }
    }

    @Test func aCacheOfNoBytesStillReads() throws {
        let (table, model) = try makeTable(TableFixture(cacheByteCount: 0))
        #expect(try table.makeIterator().collect() == model.entries)
    }

    /// Used blocks survive a scan of everything else.
    @Test func aScanDoesNotPushOutWhatIsUsed() throws {
        let fixture = TableFixture(cacheByteCount: 60_000)
        let (table, model) = try makeTable(fixture)
        let hot = (0..<10).map { model.entries[$0 * 20] }
        for _ in 0..<4 { for entry in hot { _ = try table.lookup(entry.key, at: 1) } }
        let before = fixture.cache.statistics.misses
        let scan = table.makeIterator(TableReadOptions(fillCache: false))
        try scan.seekToFirst()
        while scan.isValid { try scan.next() }
        for entry in hot { _ = try table.lookup(entry.key, at: 1, mayBlock: false) }
        #expect(fixture.cache.statistics.misses == before)
    }

    /// Many threads on a small cache: every answer right, every missing block read once at a time, the capacity kept.
    @Test func concurrentReadersAgreeWhileBlocksComeAndGo() throws {
        let seed = SeededGenerator.seed(default: 0xCAC4E)
        print("seed \(seed)")
        let fixture = TableFixture(cacheByteCount: 24_000)
        let (table, model) = try makeTable(fixture)
        let wrong = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            var generator = SeededGenerator(seed: seed &+ UInt64(thread))
            var pin = BlockPin()
            for step in 0..<4000 {
                let entry = model.entries[generator.chance(0.5) ? generator.below(200) : generator.below(model.entries.count)]
                let isRight = entry.key.withUnsafeBytes { key in
                    guard
                        case .value(let value, _)? = try? table.get(key, hash: filterHash(key), at: 1, pin: &pin, mayBlock: true)
                    else { return false }
                    return value.elementsEqual(entry.value)
                }
                if !isRight || fixture.cache.byteCount > fixture.cache.capacity { wrong.add(1, ordering: .relaxed) }
                if step % 500 == 0 { pin.release() }
            }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
        print(fixture.cache.statistics)
    }

    /// Readers that miss the same block at the same time cause one read.
    @Test func oneMissingBlockIsReadOnce() throws {
        let fixture = TableFixture()
        let (table, model) = try makeTable(fixture, entryCount: 10)
        let entry = model.entries[5]
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            var pin = BlockPin()
            entry.key.withUnsafeBytes { key in
                guard case .value? = try? table.get(key, hash: filterHash(key), at: 1, pin: &pin, mayBlock: true) else {
                    preconditionFailure("the entry is there")
                }
            }
        }
        #expect(fixture.cache.statistics.misses == 1)
    }
}
