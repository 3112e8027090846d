// The rules that keep acknowledged data. All of them are always on; the simulator turns off one at a time to prove that it would notice
// (Tests/SimulationTests/PlantedBugTests). Nothing else may ever pass anything but `.all`.

/// Rules that a planted bug leaves out.
package struct SafetyRules: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A follower acknowledges what is on its disk, not what it was sent.
    package static let acknowledgesOnlyDurable = SafetyRules(rawValue: 1)
    /// Positions are compared by epoch first.
    package static let comparesEpochs = SafetyRules(rawValue: 2)
    /// Records of earlier epochs are committed only together with the own EPOCH_START.
    package static let commitsFromEpochStart = SafetyRules(rawValue: 4)
    /// A batch continues the log exactly.
    package static let checksContinuity = SafetyRules(rawValue: 8)
    /// A leader opens after a fence quorum has promised.
    package static let fencesBeforePromotion = SafetyRules(rawValue: 16)
    /// Only what is on the own disk is shipped.
    package static let shipsOnlyDurable = SafetyRules(rawValue: 32)

    /// An empty disk makes no leader and commits nothing.
    package static let countsNoNewcomers = SafetyRules(rawValue: 64)
    /// What is acknowledged was reached in the leadership that took the write.
    package static let acknowledgesWithinLeadership = SafetyRules(rawValue: 128)

    package static let all = SafetyRules(rawValue: 255)
}
