import NexaReplication
import NexaStorage
import Testing

/// One test per row of the table in HelloDecision.swift.
@Suite struct HelloDecisionTests {
    static let cluster = ClusterID(high: 1, low: 2)
    static let history = EpochHistory([
        .init(epoch: 1, firstLSN: 1), .init(epoch: 3, firstLSN: 50), .init(epoch: 4, firstLSN: 80),
    ])!
    static let follower = NodeID(name: "f")

    private func view(isLeader: Bool = true, oldest: LSN = 1, end: LSN = 100, via: [NodeID] = []) -> UpstreamView {
        UpstreamView(
            clusterID: Self.cluster, node: NodeID(name: "u"), epoch: 4, isLeader: isLeader, history: Self.history, end: end,
            oldestLSN: oldest, via: via)
    }

    /// A follower whose log has these leaderships and ends at `last`.
    private func hello(_ entries: [(Epoch, LSN)], last: LSN, chain: UInt64 = 9, committed: LSN = 0) -> Hello {
        let history = EpochHistory(entries.map { EpochStart(epoch: $0.0, firstLSN: $0.1) })!
        return Hello(
            clusterID: Self.cluster, node: Self.follower, name: "f", address: "f:1", promised: history.lastEpoch,
            history: history,
            last: history.position(at: last), chain: chain, durable: last, committed: committed, slot: "f", via: [Self.follower],
            windowByteCount: 0)
    }

    private func decide(_ view: UpstreamView, _ hello: Hello, chain: UInt64? = 9) -> HelloDecision {
        HelloDecision.decide(view, hello, chain: chain)
    }

    private func code(_ decision: HelloDecision) -> ReplicationStop.Code? {
        if case .refuse(let code, _, _) = decision { code } else { nil }
    }

    @Test func anotherClusterIsRefused() {
        var stranger = hello([(1, 1)], last: 40)
        stranger.clusterID = ClusterID(high: 1, low: 3)
        #expect(code(decide(view(), stranger)) == .badCluster)
        // No cluster, but data: where would it come from?
        stranger.clusterID = .none
        #expect(code(decide(view(), stranger)) == .badCluster)
    }

    @Test func anEmptyNodeOfNoClusterMayJoin() {
        var newcomer = hello([], last: 0)
        newcomer.clusterID = .none
        #expect(decide(view(), newcomer) == .stream(from: 1))
    }

    @Test func loopsAreRefused() {
        var looping = hello([(1, 1)], last: 40)
        looping.via = [Self.follower, NodeID(name: "u")]
        #expect(code(decide(view(), looping)) == .loop)
        #expect(code(decide(view(isLeader: false, via: [Self.follower]), hello([(1, 1)], last: 40))) == .loop)
        var own = hello([(1, 1)], last: 40)
        own.node = NodeID(name: "u")
        #expect(code(decide(view(), own)) == .loop)
    }

    @Test func chainsOfNodesHaveALimit() {
        let above = ["a", "b", "c", "d"].map { NodeID(name: $0) }
        #expect(code(decide(view(isLeader: false, via: above), hello([(1, 1)], last: 40))) == .tooDeep)
        #expect(code(decide(view(isLeader: false, via: Array(above.prefix(3))), hello([(1, 1)], last: 40))) == nil)
        // How many follow it is no matter, how long their chain is.
        var relay = hello([(1, 1)], last: 40)
        relay.via = [Self.follower] + (1...20).map { NodeID(name: "behind \($0)") }
        relay.depth = 2
        #expect(code(decide(view(), relay)) == nil)
        relay.depth = 5
        #expect(code(decide(view(), relay)) == .tooDeep)
    }

    @Test func aFormatThatTheFollowerCannotReadIsRefused() {
        var old = view()
        old.formatMin = 2
        old.formatMax = 3
        #expect(code(decide(old, hello([(1, 1)], last: 40))) == .format)
    }

    @Test func aFollowerThatPromisedMoreEndsTheLeadership() {
        var ahead = hello([(1, 1)], last: 40)
        ahead.promised = 5
        #expect(decide(view(), ahead) == .stepDown(5))
        #expect(decide(view(), hello([(1, 1), (6, 41)], last: 60)) == .stepDown(6))
    }

