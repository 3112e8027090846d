// Target sizes and scores of the levels; see CompactionPicker.swift for the rule.

import Glibc

/// What the levels should look like, and how far they are from it.
struct LevelShape {
    /// First level under L0 that is in use.
    let base: Int
    let targets: [UInt64]
    let scores: [Double]
    /// Where L0 is compacted to: nothing lies between.
    let levelZeroOutput: Int
    /// Bytes that must be rewritten to bring every score under 1, estimated.
    let debt: UInt64
    let levelZeroDepth: Int

    init(levels: [[TableFile]], policy: CompactionPolicy) {
        let sizes = levels.map { $0.reduce(UInt64(0)) { $0 + $1.byteCount } }
        let bottom = levels.count - 1
        let largest = max(sizes[1...].max() ?? 0, 1)
        var base = bottom
        var size = largest
        while size > policy.baseLevelByteCount && base > 1 {
            size /= policy.levelSizeRatio
            base -= 1
        }
        var targets = [UInt64](repeating: 1, count: levels.count)
        let growth = Double(largest) / Double(policy.baseLevelByteCount)
        for level in base...bottom {
            let share = bottom == base ? 0 : Double(level - base) / Double(bottom - base)
            targets[level] = max(UInt64(Double(policy.baseLevelByteCount) * pow(max(growth, 1), share)), 1)
        }
        targets[bottom] = max(targets[bottom], largest)
        self.base = base
        self.targets = targets
        levelZeroOutput = levels.indices.dropFirst().first { $0 >= base || !levels[$0].isEmpty } ?? bottom

        levelZeroDepth = CompactionPicker.depth(levels[0])
        var scores = [Double](repeating: 0, count: levels.count)
        scores[0] = max(
            Double(levelZeroDepth) / Double(policy.levelZeroDepth), Double(sizes[0]) / Double(policy.baseLevelByteCount))
        for level in 1..<bottom where sizes[level] > 0 { scores[level] = Double(sizes[level]) / Double(targets[level]) }
        self.scores = scores

        var debt = scores[0] >= 1 ? sizes[0] : 0
        for level in 1..<bottom where sizes[level] > targets[level] {
            debt += (sizes[level] - targets[level]) * (policy.levelSizeRatio / 2 + 1)
        }
        self.debt = debt
    }
}
