import Foundation
import NexaStorage
import NexaTestKit
import Synchronization
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
            #expect(try iterator.collect() == sorted)
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
        let values = try table.makeIterator().collect().map { String(decoding: $0.value, as: UTF8.self) }
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
        #expect(try table.makeIterator().collect() == inserted.sorted(by: TestEntry.precedes))
    }

    @Test func keysThatGrowKeepTheirOrderNextToRandomOnes() throws {
        let table = try MemTable(capacity: 8 << 20, id: 1)
        var model = EntryModel()
        var generator = SeededGenerator(seed: 3)
        for index in 0..<4000 {
            let entry = TestEntry(key: Array("k\(100_000 + index)".utf8), lsn: LSN(2 * index + 1), value: [1])
            let other = TestEntry(key: Array("k\(100_000 + generator.below(4000))x".utf8), lsn: LSN(2 * index + 2), value: [2])
            #expect(table.insert(entry))
            #expect(table.insert(other))
            model.entries += [entry, other]
        }
        #expect(try table.makeIterator().collect() == model.sorted)
    }

    /// What the first keys have in common is cut off all prefixes: keys that come before it, are shorter or come behind keep their place.
    @Test func keysOutsideTheCommonBeginningKeepTheirOrder() throws {
        let seed = SeededGenerator.seed(default: 0xC077)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let table = try MemTable(capacity: 8 << 20, id: 1)
        var model = EntryModel()
        func add(_ key: [UInt8]) {
            let entry = TestEntry(
                key: key, lsn: LSN(model.entries.count + 1), value: [UInt8(truncatingIfNeeded: model.entries.count)])
            #expect(table.insert(entry))
            model.entries.append(entry)
        }
        let common = Array("\u{0}\u{0}\u{0}\u{7}user0000".utf8)
        for _ in 0..<100 { add(common + Array(String(generator.below(1_000_000)).utf8)) }
        for _ in 0..<3000 {
            switch generator.below(6) {
            case 0: add(Array(common.prefix(generator.below(common.count + 1))))
            case 1: add(Array(common.prefix(6)) + [UInt8(generator.below(256))])
            case 2: add([0, 0, 0, UInt8(generator.below(16))] + Array(String(generator.below(1000)).utf8))
            case 3: add([UInt8(generator.below(256)), UInt8(generator.below(256))])
            default: add(common + Array(String(generator.below(1_000_000)).utf8))
            }
        }
        let sorted = model.sorted
        let iterator = table.makeIterator()
        #expect(try iterator.collect() == sorted)
        for entry in sorted.shuffled(using: &generator).prefix(500) {
            try iterator.seek(entry.key, entry.lsn)
            #expect(iterator.current == entry)
            #expect(table.lookup(entry.key, at: entry.lsn) == .value(entry.value, entry.lsn))
        }
    }

    @Test func oldVersionsOfABusyKeyAreFound() throws {
        let table = try MemTable(capacity: 4 << 20, id: 1)
        for lsn in 1...2000 {
            #expect(table.insert(TestEntry(key: Array("busy".utf8), lsn: LSN(lsn), value: Array(String(lsn).utf8))))
        }
        for lsn in [1, 2, 63, 64, 65, 1000, 1990, 1995, 1999, 2000, 5000] {
            let seen = min(lsn, 2000)
            #expect(table.lookup(Array("busy".utf8), at: LSN(lsn)) == .value(Array(String(seen).utf8), LSN(seen)))
        }
        #expect(table.lookup(Array("busy".utf8), at: 0) == .absent)
    }

    /// More keys than the hash table takes: those that it does not know are found in the leaves, old versions too.
    @Test func keysThatTheHashTableLeavesOutAreFound() throws {
        let table = try MemTable(capacity: 1 << 20, id: 1)
        var count = 0
        while table.insert(TestEntry(key: Array("k\(count % 9000)".utf8), lsn: LSN(count + 1), value: [])) { count += 1 }
        #expect(count > 9000)
        for index in 0..<9000 {
            let key = Array("k\(index)".utf8)
            let newest = index + (count - 1 - index) / 9000 * 9000
            #expect(table.lookup(key, at: .max) == .value([], LSN(newest + 1)))
            #expect(table.lookup(key, at: LSN(index + 1)) == .value([], LSN(index + 1)))
            #expect(table.lookup(key, at: LSN(index)) == .absent)
        }
    }

    @Test func anArenaFromThePoolRemembersNothing() throws {
        let pool = MemTablePool(capacity: 1 << 20)
        for round in 0..<3 {
            let table = try MemTable(capacity: 1 << 20, id: UInt64(round), pool: pool)
            #expect(pool.spareCount == 0)
            #expect(table.isEmpty)
            var count = 0
            while table.insert(
                TestEntry(key: Array("\(round)-\(count * 7919 % 10007)".utf8), lsn: LSN(count + 1), value: [UInt8(round)]))
            {
                count += 1
            }
            let entries = try table.makeIterator().collect()
            #expect(entries.count == count)
            #expect(entries.allSatisfy { $0.value == [UInt8(round)] })
            if round > 0 { #expect(table.lookup(Array("\(round - 1)-0".utf8), at: .max) == .absent) }
            withExtendedLifetime(table) {}
        }
        #expect(pool.spareCount == 1)
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
        let writersLeft = Atomic<Int>(threadCount)
        DispatchQueue.concurrentPerform(iterations: threadCount + 1) { index in
            if index < threadCount {
                for entry in work[index].entries { precondition(table.insert(entry)) }
                writersLeft.subtract(1, ordering: .releasing)
                return
            }
            let iterator = table.makeIterator()
            repeat {
                guard let entries = try? iterator.collect() else { continue }
                precondition(zip(entries, entries.dropFirst()).allSatisfy { TestEntry.precedes($0, $1) })
            } while writersLeft.load(ordering: .acquiring) > 0
        }
        let expected = EntryModel(entries: models.flatMap(\.entries)).sorted
        #expect(try table.makeIterator().collect() == expected)
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
