import NexaReplication
import NexaStorage
import NexaTestKit
import Testing

@Suite struct PositionTests {
    private func history(_ entries: (Epoch, LSN)...) -> EpochHistory {
        EpochHistory(entries.map { EpochStart(epoch: $0.0, firstLSN: $0.1) })!
    }

    @Test func historiesRise() {
        #expect(EpochHistory([.init(epoch: 2, firstLSN: 1), .init(epoch: 2, firstLSN: 5)]) == nil)
        #expect(EpochHistory([.init(epoch: 2, firstLSN: 5), .init(epoch: 3, firstLSN: 4)]) == nil)
        #expect(EpochHistory([.init(epoch: 0, firstLSN: 1)]) == nil)
        #expect(EpochHistory([.init(epoch: 1, firstLSN: 0)]) == nil)
    }

    @Test func aLeadershipThatWroteNothingLeavesNoTrace() {
        #expect(history((1, 1), (4, 1)) == history((4, 1)))
    }

    @Test func knowsTheEpochOfEveryRecord() {
        let history = history((1, 1), (3, 10))
        #expect((0...11).map { history.epoch(at: $0) } == [nil] + Array(repeating: 1, count: 9) + [3, 3])
    }

    /// Against logs written out record by record: the common point is where they stop being equal.
    @Test func commonPointIsWhereTheRecordsStopBeingEqual() {
        var random = SeededGenerator(seed: SeededGenerator.seed(default: 5))
        for round in 0..<2_000 {
            // A tree of leaderships: each begins somewhere in an earlier log and goes on from there.
            var logs: [[Epoch]] = [[]]
            for epoch in Epoch(1)...6 {
                let base = logs[random.below(logs.count)]
                let kept = base.prefix(random.below(base.count + 1))
                logs.append(kept + Array(repeating: epoch, count: 1 + random.below(5)))
            }
            let a = logs[random.below(logs.count)]
            let b = logs[random.below(logs.count)]
            func history(_ log: [Epoch]) -> EpochHistory {
                var history = EpochHistory()
                for (index, epoch) in log.enumerated() where epoch > history.lastEpoch {
                    history.begin(epoch, at: LSN(index) + 1)
                }
                return history
            }
            let equal = zip(a, b).prefix { $0 == $1 }.count
            let point = history(a).commonPoint(end: LSN(a.count), other: history(b), otherEnd: LSN(b.count))
            #expect(point == LSN(equal), "round \(round): \(a) \(b)")
        }
    }

    @Test func cuttingForgetsWhatBeganBehind() {
        var cut = history((1, 1), (3, 10), (4, 20))
        cut.truncate(to: 19)
        #expect(cut == history((1, 1), (3, 10)))
        cut.truncate(to: 9)
        #expect(cut == history((1, 1)))
    }

    @Test func epochsAreDealtInTurnAndNeverTwice() {
        let configuration = ClusterConfiguration(members: ["a", "b", "c"].map { Member(name: $0, address: "\($0):1") })
        var seen: Set<Epoch> = []
        for floor in Epoch(0)..<40 {
            let epochs = configuration.members.map { configuration.nextEpoch(after: floor, for: $0.id) }
            #expect(Set(epochs).count == 3 && epochs.allSatisfy { $0 > floor && $0 <= floor + 3 })
            for (index, epoch) in epochs.enumerated() { #expect(epoch % 3 == Epoch(index)) }
            seen.formUnion(epochs)
        }
        #expect(seen.count == 42)
    }

    @Test func quorumsAlwaysMeet() {
        for count in 1...7 {
            for quorum in 1...count {
                let members = (0..<count).map { Member(name: "n\($0)", address: "a") }
                let configuration = ClusterConfiguration(members: members, commitQuorum: quorum)
                #expect(configuration.commitQuorum + configuration.fenceQuorum == count + 1)
            }
        }
        // Two nodes, majority: the follower can be promoted alone.
        #expect(ClusterConfiguration(members: [Member(name: "a", address: ""), Member(name: "b", address: "")]).fenceQuorum == 1)
    }

    @Test func marksStayBoundedAndSorted() {
        var marks = LogMarks(lsn: 0, byteCount: 0, at: 0)
        var random = SeededGenerator(seed: 3)
        var (bytes, time) = (UInt64(0), Microseconds(0))
        var truth: [(LSN, UInt64)] = []
        for lsn in LSN(1)...20_000 {
            bytes += UInt64(random.below(200_000))
            time += UInt64(random.below(5_000))
            marks.append(lsn: lsn, byteCount: bytes, at: time)
            truth.append((lsn, bytes))
        }
        #expect(marks.marks.count <= LogMarks.markCountMax)
        #expect(
            zip(marks.marks, marks.marks.dropFirst()).allSatisfy {
                $0.lsn < $1.lsn && $0.byteCount <= $1.byteCount && $0.at <= $1.at
            })
        #expect(marks.byteCount(at: 20_000) == bytes && marks.passed(20_000) == nil)
        // Never more than what is true: lag is over-estimated, not hidden.
        for (lsn, count) in truth where lsn % 37 == 0 { #expect(marks.byteCount(at: lsn) <= count) }
    }
}
