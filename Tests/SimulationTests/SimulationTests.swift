// The replication core in the simulator, and the tests of that test. A failing seed prints itself and the end of its story;
// NEXA_TEST_SEED runs from one seed on, NEXA_SIMULATION_SEEDS says how many, NEXA_SIMULATION_LINES how much of a story is told.

import Glibc
import NexaReplication
import NexaTestKit
import Testing

@Suite struct SimulationTests {
    /// 10,000 seeds; debug builds do a fiftieth, `make soak` a hundred times as many.
    private static var seedCount: UInt64 {
        if let text = getenv("NEXA_SIMULATION_SEEDS"), let count = UInt64(String(cString: text)) { return count }
        #if DEBUG
            return 200
        #else
            return 10_000
        #endif
    }

    /// Seeds are independent: two tasks share them, as the machine has two cores.
    @Test func keepsItsPromisesUnderEverySeed() async {
        let first = SeededGenerator.seed(default: 1)
        let count = Self.seedCount
        let total = await withTaskGroup(of: ClusterSimulation.Report.self) { group in
            for lane in UInt64(0)..<2 {
                group.addTask {
                    var report = ClusterSimulation.Report()
                    for seed in stride(from: first + lane, to: first + count, by: 2) {
                        report += ClusterSimulation.run(seed: seed)
                        if !report.violations.isEmpty { break }
                    }
                    return report
                }
            }
            return await group.reduce(into: ClusterSimulation.Report()) { $0 += $1 }
        }
        print(
            """
            seeds \(total.seedCount), steps \(total.stepCount), writes \(total.writeCount) (\(total.acknowledgedCount) acknowledged, \
            \(total.unknownCount) unknown), reads \(total.readCount), committed \(total.committedCount), crashes \(total.crashCount), \
            promotions \(total.promotionCount), switchovers \(total.switchoverCount), cuts \(total.truncationCount), snapshots \
            \(total.snapshotCount), tokens of lost branches \(total.lostTokenCount), forced \(total.forcedCount) (\(total.burntCount) committed \
            records lost with their disks), violations \(total.violations.count)
            """)
        for violation in total.violations.prefix(1) {
            print(violation)
            if let seed = violation.split(separator: " ").dropFirst().first.flatMap({ UInt64($0.dropLast()) }) {
                let lineCount = getenv("NEXA_SIMULATION_LINES").flatMap { Int(String(cString: $0)) } ?? 120
                print(ClusterSimulation.story(seed: seed, lineCount: lineCount))
            }
        }
        #expect(total.violations.isEmpty, "\(total.violations.prefix(3))")
        // A simulator in which nothing happens proves nothing.
        if total.violations.isEmpty && total.seedCount >= 100 {
            #expect(total.committedCount > total.seedCount * 20)
            #expect(total.crashCount > total.seedCount && total.promotionCount > total.seedCount)
            #expect(total.seedCount < 1_000 || total.forcedCount > 0 && total.burntCount > 0)
            #expect(total.truncationCount > 0 && total.snapshotCount > 0 && total.lostTokenCount > 0)
        }
    }

    /// The same seed is the same story, step by step.
    @Test func aSeedPlaysTheSameGameTwice() {
        let first = ClusterSimulation.story(seed: 42, lineCount: 2_000)
        #expect(first == ClusterSimulation.story(seed: 42, lineCount: 2_000))
        #expect(first != ClusterSimulation.story(seed: 43, lineCount: 2_000))
    }

    @Test(arguments: PlantedReplicationBug.allCases) func noticesPlantedBug(_ bug: PlantedReplicationBug) {
        var seeds = 0
        for seed in UInt64(1)...4_000 {
            seeds += 1
            let report = ClusterSimulation.run(seed: seed, rules: bug.rules)
            if let violation = report.violations.first {
                print("\(bug.rawValue): noticed after \(seeds) seeds: \(violation.prefix(200))")
                return
            }
        }
        Issue.record("\(bug.rawValue): not noticed in \(seeds) seeds")
    }
}
