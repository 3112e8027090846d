import NexaReplication

/// A safety rule left out, to see whether the simulator notices.
package enum PlantedReplicationBug: String, CaseIterable, Sendable {
    case acknowledgesBeforeSync = "acknowledge before fsync"
    case comparesLSNOnly = "order by LSN only"
    case commitsOldEpochs = "no EPOCH_START rule"
    case acceptsSkippedRecord = "skipped record accepted"
    case promotesUnfenced = "promote without fence"
    case shipsBeforeSync = "ship before sync"
    case countsNewcomers = "newcomers make leaders"
    case acknowledgesForOthers = "another leadership's position acknowledges"

    /// All rules but the one.
    package var rules: SafetyRules {
        switch self {
        case .acknowledgesBeforeSync: SafetyRules.all.subtracting(.acknowledgesOnlyDurable)
        case .comparesLSNOnly: SafetyRules.all.subtracting(.comparesEpochs)
        case .commitsOldEpochs: SafetyRules.all.subtracting(.commitsFromEpochStart)
        case .acceptsSkippedRecord: SafetyRules.all.subtracting(.checksContinuity)
        case .promotesUnfenced: SafetyRules.all.subtracting(.fencesBeforePromotion)
        case .shipsBeforeSync: SafetyRules.all.subtracting(.shipsOnlyDurable)
        case .countsNewcomers: SafetyRules.all.subtracting(.countsNoNewcomers)
        case .acknowledgesForOthers: SafetyRules.all.subtracting(.acknowledgesWithinLeadership)
        }
    }
}
