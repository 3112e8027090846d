// Which tables to compact next: a pure function of the levels, tested by text fixtures.
//
// Sizes. The last level is as large as the data is; the levels above shrink towards the base level, the first one in use,
// which holds `baseLevelByteCount`. The number of levels follows from the data: a small store goes from L0 straight to L6.
//
//     L0 ──────────────────────────► base (64 MiB) ──► x m ──► ... ──► L6
//                                    m = (L6 / base) ^ (1 / levels between), at most about `levelSizeRatio`
//
// Scores. L0: depth of overlap over its trigger, or its bytes over those of the base level. Others: bytes over target. The
// highest score from 1 on wins. When none does, tables with range tombstones, or with mostly deletions, go down one level
// (or are rewritten at the bottom once no snapshot needs what they hide), so deleted data leaves the disk without new writes.
//
// Invariants of a pick: with an L0 table go all L0 tables that overlap it, transitively; with any table go all tables of the
// output level that overlap the inputs; no level between input and output holds anything.

/// What the picker may be told.
package struct CompactionPolicy: Sendable {
    package var levelZeroDepth = 4
    package var baseLevelByteCount: UInt64 = 64 << 20
    package var levelSizeRatio: UInt64 = 10
    package var tableByteCount: UInt64 = 32 << 20

    package init() {}

    init(_ options: EngineOptions) {
        levelZeroDepth = options.levelZeroCompactionDepth
        baseLevelByteCount = UInt64(options.baseLevelByteCount)
        levelSizeRatio = UInt64(options.levelSizeRatio)
        tableByteCount = UInt64(options.tableByteCount)
    }
}

/// A compaction to do.
package struct CompactionPick: Equatable, Sendable {
    package enum Reason: String, Sendable {
        case levelZero, size, deletions, bottom
    }

    package let reason: Reason
    package let inputLevel: Int
    package let inputs: [TableFile]
    package let outputLevel: Int
    /// Tables of the output level that overlap the inputs.
    package let overlapping: [TableFile]
    /// The one input goes down as it is.
    package let isMove: Bool
}