    @Test func withoutAKnownLeadershipItWaits() {
        var unsure = view(isLeader: false)
        unsure.epoch = 0
        guard case .wait = decide(unsure, hello([(1, 1)], last: 40)) else {
            Issue.record("does not wait")
            return
        }
    }

    @Test func aShorterLogOfTheSameHistoryIsStreamed() {
        #expect(decide(view(), hello([(1, 1)], last: 40)) == .stream(from: 41))
        #expect(decide(view(), hello([(1, 1), (3, 50)], last: 79)) == .stream(from: 80))
        #expect(decide(view(), hello([(1, 1), (3, 50), (4, 80)], last: 100)) == .stream(from: 101))
        #expect(decide(view(), hello([], last: 0)) == .stream(from: 1))
    }

    @Test func aDivergedTailIsCutToTheCommonPoint() {
        // Went on in epoch 1 where the others had begun 3; missed that 4 had begun; had a leadership 2 of its own.
        #expect(decide(view(), hello([(1, 1)], last: 60)) == .truncate(to: 49))
        #expect(decide(view(), hello([(1, 1), (3, 50)], last: 90)) == .truncate(to: 79))
        #expect(decide(view(), hello([(1, 1), (2, 30)], last: 40)) == .truncate(to: 29))
    }

    @Test func aCutBelowTheFollowersCommitPointIsRefusedWithAlarm() {
        let decision = decide(view(), hello([(1, 1)], last: 60, committed: 55))
        #expect(
            decision
                == .refuse(
                    .committedTruncation, reason: "common point 49 is below the follower's commit point 55",
                    alarm: .committedTruncationRefused(peer: Self.follower, commonPoint: 49, committed: 55)))
        // Exactly at the commit point nothing committed is lost.
        #expect(decide(view(), hello([(1, 1)], last: 60, committed: 49)) == .truncate(to: 49))
    }

    @Test func recordsThatTheLeaderDoesNotHaveOfItsOwnLeadershipAreAnAlarm() {
        let decision = decide(view(), hello([(1, 1), (3, 50), (4, 80)], last: 110))
        guard case .refuse(.aheadOfLeader, _, .followerAheadOfLeader(Self.follower, LogPosition(epoch: 4, lsn: 110))?) = decision
        else {
            Issue.record("\(decision)")
            return
        }
    }

    @Test func aChainedUpstreamThatIsBehindMakesNobodyCut() {
        for end in [LSN(60), 79, 90] {
            guard
                case .wait = decide(view(isLeader: false, end: end), hello([(1, 1), (3, 50), (4, 80)], last: 95, committed: 95))
            else {
                Issue.record("end \(end)")
                return
            }
        }
    }

    @Test func aLeaderWhoseFirstRecordIsNotOnDiskYetWaits() {
        guard case .wait = decide(view(end: 79), hello([(1, 1), (3, 50)], last: 79 + 5)) else {
            Issue.record("does not wait")
            return
        }
    }

    @Test func aChainThatDiffersMeansSnapshot() {
        #expect(decide(view(), hello([(1, 1)], last: 40), chain: 8) == .snapshot(.chain, commonPoint: 40))
        // Unknown is not different: the first batch will tell.
        #expect(decide(view(), hello([(1, 1)], last: 40), chain: nil) == .stream(from: 41))
    }

    @Test func aLogThatDoesNotReachBackMeansSnapshot() {
        #expect(decide(view(oldest: 42), hello([(1, 1)], last: 40)) == .snapshot(.retention, commonPoint: 40))
        #expect(decide(view(oldest: 41), hello([(1, 1)], last: 40)) == .stream(from: 41))
        #expect(decide(view(oldest: 60), hello([(1, 1)], last: 60)) == .snapshot(.retention, commonPoint: 49))
    }

    @Test func aSnapshotThatIsAskedForIsGiven() {
        var asking = hello([(1, 1)], last: 40)
        asking.want = .snapshot
        #expect(decide(view(), asking) == .snapshot(.requested, commonPoint: 40))
    }

    @Test func asksForTheChainAtTheCommonPointOnly() {
        #expect(HelloDecision.question(view(), hello([(1, 1)], last: 60)) == 49)
        #expect(HelloDecision.question(view(), hello([], last: 0)) == nil)
        #expect(HelloDecision.question(view(oldest: 60), hello([(1, 1)], last: 40)) == nil)
    }
}
