import NexaStorage
import NexaTestKit
import Testing

/// What a reader makes of a damaged table: every byte flipped, every truncation, bytes appended, blocks swapped, files mixed up.
/// "Silent" is a damage after which `open`, a full walk both ways and every look-up answer without an error, but differently.
@Suite struct TableDamageTests {
    private struct Counts {
        var refusedAtOpen = 0
        var refusedByRead = 0
        var foundByVerifyOnly = 0
        var harmless = 0
        var silent = 0

        func row(_ name: String) -> String {
            let columns = [
                refusedAtOpen + refusedByRead + foundByVerifyOnly + harmless + silent, refusedAtOpen, refusedByRead,
                foundByVerifyOnly, harmless, silent,
            ]
            return "| \(name) | " + columns.map(String.init).joined(separator: " | ") + " |"
        }
    }

    private let model: EntryModel
    private let good: [UInt8]
    private let info: TableInfo

    init() throws {
        var generator = SeededGenerator(seed: 0xDA3A)
        model = EntryModel.random(&generator, count: 60, keyCount: 40, rangeDeletes: 0.05)
        let fixture = TableFixture()
        info = try fixture.write(model)
        good = try fixture.fileSystem.contents(TableFixture.path)
    }

    /// What becomes of `bytes` in the place of the good table.
    private func judge(_ bytes: [UInt8], expecting: TableInfo?, into counts: inout Counts) throws {
        let fixture = TableFixture()
        try fixture.fileSystem.writeNew(TableFixture.path, bytes)
        let table: TableReader
        do { table = try fixture.open(expecting: expecting) } catch {
            try requireUsefulError(error)
            counts.refusedAtOpen += 1
            return
        }
        var answersDiffer = table.rangeTombstones.tombstones.count != model.tombstones.count
        var wasRefused = false
        do {
            let iterator = table.makeIterator()
            if try iterator.collect() != model.entries { answersDiffer = true }
            for entry in model.entries where try table.lookup(entry.key, at: entry.lsn) != model.lookup(entry.key, at: entry.lsn)
            { answersDiffer = true }
        } catch {
            try requireUsefulError(error)
            wasRefused = true
        }
        var wasFound = false
        do { try table.verify() } catch { wasFound = true }
        if wasRefused {
            counts.refusedByRead += 1
            #expect(wasFound)
        } else if answersDiffer {
            counts.silent += 1
        } else if wasFound {
            counts.foundByVerifyOnly += 1
        } else {
            counts.harmless += 1
        }
    }

    private func requireUsefulError(_ error: any Error) throws {
        switch try #require(error as? StorageError) {
        case .corruption(let corruption):
            #expect(corruption.file == TableFixture.path)
            #expect(!corruption.reason.isEmpty && !corruption.remedy.isEmpty)
        case .unsupportedFormat(let file, _):
            #expect(file == TableFixture.path)
        default:
            Issue.record("damage is reported as \(error)")
        }
    }

    @Test func noDamageIsSilent() throws {
        var flips = Counts()
        for index in TestScale.sample(good.indices) {
            var bytes = good
            bytes[index] ^= UInt8(1 << (index % 8))
            try judge(bytes, expecting: nil, into: &flips)
        }
        var cuts = Counts()
        for count in TestScale.sample(0..<good.count) { try judge(Array(good[..<count]), expecting: nil, into: &cuts) }
        var longer = Counts()
        for count in [1, 16, 128, 4096] { try judge(good + [UInt8](repeating: 0, count: count), expecting: nil, into: &longer) }
        try judge(good + good.suffix(128), expecting: nil, into: &longer)
        var zeroed = Counts()
        for start in stride(from: 0, to: good.count, by: 64) {
            var bytes = good
            for index in start..<min(start + 512, good.count) { bytes[index] = 0 }
            try judge(bytes, expecting: nil, into: &zeroed)
        }
        let swapped = try swaps()
        var mixed = Counts()
        for (bytes, expected) in try otherTables() { try judge(bytes, expecting: expected, into: &mixed) }

        print(
            """
            table of \(good.count) bytes, \(model.entries.count) entries, \(model.tombstones.count) range tombstones
            | damage | cases | refused at open | refused by the read | found by verify | harmless | silent |
            |---|---|---|---|---|---|---|
            \(flips.row("one bit of every byte"))
            \(cuts.row("cut at every length"))
            \(longer.row("bytes appended"))
            \(zeroed.row("512 bytes zeroed, every 64"))
            \(swapped.row("two blocks swapped"))
            \(mixed.row("another table in its place"))
            """)
        for counts in [flips, cuts, longer, zeroed, swapped, mixed] {
            #expect(counts.silent == 0)
            #expect(counts.harmless == 0)
        }
    }

    /// A table whose blocks all have the same length, two of them exchanged: whole, valid blocks in the wrong place.
    private func swaps() throws -> Counts {
        var even = EntryModel()
        for index in 0..<400 {
            even.entries.append(
                TestEntry(key: Array("k\(1000 + index)".utf8), lsn: 7, value: [UInt8](repeating: UInt8(index % 251), count: 20)))
        }
        var options = TableFixture.smallBlocks
        options.compresses = false
        let fixture = TableFixture()
        try fixture.write(even, options: options)
        let bytes = try fixture.fileSystem.contents(TableFixture.path)
        let length = try #require(
            (200..<1000).first {
                bytes.count > 3 * $0 && bytes[$0 - 16] == 1 && bytes[2 * $0 - 16] == 1 && bytes[3 * $0 - 16] == 1
            })
        var counts = Counts()
        let suite = try TableDamageTests(model: even, good: bytes, info: fixture.open().info)
        for (first, second) in [(0, 1), (0, 2), (1, 2)] {
            var swapped = bytes
            for index in 0..<length { swapped.swapAt(first * length + index, second * length + index) }
            try suite.judge(swapped, expecting: nil, into: &counts)
        }
        return counts
    }

    private init(model: EntryModel, good: [UInt8], info: TableInfo) {
        self.model = model
        self.good = good
        self.info = info
    }

    /// Whole, valid tables that are not the one of the manifest: another context, an older content.
    private func otherTables() throws -> [([UInt8], TableInfo)] {
        var result: [([UInt8], TableInfo)] = []
        for (context, dropped) in [(UInt64(5), 0), (TableFixture.fileContext, 1)] {
            let fixture = TableFixture()
            try fixture.write(
                EntryModel(entries: Array(model.entries.dropLast(dropped)), tombstones: model.tombstones), context: context)
            result.append((try fixture.fileSystem.contents(TableFixture.path), info))
        }
        return result
    }
}
