import NexaReplication
import NexaStorage
import Testing

@Suite struct LeaderTests {
    private func write(_ bench: inout Bench, upTo end: LSN) {
        bench.tell(.appended(end: end, byteCount: end * 100))
        bench.tell(.durable(end, generation: 0))
    }

    @Test func aNodeAloneLeadsAtOnceAndCommitsByItself() {
        var bench = Bench.leader(of: ["a"])
        #expect(bench.node.role == .leader && bench.effects.gates == [.open(1)] && bench.effects.committed == 1)
        write(&bench, upTo: 5)
        #expect(bench.node.log.committed == 5)
    }

    @Test func writesOpenOnlyWhenTheFirstRecordIsOnDisk() {
        var bench = Bench("a", of: ["a"])
        bench.tell(.coordination(.acquired(1)))
        #expect(
            bench.tell(.promisePersisted(Promise(epoch: 1, leader: NodeID(name: "a")))).contains {
                if case .appendEpochStart(1) = $0 { true } else { false }
            })
        #expect(bench.tell(.epochStartAppended(1, lsn: 1, chain: 11)).gates.isEmpty)
        #expect(bench.tell(.durable(1, generation: 0)).gates == [.open(1)])
    }

    @Test func looksAtTheClockHoweverMuchNewsThereIs() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        bench.attach("b", session: 1)
        bench.attach("c", session: 2)
        let begin = bench.now
        var ticks = 0
        var lost: [ReplicationStop.Code] = []
        // The log moves and one follower answers every 10 ms; the other one says nothing any more.
        for lsn in 2...1_000 as ClosedRange<LSN> {
            bench.tell(.durable(lsn, generation: 0), after: 10_000)
            bench.acknowledge(1, durable: lsn)
            if bench.now + 1 >= bench.node.nextDeadline {
                ticks += 1
                lost += bench.tell(.tick).stops
            }
        }
        #expect(bench.now - begin > 9_000_000)
        #expect(ticks >= 15 && ticks <= 40)
        #expect(lost == [.silent])
    }

    @Test func commitsWhatAQuorumHasOnDisk() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        bench.attach("b", session: 1)
        bench.attach("c", session: 2)
        write(&bench, upTo: 10)
        #expect(bench.acknowledge(1, durable: 7).committed == 7)
        #expect(bench.acknowledge(2, durable: 5).committed == nil)
        #expect(bench.acknowledge(2, durable: 9).committed == 9)
        #expect(bench.node.log.committed == 9)
    }

    @Test func neverCommitsBeyondItsOwnDisk() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        bench.attach("b", session: 1)
        write(&bench, upTo: 4)
        bench.tell(.appended(end: 9, byteCount: 900))
        // Nobody can have what was not shipped.
        #expect(
            bench.acknowledge(1, durable: 9).alarms == [.followerAheadOfLeader(NodeID(name: "b"), LogPosition(epoch: 1, lsn: 9))])
        #expect(bench.node.log.committed == 0)
    }

    @Test func recordsOfEarlierEpochsAreCommittedWithTheOwnFirstRecordOnly() {
        let history = EpochHistory([.init(epoch: 1, firstLSN: 1)])!
        let state = DurableState(clusterID: Bench.cluster, history: history, end: 10, chain: 5)
        var bench = Bench("a", of: ["a", "b", "c"], state: state)
        let b = NodeID(name: "b")
        for peer in ["b", "c"] {
            bench.tell(.peer(NodeID(name: peer), .fenced(bench.reply(of: peer, epoch: 1, isGranted: false, isDry: true))))
        }
        bench.tell(.coordination(.acquired(4)))
        bench.tell(.promisePersisted(Promise(epoch: 4, leader: NodeID(name: "a"))))
        bench.tell(.peer(b, .fenced(bench.reply(of: "b", epoch: 4, isGranted: true, last: LogPosition(epoch: 1, lsn: 8)))))
        bench.tell(.epochStartAppended(4, lsn: 11, chain: 6))
        bench.tell(.durable(11, generation: 0))
        bench.attach("b", session: 1)
        #expect(bench.acknowledge(1, durable: 10, epoch: 4).committed == nil)
        #expect(bench.acknowledge(1, durable: 11, epoch: 4).committed == 11)
    }

    @Test func whatIsOnNNodesCountsNodes() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        bench.attach("b", session: 1)
        bench.attach("c", session: 2)
        write(&bench, upTo: 2)
        #expect(bench.node.durable(onNodes: 1) == 2 && bench.node.durable(onNodes: 3) == 0)
        bench.acknowledge(1, durable: 2)
        #expect(bench.node.durable(onNodes: 2) == 2 && bench.node.durable(onNodes: 3) == 0)
        bench.acknowledge(2, durable: 1)
        #expect(bench.node.durable(onNodes: 3) == 1)
        // More nodes than there are.
        #expect(bench.node.durable(onNodes: 4) == 0)
    }

    @Test func shipsOnlyWhatIsDurableAndOnlyAsTheWindowAllows() {
        var options = ReplicationOptions()
        options.windowByteCount = 1_000
        options.shipByteCountMax = 400
        var bench = Bench.leader(of: ["a", "b"], options: options)
        bench.attach("b", session: 1)
        #expect(bench.effects.ships.map(\.limit) == [1])
        bench.tell(.shipped(SessionID(1), last: 1, byteCount: 100))
        #expect(bench.tell(.appended(end: 40, byteCount: 4_000)).ships.isEmpty)
        #expect(
            bench.tell(.durable(40, generation: 0)).ships.map { [$0.first, $0.limit, LSN($0.byteCountMax)] } == [[2, 40, 400]])
        #expect(
            bench.tell(.shipped(SessionID(1), last: 5, byteCount: 400)).ships.map { [$0.first, LSN($0.byteCountMax)] } == [
                [6, 400]
            ])
        #expect(
            bench.tell(.shipped(SessionID(1), last: 9, byteCount: 400)).ships.map { [$0.first, LSN($0.byteCountMax)] } == [
                [10, 100]
            ])
        // The window is full until something comes back.
        #expect(bench.tell(.shipped(SessionID(1), last: 10, byteCount: 100)).ships.isEmpty)
        #expect(bench.acknowledge(1, durable: 5).ships.map(\.first) == [11])
    }

    @Test func onlyFollowersThatACommitNeedsSlowWritesDown() {
        var options = ReplicationOptions()
        options.flowSoftByteCount = 1 << 20
        options.flowHardByteCount = 8 << 20
        var bench = Bench.leader(of: ["a", "b", "c"], options: options)
        bench.attach("b", session: 1)
        bench.attach("c", session: 2)
        func flow(_ bench: inout Bench) -> FlowVerdict? {
            bench.tell(.tick).compactMap { if case .flow(let verdict) = $0 { verdict } else { nil } }.last
        }
        bench.acknowledge(1, durable: 1)
        bench.acknowledge(2, durable: 1)
        // c is far behind, b is not: the commit point moves, nobody waits.
        for lsn in LSN(2)...20 {
            bench.tell(.appended(end: lsn, byteCount: lsn << 20), after: 20_000)
            bench.tell(.durable(lsn, generation: 0))
            bench.acknowledge(1, durable: lsn)
        }
        #expect(flow(&bench) == nil)
        // Now both are: first slower, then refused.
        for lsn in LSN(21)...24 {
            bench.tell(.appended(end: lsn, byteCount: lsn << 20), after: 20_000)
            bench.tell(.durable(lsn, generation: 0))
        }
        guard case .slow(let delay)? = flow(&bench) else {
            Issue.record("not slowed")
            return
        }
        #expect(delay > 0 && delay <= options.flowDelayMax)
        for lsn in LSN(25)...30 {
            bench.tell(.appended(end: lsn, byteCount: lsn << 20), after: 20_000)
            bench.tell(.durable(lsn, generation: 0))
        }
        #expect(flow(&bench) == .refuse)
        // Both are gone: nobody is waited for, writes that ask for less go on.
        bench.tell(.closed(SessionID(1)))
        bench.tell(.closed(SessionID(2)))
        bench.now += options.deadAfter
        #expect(flow(&bench) == .open)
    }

    @Test func aLinearizableReadNeedsAnAnswerToSomethingSentAfterIt() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        bench.attach("b", session: 1)
        write(&bench, upTo: 4)
        bench.acknowledge(1, durable: 4, echo: bench.now)
        let asked = bench.tell(.awaitReadIndex(WaiterID(1), visible: 4, deadline: .max))
        #expect(asked.readIndexes.isEmpty)
        let stamps = asked.messages.compactMap { if case .heartbeat(let beat) = $0 { beat.stamp.sentAt } else { nil } }
        #expect(stamps.count == 1)
        #expect(bench.acknowledge(1, durable: 4, echo: stamps[0] - 2).readIndexes.isEmpty)
        #expect(bench.acknowledge(1, durable: 4, echo: stamps[0]).readIndexes == [.read(at: 4)])
    }

    @Test func aLinearizableReadWaitsForWhatReadersHaveSeenToBeCommitted() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        bench.attach("b", session: 1)
        write(&bench, upTo: 6)
        bench.acknowledge(1, durable: 3)
        let asked = bench.tell(.awaitReadIndex(WaiterID(1), visible: 6, deadline: .max))
        let stamp = asked.messages.compactMap { if case .heartbeat(let beat) = $0 { beat.stamp.sentAt } else { nil } }[0]
        #expect(bench.acknowledge(1, durable: 5, echo: stamp).readIndexes.isEmpty)
        #expect(bench.acknowledge(1, durable: 6, echo: stamp).readIndexes == [.read(at: 6)])
    }

    @Test func slotsHoldTheLogUntilTheyCostTooMuch() {
        var options = ReplicationOptions()
        options.slotByteCountMax = 10_000
        var bench = Bench.leader(of: ["a", "b"], options: options)
        func retained(_ effects: [NodeEffect]) -> LSN? {
            effects.compactMap { if case .retain(let lsn) = $0 { lsn } else { nil } }.last
        }
        bench.attach("b", session: 1)
        #expect(retained(bench.effects) == 1)
        write(&bench, upTo: 50)
        bench.acknowledge(1, durable: 40)
        #expect(retained(bench.tell(.tick)) == 41)
        bench.tell(.closed(SessionID(1)))
        bench.tell(.appended(end: 300, byteCount: 900_000))
        let effects = bench.tell(.tick)
        #expect(effects.alarms.count == 1 && retained(effects) == .max)
    }

    @Test func aSwitchoverParksDrainsAndHandsOver() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        bench.attach("b", session: 1)
        write(&bench, upTo: 5)
        #expect(bench.tell(.switchover(target: NodeID(name: "b"), timeout: 1_000_000)).gates == [.parked])
        bench.tell(.writesParked(end: 6))
        bench.tell(.durable(6, generation: 0))
        #expect(bench.acknowledge(1, durable: 5).messages.isEmpty)
        let handed = bench.acknowledge(1, durable: 6).messages
        #expect(
            handed.contains {
                if case .switchover(let message) = $0 { message.epoch == 1 && message.finalLSN == 6 } else { false }
            })
        // The target fences this node: done.
        let fenced = bench.tell(
            .peer(NodeID(name: "b"), .fence(Fence(clusterID: Bench.cluster, epoch: 4, candidate: NodeID(name: "b")))))
        #expect(bench.node.role == .fenced)
        #expect(fenced.contains { if case .switchoverProgress(let progress) = $0 { progress.state == .done } else { false } })
    }

    /// One message must not bring a cluster to the end of its numbers.
    @Test func anEpochThatNobodyCanHavePromisedIsRefused() {
        for epoch: Epoch in [.max, 1 << 61, 1 << 33] {
            var bench = Bench.leader(of: ["a", "b", "c"])
            let id = NodeID(name: "b")
            let stranger = Hello(
                clusterID: Bench.cluster, node: id, name: "b", address: "b:1", promised: epoch, history: EpochHistory(),
                last: LogPosition(epoch: 0, lsn: 0), chain: 0, durable: 0, committed: 0, slot: "b", via: [id], windowByteCount: 0)
            let refused = bench.tell(.downstream(SessionID(7), .hello(stranger)))
            #expect(
                refused.contains {
                    if case .close(SessionID(7), .stop(let stop)) = $0 { stop.code == .protocolError } else { false }
                })
            #expect(bench.tell(.peer(id, .fence(Fence(clusterID: Bench.cluster, epoch: epoch, candidate: id)))).isEmpty)
            #expect(bench.node.role == .leader && bench.node.promise.epoch == 1)
            bench.tell(.downstream(SessionID(8), .stop(ReplicationStop(.shutdown, epoch: epoch))))
            bench.tell(.promote(.none))
            #expect(bench.node.role == .leader && bench.node.promise.epoch == 1)
        }
        // One that comes back after many elections is heard.
        var bench = Bench.leader(of: ["a", "b", "c"])
        let id = NodeID(name: "b")
        bench.tell(.peer(id, .fence(Fence(clusterID: Bench.cluster, epoch: 1_000_000, candidate: id))))
        #expect(bench.node.role == .fenced)
    }

    /// It may be deposed: what its readers see can be as old as the last word of a quorum.
    @Test func aLeaderThatHearsNoQuorumSaysHowStaleItMayBe() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        bench.attach("b", session: 1)
        bench.acknowledge(1, durable: 1)
        #expect(bench.node.staleness(now: bench.now + 4_000_000) == 0)
        #expect(bench.node.staleness(now: bench.now + 6_000_000) == 6_000_000)
        bench.tell(.tick, after: 4_000_000)
        bench.acknowledge(1, durable: 1)
        #expect(bench.node.staleness(now: bench.now + 4_000_000) == 0)
        let alone = Bench.leader(of: ["a"])
        #expect(alone.node.staleness(now: alone.now + 60_000_000) == 0)
    }

    /// The target would need the promise of a third node, and newcomers make only the founder a leader.
    @Test func aFounderHandsOverWhenEnoughOthersHaveCaughtUp() {
        var bench = Bench.leader(of: ["a", "b", "c"], standing: .founder)
        bench.attach("b", session: 1)
        bench.acknowledge(1, durable: 1, isNewcomer: true)
        #expect(bench.tell(.switchover(target: NodeID(name: "b"), timeout: 1_000_000)).gates == [.parked])
        bench.tell(.writesParked(end: 1))
        func isHandedOver(_ effects: [NodeEffect]) -> Bool {
            effects.messages.contains { if case .switchover = $0 { true } else { false } }
        }
        #expect(!isHandedOver(bench.acknowledge(1, durable: 1, isNewcomer: true)))
        #expect(isHandedOver(bench.acknowledge(1, durable: 1)))
        // And then it makes way like any other.
        bench.tell(.peer(NodeID(name: "b"), .fence(Fence(clusterID: Bench.cluster, epoch: 4, candidate: NodeID(name: "b")))))
        #expect(bench.node.role == .fenced)
    }

    @Test func aFounderThatCannotHandOverSaysWhy() {
        var bench = Bench.leader(of: ["a", "b", "c"], standing: .founder)
        bench.attach("b", session: 1)
        bench.acknowledge(1, durable: 1, isNewcomer: true)
        bench.tell(.switchover(target: NodeID(name: "b"), timeout: 1_000))
        let effects = bench.tell(.tick, after: 2_000)
        #expect(effects.gates == [.open(1)])
        #expect(
            effects.contains {
                if case .switchoverProgress(let progress) = $0 {
                    progress.state == .aborted && progress.reason.contains("founder")
                } else {
                    false
                }
            })
    }

    @Test func switchoverFindsATargetThatFollowsAFollower() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        bench.attach("b", session: 1)
        write(&bench, upTo: 5)
        let c = NodeID(name: "c")
        func acknowledge(_ durable: LSN, _ behind: LSN) -> [NodeEffect] {
            bench.tell(
                .downstream(
                    SessionID(1),
                    .ack(
                        Ack(
                            epoch: 1, written: durable, durable: durable, applied: durable, sentAt: bench.now, echo: 0,
                            downstream: [.init(node: c, durable: behind)]))))
        }
        #expect(bench.tell(.switchover(target: c, timeout: 9_000_000)).gates.isEmpty)
        _ = acknowledge(5, 3)
        #expect(bench.tell(.switchover(target: c, timeout: 9_000_000)).gates == [.parked])
        bench.tell(.writesParked(end: 5))
        #expect(acknowledge(5, 4).messages.isEmpty)
        #expect(
            acknowledge(5, 5).messages.contains { if case .switchover(let message) = $0 { message.finalLSN == 5 } else { false } }
        )
    }

    @Test func aSwitchoverThatTakesTooLongIsTakenBack() {
        var bench = Bench.leader(of: ["a", "b"])
        bench.attach("b", session: 1)
        bench.tell(.switchover(target: NodeID(name: "b"), timeout: 1_000))
        #expect(bench.tell(.tick, after: 2_000).gates == [.open(1)])
        #expect(bench.tell(.switchover(target: NodeID(name: "x"), timeout: 1_000)).gates.isEmpty)
    }

    @Test func aHigherPromiseAnywhereEndsTheLeadership() {
        var bench = Bench.leader(of: ["a", "b", "c"])
        write(&bench, upTo: 2)
        let fence = Fence(clusterID: Bench.cluster, epoch: 4, candidate: NodeID(name: "b"))
        let effects = bench.tell(.peer(NodeID(name: "b"), .fence(fence)))
        #expect(effects.gates.contains { if case .closed = $0 { true } else { false } }, "\(effects)")
        #expect(effects.contains { if case .sealWrites = $0 { true } else { false } })
        // Not a word to the candidate before the promise is on disk.
        #expect(effects.messages.isEmpty)
        let answer = bench.tell(.promisePersisted(Promise(epoch: 4, leader: NodeID(name: "b")))).messages
        #expect(
            answer.contains {
                if case .fenced(let reply) = $0 { reply.isGranted && reply.last == LogPosition(epoch: 1, lsn: 2) } else { false }
            })
        #expect(bench.acknowledge(1, durable: 2).committed == nil)
    }
}
