// The crash test and the test of the crash test. A failure prints its seed; `NEXA_TEST_SEED` runs one seed again.

import NexaTestKit
import Testing

@Suite struct CrashTests {
    /// Ten crashes a seed; 10,000 in all.
    private static let seedCount = TestScale.count(1000, small: UInt64(60))

    @Test func recoversAPrefixWithEveryAcknowledgedWrite() {
        let first = SeededGenerator.seed(default: 1)
        var total = CrashSimulation.Report()
        for seed in first..<first + Self.seedCount {
            total += CrashSimulation.run(seed: seed, crashCount: 10)
            if total.violations.count > 5 { break }
        }
        print(
            """
            crashes \(total.crashCount) (\(total.crashesInsideCallsCount) inside a call, \(total.crashesInRecoveryCount) in recovery), \
            batches \(total.batchCount), flushes \(total.flushCount), compactions \(total.compactionCount), \
            clean re-opens \(total.reopenCount), failed logs resumed \(total.resumeCount), unacknowledged batches forgotten \(total.forgottenBatchCount), \
            violations \(total.violations.count)
            """)
        #expect(total.violations.isEmpty)
    }

    @Test(arguments: PlantedBug.allCases) func noticesPlantedBug(_ bug: PlantedBug) {
        var crashes = 0
        for seed in UInt64(1)...500 {
            let report = CrashSimulation.run(seed: seed, crashCount: 10, bug: bug)
            crashes += report.crashCount
            if let violation = report.violations.first {
                print("\(bug.rawValue): noticed after \(crashes) crashes: \(violation.prefix(200))")
                return
            }
        }
        Issue.record("\(bug.rawValue): not noticed in \(crashes) crashes")
    }
}
