import Foundation
import NexaStorage
import NexaTestKit
import Testing

@Suite struct MemTableTests {
    @Test func walksAndFindsWhatAModelSays() throws {
        let seed = SeededGenerator.seed(default: 0xA11)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for round in 0..<20 {
            let model = EntryModel.random(&generator, count: 50 + round * 60, keyCount: 5 + round * 12)
            var shuffled = model
            shuffled.entries.shuffle(using: &generator)
            let table = try MemTable.holding(shuffled)
            let sorted = model.entries
            let iterator = table.makeIterator()
            #expect(try iterator.collectForward() == sorted)
            #expect(try iterator.collectBackward() == sorted.reversed())
            #expect(table.entryCount == sorted.count)
            for _ in 0..<100 {
                let key = EntryModel.randomKey(&generator, 200)
                let lsn = LSN(generator.below(model.entries.count + 2))
                #expect(table.lookup(key, at: lsn) == model.lookup(key, at: lsn))
                try iterator.seek(key, lsn)
                let expected = sorted.first { !TestEntry.precedes($0, TestEntry(key: key, lsn: lsn)) }
                #expect((iterator.isValid ? iterator.current : nil) == expected)
            }
        }
    }

    @Test func laterInsertOfTheSameKeyAndLSNComesFirst() throws {
        let table = try MemTable(capacity: 1 << 20, id: 1)
        for value in ["first", "second", "third"] {
            #expect(table.insert(TestEntry(key: [1], lsn: 5, value: Array(value.utf8))))
        }
        #expect(table.lookup([1], at: 5) == .value(Array("third".utf8), 5))
        let values = try table.makeIterator().collectForward().map { String(decoding: $0.value, as: UTF8.self) }
        #expect(values == ["third", "second", "first"])
    }

    @Test func refusesAnEntryThatDoesNotFitAndKeepsTheRest() throws {
        let table = try MemTable(capacity: MemTable.capacityMin, id: 1)
        var inserted: [TestEntry] = []
        while true {
            let entry = TestEntry(
                key: Array("key\(inserted.count)".utf8), lsn: LSN(inserted.count + 1), value: [UInt8](repeating: 7, count: 100))
            let before = table.byteCount
            guard table.insert(entry) else {
                #expect(table.byteCount == before)
                break
            }
            inserted.append(entry)
            #expect(table.byteCount - before <= MemTable.insertByteCountMax(keyByteCount: entry.key.count, valueByteCount: 100))
            #expect(table.byteCount <= table.capacity)
        }
        #expect(inserted.count > 300)
        #expect(!table.insert(TestEntry(key: [UInt8](repeating: 1, count: 65536), lsn: 1)))
        #expect(try table.makeIterator().collectForward() == inserted.sorted(by: TestEntry.precedes))
    }

    @Test func sortedInsertsThroughAnInserterKeepOrderNextToRandomOnes() throws {
        let table = try MemTable(capacity: 8 << 20, id: 1)
        let inserter = MemTableInserter(table)
        var model = EntryModel()
        var generator = SeededGenerator(seed: 3)
        for index in 0..<4000 {
            let entry = TestEntry(key: Array("k\(100_000 + index)".utf8), lsn: LSN(2 * index + 1), value: [1])
            _ = entry.key.withUnsafeBytes { key in
                entry.value.withUnsafeBytes { inserter.insert(kind: .put, key: key, value: $0, lsn: entry.lsn) }
            }
            let other = TestEntry(key: Array("k\(100_000 + generator.below(4000))x".utf8), lsn: LSN(2 * index + 2), value: [2])
            #expect(table.insert(other))
            model.entries += [entry, other]
        }
        #expect(try table.makeIterator().collectForward() == model.sorted)
        #expect(try table.makeIterator().collectBackward() == model.sorted.reversed())
    }

    /// Writers race at the same places while a reader walks; afterwards nothing is missing in either direction.
    @Test func concurrentInsertsAreAllThereInBothDirections() throws {
        let seed = SeededGenerator.seed(default: 0xC0C0)
        print("seed \(seed)")
        let threadCount = 4
        let perThread = 4000
        let table = try MemTable(capacity: 64 << 20, id: 1)
        var models: [EntryModel] = []
        for thread in 0..<threadCount {
            var generator = SeededGenerator(seed: seed &+ UInt64(thread))
            models.append(EntryModel.random(&generator, count: perThread, keyCount: 3000, firstLSN: LSN(thread * perThread + 1)))
        }
        let work = models
        DispatchQueue.concurrentPerform(iterations: threadCount + 1) { index in
            if index < threadCount {
                for entry in work[index].entries { precondition(table.insert(entry)) }
                return
            }
            let iterator = table.makeIterator()
            for _ in 0..<20 {
                guard let forward = try? iterator.collectForward(), let backward = try? iterator.collectBackward() else {
                    continue
                }
                precondition(zip(forward, forward.dropFirst()).allSatisfy { TestEntry.precedes($0, $1) })
                precondition(zip(backward, backward.dropFirst()).allSatisfy { TestEntry.precedes($1, $0) })
            }
        }
        let expected = EntryModel(entries: models.flatMap(\.entries)).sorted
        #expect(try table.makeIterator().collectForward() == expected)
        #expect(try table.makeIterator().collectBackward() == expected.reversed())
    }

    @Test func rangeTombstonesCoverByLSN() throws {
        let table = try MemTable(capacity: 1 << 20, id: 1)
        let key = Array("m".utf8)
        #expect(key.withUnsafeBytes { table.coveringTombstone($0, at: .max) } == 0)
        #expect(table.insert(RangeTombstone(start: Array("a".utf8), end: Array("z".utf8), lsn: 5)))
        #expect(table.insert(RangeTombstone(start: Array("m".utf8), end: Array("n".utf8), lsn: 9)))
        #expect(key.withUnsafeBytes { table.coveringTombstone($0, at: .max) } == 9)
        #expect(key.withUnsafeBytes { table.coveringTombstone($0, at: 8) } == 5)
        #expect(key.withUnsafeBytes { table.coveringTombstone($0, at: 4) } == 0)
        #expect(Array("n".utf8).withUnsafeBytes { table.coveringTombstone($0, at: .max) } == 5)
        #expect(!table.isEmpty)
    }
}
