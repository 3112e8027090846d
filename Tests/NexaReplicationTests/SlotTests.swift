import NexaReplication
import NexaStorage
import Testing

@Suite struct SlotTests {
    private func restarted(_ slots: [KeptSlot], oldest: LSN = 1, options: ReplicationOptions = ReplicationOptions()) -> Bench {
        var state = DurableState(
            clusterID: Bench.cluster, history: EpochHistory([.init(epoch: 1, firstLSN: 1)])!, end: 100, chain: 5,
            oldestLSN: oldest,
            byteCount: 10_000)
        state.slots = slots
        return Bench("a", of: ["a", "b", "c"], follow: "b:1", state: state, options: options)
    }

    private func slot(_ name: String, from lsn: LSN, isLost: Bool = false, away: Microseconds = 0) -> KeptSlot {
        KeptSlot(name: name, node: NodeID(name: name), restartLSN: lsn, isLost: isLost, away: away)
    }

    private func retained(_ effects: [NodeEffect]) -> LSN? {
        effects.compactMap { if case .retain(let lsn) = $0 { lsn } else { nil } }.last
    }

    @Test func keepsTheLogForWhoWasThereBeforeTheRestart() {
        #expect(retained(restarted([slot("b", from: 40), slot("c", from: 30, isLost: true)]).effects) == 40)
        #expect(retained(restarted([]).effects) == nil)
        // What is not there cannot be kept.
        #expect(retained(restarted([slot("b", from: 40)], oldest: 60).effects) == 60)
    }

    @Test func whatIsKeptComesBackAsItWas() {
        let slots = [slot("b", from: 40, away: 9), slot("c", from: 30, isLost: true, away: 7)]
        let bench = restarted(slots)
        #expect(bench.node.keptSlots(now: bench.now) == slots)
        #expect(bench.node.keptSlots(now: bench.now + 100).map(\.away) == [109, 107])
    }

    @Test func timeAwayAddsUpOverRestarts() {
        var options = ReplicationOptions()
        options.slotAgeMax = 10_000_000
        var bench = restarted([slot("b", from: 40, away: 9_000_000)], options: options)
        #expect(bench.tell(.tick, after: 500_000).alarms.isEmpty)
        let effects = bench.tell(.tick, after: 600_000)
        #expect(effects.alarms.count == 1)
        #expect(retained(effects) == .max)
        #expect(bench.node.keptSlots(now: bench.now).map(\.isLost) == [true])
    }

    @Test func aSlotThatKeepsTooMuchIsLost() {
        var options = ReplicationOptions()
        options.slotByteCountMax = 5_000
        var kept = slot("b", from: 40)
        kept.retainedByteCount = 6_000
        var bench = restarted([kept], options: options)
        #expect(bench.tell(.tick).alarms.count == 1)
        kept.retainedByteCount = 4_000
        bench = restarted([kept], options: options)
        #expect(bench.tell(.tick).alarms.isEmpty)
        #expect(bench.node.status().slots.map(\.safeByteCount) == [1_000])
    }

    @Test func aDroppedSlotIsNewsAndStaysAway() {
        var bench = restarted([slot("b", from: 40)])
        let before = bench.node.slotChangeCount
        #expect(retained(bench.tell(.slotAdmin(SlotAdmin(.drop, name: "b")))) == .max)
        #expect(bench.node.slotChangeCount > before)
        #expect(bench.node.keptSlots(now: bench.now).isEmpty)
    }

    /// A former leader, and a member that follows the new one.
    @Test func aNodeThatFollowsForgetsMembersButNobodyElse() {
        var options = ReplicationOptions()
        options.formerSlotAgeMax = 1_000_000
        var bench = restarted([slot("c", from: 40, away: 2_000_000), slot("x", from: 50, away: 2_000_000)], options: options)
        bench.tell(.tick, after: 1_000_000)
        #expect(bench.node.keptSlots(now: bench.now).map(\.name) == ["c", "x"], "it does not follow anybody yet")
        let (leader, session) = (NodeID(name: "b"), SessionID(ReplicaNode.ownSessionBit | 1))
        bench.tell(.upstreamConnected(session))
        bench.tell(
            .upstream(
                session,
                .welcome(
                    Welcome(
                        decision: .stream, clusterID: Bench.cluster, node: leader, epoch: 1, leader: leader, leaderAddress: "b:1",
                        history: EpochHistory([.init(epoch: 1, firstLSN: 1)])!, from: 101, end: 100))))
        bench.tell(.promisePersisted(Promise(epoch: 1, leader: leader)))
        #expect(retained(bench.tell(.tick, after: 500_000)) == 50)
        #expect(bench.node.keptSlots(now: bench.now).map(\.name) == ["x"])
    }
}
