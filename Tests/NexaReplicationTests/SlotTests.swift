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

    /// It is given a copy that was made before it came.
    @Test func theLogBehindACopyIsKeptForWhoTakesIt() {
        var bench = Bench.leader(of: ["a", "b"])
        bench.tell(.appended(end: 50, byteCount: 5_000))
        bench.tell(.durable(50, generation: 0))
        let id = NodeID(name: "b")
        func hello() -> NodeEvent {
            .downstream(
                SessionID(1),
                .hello(
                    Hello(
                        clusterID: Bench.cluster, node: id, name: "b", address: "b:1", promised: 0, history: EpochHistory(),
                        last: LogPosition(epoch: 0, lsn: 0), chain: 0, durable: 0, committed: 0, slot: "b", want: .snapshot,
                        via: [id], windowByteCount: 0)))
        }
        #expect(retained(bench.tell(hello())) == 51)
        #expect(retained(bench.tell(.snapshotOffered(SessionID(1), through: 30))) == 31)
        bench.tell(.closed(SessionID(1)))
        #expect(bench.node.keptSlots(now: bench.now).map(\.restartLSN) == [31])
        // Nobody is there to whom it could be offered.
        #expect(bench.tell(.snapshotOffered(SessionID(1), through: 20)).isEmpty)
    }

    @Test func whoPreparesAndSaysNothingIsLeftWhenItsCopyWouldBe() {
        var options = ReplicationOptions()
        options.preparingSilenceMax = 60_000_000
        var bench = Bench.leader(of: ["a", "b"], options: options)
        let id = NodeID(name: "b")
        bench.tell(
            .downstream(
                SessionID(1),
                .hello(
                    Hello(
                        clusterID: Bench.cluster, node: id, name: "b", address: "b:1", promised: 0, history: EpochHistory(),
                        last: LogPosition(epoch: 0, lsn: 0), chain: 0, durable: 0, committed: 0, slot: "b", want: .snapshot,
                        via: [id], windowByteCount: 0))))
        #expect(bench.tell(.tick, after: 60_000_000).stops.isEmpty)
        #expect(bench.tell(.tick, after: 1).stops == [.silent])
    }

    @Test func othersLeaveRoomForMembers() {
        var options = ReplicationOptions()
        (options.downstreamCountMax, options.slotCountMax) = (5, 6)
        var bench = Bench.leader(of: ["a", "b", "c"], options: options)
        func refusals(_ name: String, _ session: UInt64) -> [ReplicationStop.Code] {
            bench.attach(name, session: session)
            return bench.effects.stops
        }
        #expect(refusals("x", 1).isEmpty && refusals("y", 2).isEmpty)
        #expect(refusals("z", 3) == [.tooMany])
        #expect(refusals("b", 4).isEmpty && refusals("c", 5).isEmpty)
        // Slots outlive their followers.
        for session in [1, 2] as [UInt64] { bench.tell(.closed(SessionID(session))) }
        #expect(bench.node.status().slots.count == 4)
        bench.tell(.closed(SessionID(4)))
        #expect(refusals("u", 6) == [.tooMany])
        #expect(refusals("b", 7).isEmpty)
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
