import NexaClient
import Testing

/// Which nodes an operation may use.
struct ServerSelectionTests {
    private let threshold = Duration.milliseconds(15)
    private let leader = NodeView(role: .primary, latencyNanoseconds: 40_000_000)
    private let near = NodeView(role: .secondary, latencyNanoseconds: 1_000_000)
    private let alsoNear = NodeView(role: .secondary, latencyNanoseconds: 15_900_000)
    private let far = NodeView(role: .secondary, latencyNanoseconds: 90_000_000)
    private let candidate = NodeView(role: .other, latencyNanoseconds: 1_000_000)

    private func eligible(_ nodes: [NodeView], _ need: Need) -> [Int] {
        ServerSelection.eligible(nodes, for: need, threshold: threshold)
    }

    @Test func writesGoToTheLeaderHoweverFar() {
        #expect(eligible([near, leader, far], .write) == [1])
        #expect(eligible([near, far], .write).isEmpty)
    }

    @Test func preferencesChooseAmongRoles() {
        let all = [near, leader, far, candidate, alsoNear]
        #expect(eligible(all, .read(.primary)) == [1])
        #expect(eligible(all, .read(.primaryPreferred)) == [1])
        #expect(eligible(all, .read(.secondary)) == [0, 4])
        #expect(eligible(all, .read(.secondaryPreferred)) == [0, 4])
        #expect(eligible(all, .read(.nearest)).sorted() == [0, 4])
        #expect(eligible([near, candidate], .read(.primaryPreferred)) == [0])
        #expect(eligible([leader, candidate], .read(.secondaryPreferred)) == [0])
        #expect(eligible([leader], .read(.secondary)).isEmpty)
        #expect(eligible([candidate], .read(.nearest)).isEmpty)
    }

    @Test func anUnknownLatencyIsNoReasonAgainstANode() {
        #expect(eligible([near, NodeView(role: .secondary)], .read(.secondary)) == [0, 1])
    }

    @Test func ofTwoTheLessBusyIsTaken() {
        let nodes = (0..<4).map { NodeView(role: .secondary, inFlight: $0 == 2 ? 0 : 10) }
        var counts = [0, 0, 0, 0]
        for random in 0..<1200 { counts[ServerSelection.pick([0, 1, 2, 3], nodes, random: UInt64(random))!] += 1 }
        // In half of the pairs of four there is the idle one.
        #expect(counts[2] == 600)
        #expect(ServerSelection.pick([], nodes, random: 1) == nil)
        #expect(ServerSelection.pick([3], nodes, random: 1) == 3)
    }

    @Test func latencyIsSmoothed() {
        var average = LatencyAverage()
        average.add(nanoseconds: 100)
        #expect(average.nanoseconds == 100)
        average.add(nanoseconds: 200)
        #expect(average.nanoseconds == 120)
    }
}
