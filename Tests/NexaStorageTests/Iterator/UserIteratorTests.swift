import NexaStorage
import NexaTestKit
import Testing

/// Random walks over memtables and tables, against the model, step by step.
@Suite struct UserIteratorTests {
    /// Splits a model by LSN into `parts`: the newest two as memtables, the rest as tables; the oldest as a level of several tables.
    private func makeSource(_ model: EntryModel, _ fixture: TableFixture, parts: Int) throws -> (
        InternalIterator, [RangeTombstoneSet]
    ) {
        let lsnMax = (model.entries.map(\.lsn) + model.tombstones.map(\.lsn)).max() ?? 0
        let span = lsnMax / LSN(parts) + 1
        var children: [InternalIterator] = []
        var tombstones: [RangeTombstoneSet] = []
        for part in (0..<parts).reversed() {
            let range = (LSN(part) * span)..<(LSN(part + 1) * span)
            let slice = EntryModel(
                entries: model.entries.filter { range.contains($0.lsn) },
                tombstones: model.tombstones.filter { range.contains($0.lsn) })
            if part >= parts - 2 {
                let table = try MemTable.holding(slice)
                children.append(table.makeIterator())
                tombstones.append(table.rangeTombstones)
            } else if part == 0 {
                let (iterator, sets) = try makeLevel(slice, fixture)
                children.append(iterator)
                tombstones += sets
            } else {
                let table = try fixture.makeTable(slice, path: "/\(part).sst", context: UInt64(part))
                children.append(table.makeIterator(TableReadOptions(fillCache: part % 2 == 0)))
                tombstones.append(table.rangeTombstones)
            }
        }
        return (children.count == 1 ? children[0] : MergingIterator(children), tombstones)
    }

    /// Three tables that do not overlap, range tombstones cut at their bounds.
    private func makeLevel(_ model: EntryModel, _ fixture: TableFixture) throws -> (InternalIterator, [RangeTombstoneSet]) {
        let keys = Array(Set(model.entries.map(\.key))).sorted { $0.isBelow($1) }
        guard keys.count > 6 else {
            let table = try fixture.makeTable(model, path: "/level.sst", context: 99)
            return (table.makeIterator(), [table.rangeTombstones])
        }
        let cuts: [[UInt8]] = [[], keys[keys.count / 3], keys[2 * keys.count / 3], [0xFF, 0xFF, 0xFF, 0xFF]]
        var tables: [TableReader] = []
        for index in 0..<3 {
            let (lower, upper) = (cuts[index], cuts[index + 1])
            func clamp(_ key: [UInt8]) -> [UInt8] {
                key.isBelow(lower) ? lower : upper.isBelow(key) ? upper : key
            }
            var part = EntryModel()
            part.entries = model.entries.filter {
                !$0.key.isBelow(lower) && $0.key.isBelow(upper)
            }
            part.tombstones = model.tombstones.map { RangeTombstone(start: clamp($0.start), end: clamp($0.end), lsn: $0.lsn) }
                .filter { $0.start != $0.end }
            tables.append(try fixture.makeTable(part, path: "/level\(index).sst", context: UInt64(100 + index)))
        }
        return (LevelIterator(tables), tables.map(\.rangeTombstones))
    }

    @Test(arguments: [1, 2, 5]) func walksLikeTheModel(parts: Int) throws {
        let seed = SeededGenerator.seed(default: 0x17E8 + UInt64(parts))
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for round in 0..<60 {
            let model = EntryModel.random(
                &generator, count: 20 + (round % 25) * 20, keyCount: 4 + generator.below(120),
                rangeDeletes: round % 2 == 0 ? 0 : 0.05)
            let (source, tombstones) = try makeSource(model, TableFixture(), parts: parts)
            for _ in 0..<3 {
                let lsn = generator.chance(0.3) ? LSN.max : LSN(generator.below(model.entries.count + 2))
                let lower = generator.chance(0.5) ? EntryModel.randomKey(&generator, 150) : nil
                let upper = generator.chance(0.5) ? EntryModel.randomKey(&generator, 150) : nil
                let iterator = UserIterator(source: source, tombstones: tombstones, at: lsn, lowerBound: lower, upperBound: upper)
                try walk(iterator, model.visible(at: lsn, from: lower, to: upper), &generator)
            }
        }
    }

