import NexaStorage
import NexaTestKit
import Testing

@Suite struct TableTests {
    @Test func findsAndWalksWhatWasWritten() throws {
        let seed = SeededGenerator.seed(default: 0x7AB1)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for round in 0..<12 {
            let model = EntryModel.random(&generator, count: 1 + round * round * 12, keyCount: 2 + round * 40, rangeDeletes: 0.01)
            var options = TableFixture.smallBlocks
            options.compresses = round % 2 == 0
            options.filterBitsPerKey = round % 3 == 0 ? 0 : 10
            options.restartInterval = [1, 4, 16][round % 3]
            let fixture = TableFixture()
            let table = try fixture.makeTable(model, options: options)
            for fillCache in [true, false] {
                let iterator = table.makeIterator(TableReadOptions(fillCache: fillCache))
                #expect(try iterator.collect() == model.entries)
            }
            for _ in 0..<300 {
                let key = EntryModel.randomKey(&generator, 500)
                let lsn = generator.chance(0.5) ? LSN.max : LSN(generator.below(model.entries.count + 2))
                #expect(try table.lookup(key, at: lsn) == model.lookup(key, at: lsn))
                #expect(key.withUnsafeBytes { table.coveringTombstone($0, at: lsn) } == model.cover(key, at: lsn))
            }
            try table.verify()
        }
    }

    @Test func infoSaysWhatIsInTheTable() throws {
        var model = EntryModel(entries: [
            TestEntry(key: [2], lsn: 8, value: [1, 2, 3]), TestEntry(key: [2], lsn: 4, kind: .delete),
            TestEntry(key: [5, 5], lsn: 6, value: [1]),
        ])
        model.tombstones = [RangeTombstone(start: [1], end: [4], lsn: 9), RangeTombstone(start: [3], end: [7], lsn: 3)]
        let fixture = TableFixture()
        let info = try fixture.write(model)
        let table = try fixture.open(expecting: info)
        #expect(table.info == info)
        #expect((info.entryCount, info.tombstoneCount, info.rangeTombstoneCount) == (3, 1, 2))
        #expect((info.lsnMin, info.lsnMax) == (3, 9))
        #expect(info.smallest == [1])
        #expect(info.largest == [7])
        #expect((info.rawKeyByteCount, info.rawValueByteCount) == (4, 4))
        #expect(try fixture.fileSystem.byteCount(of: TableFixture.path) == info.byteCount)
    }

    @Test func tableOfRangeTombstonesAloneWorks() throws {
        let model = EntryModel(tombstones: [RangeTombstone(start: [1], end: [9], lsn: 5)])
        let table = try TableFixture().makeTable(model)
        #expect(try table.makeIterator().collect().isEmpty)
        #expect(try table.lookup([3], at: .max) == .absent)
        #expect([3].withUnsafeBytes { table.coveringTombstone($0, at: .max) } == 5)
        #expect((table.info.smallest, table.info.largest) == ([1], [9]))
        try table.verify()
    }

    @Test func entriesBeyondTheBlockSizeHaveBlocksOfTheirOwn() throws {
        var generator = SeededGenerator(seed: 9)
        var model = EntryModel()
        for index in 0..<6 {
            model.entries.append(TestEntry(key: [UInt8(index)], lsn: 1, value: generator.bytes(3_000_000 * (index % 2))))
        }
        model.entries.append(TestEntry(key: [UInt8](repeating: 9, count: 65_535), lsn: 1, value: [1]))
        let table = try TableFixture(cacheByteCount: 1 << 20).makeTable(model)
        #expect(try table.makeIterator().collect() == model.entries)
        #expect(try table.lookup([3], at: .max) == model.lookup([3], at: .max))
        try table.verify()
    }

    @Test func aKeyLongerThanTheLimitIsRefusedByName() throws {
        let fixture = TableFixture()
        let file = try fixture.fileSystem.open("/1.sst", .createNew)
        let writer = try TableWriter(file: file, path: "/1.sst", fileNumber: 1, fileContext: 1)
        #expect(throws: StorageError.tooLarge(what: "key", byteCount: 65_536, limit: 65_535)) {
            try writer.add(TestEntry(key: [UInt8](repeating: 1, count: 65_536), lsn: 1))
        }
    }

    @Test func blocksThatAreNotCachedWouldBlock() throws {
        var generator = SeededGenerator(seed: 10)
        let model = EntryModel.random(&generator, count: 500, keyCount: 300)
        let fixture = TableFixture()
        let table = try fixture.makeTable(model)
        let entry = model.entries[250]
        #expect(throws: StorageError.wouldBlock) { try table.lookup(entry.key, at: entry.lsn, mayBlock: false) }
        #expect(throws: StorageError.wouldBlock) { try table.makeIterator(TableReadOptions(mayBlock: false)).seekToFirst() }
        #expect(try table.lookup(entry.key, at: entry.lsn) == model.lookup(entry.key, at: entry.lsn))
        #expect(try table.lookup(entry.key, at: entry.lsn, mayBlock: false) == model.lookup(entry.key, at: entry.lsn))
    }

    @Test func aFileThatTheManifestDoesNotDescribeIsRefused() throws {
        let fixture = TableFixture()
        var info = try fixture.write(EntryModel(entries: [TestEntry(key: [1], lsn: 1, value: [1])]))
        info.digest ^= 1
        #expect(throws: StorageError.self) { try fixture.open(expecting: info) }
    }

    /// A key that shares its line of the filter with nothing is answered without a block.
    @Test func missesOfTheFilterReadNoBlock() throws {
        var model = EntryModel()
        for index in 0..<2000 { model.entries.append(TestEntry(key: Array("k\(10_000 + index)".utf8), lsn: 1, value: [1])) }
        let fixture = TableFixture()
        let table = try fixture.makeTable(model)
        for index in 0..<2000 { #expect(try table.lookup(Array("k\(10_000 + index)x".utf8), at: .max) == .absent) }
        #expect(fixture.cache.statistics.misses < 60)
    }
}
