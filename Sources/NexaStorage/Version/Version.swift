// Which tables make up the store at one moment. Immutable; an edit makes a new one that shares the handles.
//
//     L0   newest first, may overlap: each flush adds one
//     L1+  ascending, disjoint but for a range tombstone whose exclusive end is the next table's first key
//
// Invariant: for any key, everything in a level is newer than everything in the levels under it.

/// An immutable set of tables.
final class Version: Sendable {
    static let levelCount = 7
    /// Tables by level.
    let levels: [[TableHandle]]
    /// The same, for point look-ups.
    let bounds: TableBounds

    init(levels: [[TableHandle]]) {
        precondition(levels.count == Self.levelCount, "a version has \(Self.levelCount) levels")
        self.levels = levels
        bounds = TableBounds(levels)
    }

    static let empty = Version(levels: Array(repeating: [], count: levelCount))

    /// The version that an edit leads to. A table that moves to another level keeps its handle, so it stays open.
    func applying(added: [(level: Int, table: TableHandle)], removed: [VersionEdit.RemovedFile]) -> Version {
        var next = levels
        for (level, files) in Dictionary(grouping: removed, by: \.level) {
            let numbers = Set(files.map(\.number))
            next[level].removeAll { numbers.contains($0.file.number) }
        }
        for (level, table) in added { next[level].append(table) }
        for level in Set(added.map(\.level)) { next[level] = Self.ordered(next[level], level: level) }
        return Version(levels: next)
    }

    /// The order in which a level is read.
    static func ordered(_ tables: [TableHandle], level: Int) -> [TableHandle] {
        if level == 0 {
            return tables.sorted {
                ($0.file.largestLSN, $0.file.number) > ($1.file.largestLSN, $1.file.number)
            }
        }
        return tables.sorted { compareBytes($0.file.smallestKey, $1.file.smallestKey) < 0 }
    }

    /// Index of the first table of a level (not L0) whose largest key is not below `key`.
    @inline(__always)
    static func firstIndex(in tables: [TableHandle], notBelow key: UnsafeRawBufferPointer) -> Int {
        var low = 0
        var high = tables.count
        while low < high {
            let middle = (low + high) / 2
            if compareBytes(key, tables[middle].file.largestKey) > 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Tables of a level that may hold keys in `lower ..< upper` (nil: no bound).
    func tables(inLevel level: Int, lowerBound: [UInt8]?, upperBound: [UInt8]?) -> [TableHandle] {
        levels[level].filter { table in
            if let lowerBound, compareBytes(table.file.largestKey, lowerBound) < 0 { return false }
            if let upperBound, compareBytes(table.file.smallestKey, upperBound) >= 0 { return false }
            return true
        }
    }

    var allTables: [TableHandle] { levels.flatMap { $0 } }
}
