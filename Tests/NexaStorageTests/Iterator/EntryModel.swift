import NexaStorage
import NexaTestKit

/// One entry as a test writes it.
struct TestEntry: Equatable, CustomStringConvertible {
    var key: [UInt8]
    var lsn: LSN
    var kind: OpKind = .put
    var value: [UInt8] = []

    var description: String {
        "\(String(decoding: key, as: UTF8.self))@\(lsn)\(kind == .put ? "=\(String(decoding: value.prefix(12), as: UTF8.self))" : " deleted")"
    }

    /// Internal order.
    static func precedes(_ left: TestEntry, _ right: TestEntry) -> Bool {
        let order = left.key.withUnsafeBytes { left in right.key.withUnsafeBytes { compareKeys(left, $0) } }
        return order == 0 ? left.lsn > right.lsn : order < 0
    }
}

extension [UInt8] {
    func isBelow(_ other: [UInt8]) -> Bool {
        withUnsafeBytes { left in other.withUnsafeBytes { compareKeys(left, $0) < 0 } }
    }
}

/// The slow, obvious version of everything that iterators and look-ups do.
struct EntryModel {
    /// In internal order, unless a test says otherwise.
    var entries: [TestEntry] = []
    var tombstones: [RangeTombstone] = []

    var sorted: [TestEntry] { entries.sorted(by: TestEntry.precedes) }

    func cover(_ key: [UInt8], at lsn: LSN) -> LSN {
        var newest: LSN = 0
        for tombstone in tombstones where tombstone.lsn <= lsn && tombstone.lsn > newest {
            if !key.isBelow(tombstone.start), key.isBelow(tombstone.end) { newest = tombstone.lsn }
        }
        return newest
    }

    /// What a reader at `lsn` sees, in key order.
    func visible(at lsn: LSN, from lower: [UInt8]? = nil, to upper: [UInt8]? = nil) -> [TestEntry] {
        var result: [TestEntry] = []
        var decided: [UInt8]?
        for entry in entries where entry.lsn <= lsn && entry.key != decided {
            decided = entry.key
            if let lower, entry.key.isBelow(lower) { continue }
            if let upper, !entry.key.isBelow(upper) { continue }
            if entry.kind == .put, entry.lsn >= cover(entry.key, at: lsn) { result.append(entry) }
        }
        return result
    }

    /// Random entries over few keys, so that versions, deletes and range deletes meet. Every LSN is used once.
    static func random(
        _ generator: inout SeededGenerator, count: Int, keyCount: Int, rangeDeletes: Double = 0, firstLSN: LSN = 1
    ) -> EntryModel {
        var model = EntryModel()
        for index in 0..<count {
            let lsn = firstLSN + LSN(index)
            if generator.chance(rangeDeletes) {
                let bounds = [randomKey(&generator, keyCount), randomKey(&generator, keyCount)]
                    .sorted { $0.isBelow($1) }
                if bounds[0] != bounds[1] { model.tombstones.append(RangeTombstone(start: bounds[0], end: bounds[1], lsn: lsn)) }
            } else if generator.chance(0.2) {
                model.entries.append(TestEntry(key: randomKey(&generator, keyCount), lsn: lsn, kind: .delete))
            } else {
                let value = generator.bytes(generator.chance(0.02) ? generator.below(3000) : generator.below(40))
                model.entries.append(TestEntry(key: randomKey(&generator, keyCount), lsn: lsn, value: value))
            }
        }
        model.entries.sort(by: TestEntry.precedes)
        return model
    }

    /// One of `keyCount` keys of uneven lengths with long common beginnings, the empty one among them.
    static func randomKey(_ generator: inout SeededGenerator, _ keyCount: Int) -> [UInt8] {
        let number = generator.below(keyCount)
        if number == 0 { return [] }
        if number % 7 == 0 { return [0, 0, 0, UInt8(number % 3)] + Array("k\(number)".utf8) }
        if number % 11 == 0 { return Array("key".utf8) + [UInt8](repeating: 0xFF, count: number % 5) }
        return Array("key\(String(number * 7919, radix: 5))".utf8)
    }
}

extension InternalIterator {
    var current: TestEntry { TestEntry(key: Array(key), lsn: lsn, kind: kind, value: kind == .put ? Array(value) : []) }

    func collect() throws -> [TestEntry] {
        var result: [TestEntry] = []
        try seekToFirst()
        while isValid {
            result.append(current)
            try next()
        }
        return result
    }

    func seek(_ key: [UInt8], _ lsn: LSN) throws {
        try key.withUnsafeBytes { try seek($0, lsn) }
    }
}

extension UserIterator {
    var current: TestEntry { TestEntry(key: Array(key), lsn: lsn, value: Array(value)) }

    func seek(to key: [UInt8]) throws { try key.withUnsafeBytes { try seek(to: $0) } }
}

extension MemTable {
    func insert(_ entry: TestEntry) -> Bool {
        entry.key.withUnsafeBytes { key in
            entry.value.withUnsafeBytes { value in insert(kind: entry.kind, key: key, value: value, lsn: entry.lsn) }
        }
    }

    func insert(_ tombstone: RangeTombstone) -> Bool {
        tombstone.start.withUnsafeBytes { start in
            tombstone.end.withUnsafeBytes { end in insertRangeTombstone(start: start, end: end, lsn: tombstone.lsn) }
        }
    }

    /// Everything of a model.
    static func holding(_ model: EntryModel, capacity: Int = 16 << 20) throws -> MemTable {
        let table = try MemTable(capacity: capacity, id: 1)
        for entry in model.entries { precondition(table.insert(entry)) }
        for tombstone in model.tombstones { precondition(table.insert(tombstone)) }
        return table
    }
}