    private func walk(_ iterator: UserIterator, _ expected: [TestEntry], _ generator: inout SeededGenerator) throws {
        var forward: [TestEntry] = []
        try iterator.seekToFirst()
        while iterator.isValid {
            forward.append(iterator.current)
            try iterator.next()
        }
        try #require(forward == expected)
        var position: Int?
        for _ in 0..<60 {
            let key = EntryModel.randomKey(&generator, 150)
            switch generator.below(position == nil ? 2 : 6) {
            case 0:
                try iterator.seekToFirst()
                position = 0
            case 1:
                try iterator.seek(to: key)
                position = expected.firstIndex { !$0.key.isBelow(key) }
            default:
                try iterator.next()
                position! += 1
            }
            if let index = position, !expected.indices.contains(index) { position = nil }
            try #require((iterator.isValid ? iterator.current : nil) == position.map { expected[$0] })
        }
    }

    @Test func manyVersionsOfOneKeyAreOneSeekAway() throws {
        var model = EntryModel()
        for lsn in (1...500).reversed() { model.entries.append(TestEntry(key: [5], lsn: LSN(lsn), value: [UInt8(lsn % 256)])) }
        model.entries.insert(TestEntry(key: [4], lsn: 501, value: [1]), at: 0)
        model.entries.append(TestEntry(key: [6], lsn: 502, value: [2]))
        let table = try MemTable.holding(model)
        for lsn: LSN in [1, 17, 250, 499, 500, 502] {
            var generator = SeededGenerator(seed: lsn)
            let iterator = UserIterator(source: table.makeIterator(), tombstones: [], at: lsn)
            try walk(iterator, model.visible(at: lsn), &generator)
        }
    }

    /// A range tombstone over a large old table is crossed without reading the blocks that it hides.
    @Test func rangeTombstoneSkipsHiddenBlocks() throws {
        var old = EntryModel()
        for index in 0..<5000 {
            old.entries.append(
                TestEntry(key: Array("k\(10_000 + index)".utf8), lsn: LSN(index + 1), value: [UInt8](repeating: 1, count: 50)))
        }
        let fixture = TableFixture()
        let table = try fixture.makeTable(old)
        var new = EntryModel()
        new.tombstones = [RangeTombstone(start: Array("k10010".utf8), end: Array("k14990".utf8), lsn: 9000)]
        new.entries = [TestEntry(key: Array("k12000".utf8), lsn: 9001, value: [9])]
        let recent = try MemTable.holding(new)
        let iterator = UserIterator(
            source: MergingIterator([recent.makeIterator(), table.makeIterator()]),
            tombstones: [recent.rangeTombstones, table.rangeTombstones],
            at: .max)
        var keys: [String] = []
        try iterator.seekToFirst()
        while iterator.isValid {
            keys.append(String(decoding: iterator.key, as: UTF8.self))
            try iterator.next()
        }
        #expect(keys.count == 10 + 1 + 10)
        #expect(keys[10] == "k12000")
        #expect(fixture.cache.statistics.misses < 12)
    }

    /// The end of a range tombstone is the bound of its table and the first key of the next one: versions of that key lie there.
    @Test func seekBehindATombstoneEndSearchesTheNextTable() throws {
        let fixture = TableFixture()
        let left = try fixture.makeTable(
            EntryModel(entries: [TestEntry(key: [1], lsn: 5)], tombstones: [RangeTombstone(start: [1], end: [3], lsn: 9)]),
            path: "/1.sst",
            context: 1)
        let versions = (1...40).reversed().map { TestEntry(key: [3], lsn: LSN($0)) }
        let right = try fixture.makeTable(
            EntryModel(entries: versions + [TestEntry(key: [4], lsn: 2)]), path: "/2.sst", context: 2)
        let level = LevelIterator([left, right])
        for lsn: LSN in [1, 17, 40, 41] {
            try level.seek([3], lsn)
            #expect(level.current == TestEntry(key: [3], lsn: min(lsn, 40)))
        }
        try level.seek([3], 0)
        #expect(level.current == TestEntry(key: [4], lsn: 2))
    }
}