/// Picks compactions.
package enum CompactionPicker {
    /// The next compaction; nil when the levels are in shape. `levels[0]` is newest first, the others ascend. `oldestBoundary`
    /// is the LSN at and below which nothing but the newest version of a key can be seen by anyone.
    package static func pick(
        levels: [[TableFile]], oldestBoundary: LSN, policy: CompactionPolicy
    ) -> CompactionPick? {
        let shape = LevelShape(levels: levels, policy: policy)
        let best = shape.scores.indices.max { shape.scores[$0] < shape.scores[$1] }!
        if shape.scores[best] >= 1 {
            return best == 0
                ? pickLevelZero(levels, shape, policy, reason: .levelZero)
                : pickLevel(best, levels, policy)
        }
        return pickDeletions(levels, shape, oldestBoundary: oldestBoundary, policy)
    }

    /// The largest number of L0 tables that share a key.
    package static func depth(_ tables: [TableFile]) -> Int {
        var edges: [(key: [UInt8], isEnd: Bool)] = []
        for table in tables {
            edges.append((table.smallestKey, false))
            edges.append((table.largestKey, true))
        }
        edges.sort {
            let order = compareBytes($0.key, $1.key)
            return order != 0 ? order < 0 : !$0.isEnd && $1.isEnd
        }
        var current = 0
        var deepest = 0
        for edge in edges {
            current += edge.isEnd ? -1 : 1
            deepest = max(deepest, current)
        }
        return deepest
    }

    // MARK: - By size

    private static func pickLevelZero(
        _ levels: [[TableFile]], _ shape: LevelShape, _ policy: CompactionPolicy, reason: CompactionPick.Reason,
        seed: TableFile? = nil
    ) -> CompactionPick {
        let seed = seed ?? levels[0][levels[0].count - 1]
        let inputs = closure(of: seed, in: levels[0])
        return makePick(reason, 0, inputs, shape.levelZeroOutput, levels, policy)
    }

    /// The table whose move costs the least rewriting below for what it takes off the level.
    private static func pickLevel(
        _ level: Int, _ levels: [[TableFile]], _ policy: CompactionPolicy
    ) -> CompactionPick {
        var best = levels[level][0]
        var bestCost = Double.infinity
        for table in levels[level] {
            let below = overlap(of: [table], in: levels[level + 1]).reduce(0) { $0 + $1.byteCount }
            let freed = Double(table.byteCount) * (1 + Double(table.tombstoneCount) / Double(max(table.entryCount, 1)))
            let cost = Double(below) / freed
            if cost < bestCost {
                best = table
                bestCost = cost
            }
        }
        return makePick(.size, level, [best], level + 1, levels, policy)
    }

    // MARK: - Deletions

    private static func pickDeletions(
        _ levels: [[TableFile]], _ shape: LevelShape, oldestBoundary: LSN, _ policy: CompactionPolicy
    ) -> CompactionPick? {
        for level in levels.indices {
            for table in levels[level] where table.largestLSN <= oldestBoundary {
                guard table.rangeTombstoneCount > 0 || (level > 0 && table.isMostlyDeletions) else { continue }
                if level == 0 {
                    return pickLevelZero(levels, shape, policy, reason: .deletions, seed: table)
                }
                let hidesBelow = levels[(level + 1)...].contains { !overlap(of: [table], in: $0).isEmpty }
                return hidesBelow
                    ? makePick(.deletions, level, [table], level + 1, levels, policy)
                    : CompactionPick(
                        reason: .bottom, inputLevel: level, inputs: [table], outputLevel: level, overlapping: [], isMove: false)
            }
        }
        return nil
    }

    // MARK: - Overlap

    private static func makePick(
        _ reason: CompactionPick.Reason, _ inputLevel: Int, _ inputs: [TableFile], _ outputLevel: Int,
        _ levels: [[TableFile]], _ policy: CompactionPolicy
    ) -> CompactionPick {
        let overlapping = overlap(of: inputs, in: levels[outputLevel])
        var isMove = inputs.count == 1 && overlapping.isEmpty && reason != .deletions
        if isMove && outputLevel + 1 < levels.count {
            let under = overlap(of: inputs, in: levels[outputLevel + 1]).reduce(0) { $0 + $1.byteCount }
            isMove = under <= 10 * policy.tableByteCount
        }
        return CompactionPick(
            reason: reason, inputLevel: inputLevel, inputs: inputs, outputLevel: outputLevel, overlapping: overlapping,
            isMove: isMove)
    }

    /// Every table of L0 that overlaps `seed`, directly or through others, newest first.
    private static func closure(of seed: TableFile, in tables: [TableFile]) -> [TableFile] {
        var smallest = seed.smallestKey
        var largest = seed.largestKey
        var chosen: Set<UInt64> = [seed.number]
        var grows = true
        while grows {
            grows = false
            for table in tables where !chosen.contains(table.number) && table.overlaps(smallest, largest) {
                chosen.insert(table.number)
                if compareBytes(table.smallestKey, smallest) < 0 { smallest = table.smallestKey }
                if compareBytes(table.largestKey, largest) > 0 { largest = table.largestKey }
                grows = true
            }
        }
        return tables.filter { chosen.contains($0.number) }
    }

    static func overlap(of inputs: [TableFile], in tables: [TableFile]) -> [TableFile] {
        guard let first = inputs.first else { return [] }
        var smallest = first.smallestKey
        var largest = first.largestKey
        for table in inputs.dropFirst() {
            if compareBytes(table.smallestKey, smallest) < 0 { smallest = table.smallestKey }
            if compareBytes(table.largestKey, largest) > 0 { largest = table.largestKey }
        }
        return tables.filter { $0.overlaps(smallest, largest) }
    }
}

extension TableFile {
    func overlaps(_ smallest: [UInt8], _ largest: [UInt8]) -> Bool {
        compareBytes(smallestKey, largest) <= 0 && compareBytes(largestKey, smallest) >= 0
    }

    var isMostlyDeletions: Bool { tombstoneCount > 0 && tombstoneCount * 2 >= entryCount }
}
