import NexaReplication
import NexaStorage
import Testing

@Suite struct FollowerTests {
    private static let leader = NodeID(name: "a")
    private static let session = SessionID(ReplicaNode.ownSessionBit | 1)

    /// A follower "b" of "a", greeted; the welcome is still to come.
    private func greeted(_ state: DurableState? = nil) -> Bench {
        var bench = Bench("b", of: ["a", "b", "c"], follow: "a:1", state: state)
        bench.tell(.upstreamConnected(Self.session))
        return bench
    }

    private func welcome(
        _ decision: Welcome.Decision, epoch: Epoch = 1, from: LSN = 1, truncateTo: LSN = 0, chain: UInt64? = nil,
        history: EpochHistory? = nil, committed: LSN = 0, session: SessionID = Self.session
    ) -> NodeEvent {
        .upstream(
            session,
            .welcome(
                Welcome(
                    decision: decision, clusterID: Bench.cluster, node: Self.leader, epoch: epoch, leader: Self.leader,
                    leaderAddress: "a:1",
                    history: history ?? EpochHistory([.init(epoch: epoch, firstLSN: 1)])!, from: from, truncateTo: truncateTo,
                    chain: chain,
                    end: 100, committed: committed)))
    }

    /// A follower that streams from LSN 1 of epoch 1.
    private func streaming() -> Bench {
        var bench = greeted()
        bench.tell(welcome(.stream))
        bench.tell(.promisePersisted(Promise(epoch: 1, leader: Self.leader)))
        return bench
    }

    private func batch(
        _ first: LSN, _ last: LSN, previous: UInt64, chain: UInt64, epoch: Epoch = 1, recordEpoch: Epoch = 1, committed: LSN = 0,
        begins: Bool? = nil, end: LSN? = nil, echo: Microseconds = 0, session: SessionID = Self.session
    ) -> NodeEvent {
        .batch(
            session,
            BatchArrival(
                header: BatchHeader(
                    stamp: FrameStamp(epoch: epoch, committed: committed, end: end ?? last, sentAt: 77, echo: echo),
                    recordEpoch: recordEpoch, first: first,
                    last: last, previousChain: previous), lastChain: chain, byteCount: 100, beginsEpoch: begins ?? (first == 1)))
    }

    @Test func promisesTheEpochBeforeItTakesPart() {
        var bench = greeted()
        let effects = bench.tell(welcome(.stream))
        #expect(effects.acks.isEmpty)
        #expect(
            effects.contains {
                if case .persistPromise(Promise(epoch: 1, leader: Self.leader), Bench.cluster) = $0 { true } else { false }
            })
        #expect(bench.tell(batch(1, 3, previous: 0, chain: 5)).stops == [.protocolError])
    }

    @Test func acknowledgesWhatIsOnDiskNotWhatArrived() {
        var bench = streaming()
        #expect(bench.effects.acks.map(\.durable) == [0])
        let taken = bench.tell(batch(1, 3, previous: 0, chain: 5))
        #expect(taken.acks.isEmpty)
        #expect(taken.contains { if case .append(Self.session, 1, 3) = $0 { true } else { false } })
        #expect(bench.tell(.durable(2, generation: 0)).acks.map { [$0.written, $0.durable, $0.echo] } == [[3, 2, 77]])
        #expect(bench.tell(.durable(3, generation: 0)).acks.map(\.durable) == [3])
    }

    @Test(arguments: [(LSN(5), LSN(6), UInt64(5)), (2, 4, 5), (4, 4, 6), (3, 4, 5)])
    func aBatchThatDoesNotContinueTheLogEndsTheConnection(_ first: LSN, _ last: LSN, _ previous: UInt64) {
        var bench = streaming()
        bench.tell(batch(1, 3, previous: 0, chain: 5))
        let effects = bench.tell(batch(first, last, previous: previous, chain: 9))
        #expect(!effects.contains { if case .append = $0 { true } else { false } })
        #expect(effects.stops.count == 1 && bench.node.log.end == 3)
    }

    @Test func aBatchOfAnotherLeadershipEndsTheConnection() {
        var bench = streaming()
        #expect(bench.tell(batch(1, 3, previous: 0, chain: 5, epoch: 2)).stops == [.staleEpoch])
    }

    @Test func anEpochBeginsWithItsFirstRecordOnly() {
        var bench = greeted(
            DurableState(clusterID: Bench.cluster, history: EpochHistory([.init(epoch: 1, firstLSN: 1)])!, end: 3, chain: 5))
        bench.tell(
            welcome(
                .stream, epoch: 4, from: 4, history: EpochHistory([.init(epoch: 1, firstLSN: 1), .init(epoch: 4, firstLSN: 4)])!))
        bench.tell(.promisePersisted(Promise(epoch: 4, leader: Self.leader)))
        var other = bench
        #expect(bench.tell(batch(4, 5, previous: 5, chain: 6, epoch: 4, recordEpoch: 4, begins: false)).stops == [.outOfOrder])
        #expect(other.tell(batch(4, 5, previous: 5, chain: 6, epoch: 4, recordEpoch: 4, begins: true)).stops.isEmpty)
        #expect(other.node.log.history.lastEpoch == 4)
    }

    /// What an earlier leader told has nothing to do with how far behind the present one this node is.
    @Test func aNewLeadershipForgetsHowFreshTheNodeWas() {
        var bench = streaming()
        bench.tell(batch(1, 3, previous: 0, chain: 5, end: 5, echo: bench.now))
        bench.tell(.durable(3, generation: 0))
        bench.tell(.applied(3, generation: 0))
        bench.tell(.closed(Self.session))
        bench.tell(.tick, after: 1_000_000)
        let session = bench.effects.dialed!
        bench.tell(.upstreamConnected(session))
        let history = EpochHistory([.init(epoch: 1, firstLSN: 1), .init(epoch: 4, firstLSN: 5)])!
        bench.tell(welcome(.stream, epoch: 4, from: 4, history: history, session: session))
        bench.tell(.promisePersisted(Promise(epoch: 4, leader: Self.leader)))
        // Far more than the old leader had, and still nothing is known about the new one.
        bench.tell(batch(4, 4, previous: 5, chain: 6, epoch: 4, begins: false, end: 90, session: session))
        bench.tell(batch(5, 6, previous: 6, chain: 7, epoch: 4, recordEpoch: 4, begins: true, end: 90, session: session))
        bench.tell(.durable(6, generation: 0))
        bench.tell(.applied(6, generation: 0))
        #expect(bench.node.log.visible == 6 && bench.node.staleness(now: bench.now) == nil)
    }

    @Test func aNewcomerCountsOnceItHasShownAllThatItsLeaderHad() {
        var bench = greeted(DurableState())
        bench.tell(welcome(.stream))
        bench.tell(.promisePersisted(Promise(epoch: 1, leader: Self.leader, standing: .newcomer)))
        bench.tell(batch(1, 3, previous: 0, chain: 5, end: 5, echo: bench.now))
        bench.tell(.durable(3, generation: 0))
        bench.tell(.applied(3, generation: 0))
        #expect(bench.tell(.promote(.none)).failure == .newcomer)
        bench.tell(.tick)
        #expect(bench.node.promise.standing == .newcomer, "two records are missing")
        bench.tell(batch(4, 5, previous: 5, chain: 6, end: 9))
        #expect(bench.tell(.durable(5, generation: 0)).acks.map(\.isNewcomer) == [true])
        let settled = Promise(epoch: 1, leader: Self.leader)
        let effects = bench.tell(.applied(5, generation: 0))
        #expect(effects.contains { if case .persistPromise(settled, Bench.cluster) = $0 { true } else { false } })
        #expect(bench.tell(.promisePersisted(settled)).acks.map(\.isNewcomer) == [false])
        #expect(bench.node.promise.standing == .member)
        #expect(bench.tell(.promote(.none)).failure == nil)
    }

    @Test func aNewcomerThatLacksNothingCountsWithTheFirstWordOfItsLeader() {
        var bench = greeted(DurableState())
        bench.tell(welcome(.stream))
        bench.tell(.promisePersisted(Promise(epoch: 1, leader: Self.leader, standing: .newcomer)))
        bench.tell(batch(1, 3, previous: 0, chain: 5))
        bench.tell(.durable(3, generation: 0))
        bench.tell(.applied(3, generation: 0))
        #expect(bench.node.promise.standing == .newcomer)
        let stamp = FrameStamp(epoch: 1, committed: 0, end: 3, sentAt: 78, echo: bench.now)
        let effects = bench.tell(
            .upstream(Self.session, .heartbeat(Heartbeat(stamp: stamp, leader: Self.leader, topologyVersion: 1))))
        let settled = Promise(epoch: 1, leader: Self.leader)
        #expect(effects.contains { if case .persistPromise(settled, Bench.cluster) = $0 { true } else { false } })
    }

    @Test func aNewcomerMayBeForced() {
        var bench = greeted(DurableState())
        bench.tell(welcome(.stream))
        bench.tell(.promisePersisted(Promise(epoch: 1, leader: Self.leader, standing: .newcomer)))
        #expect(bench.tell(.promote(.acceptLoss)).failure == nil && bench.node.role == .candidate)
    }

    @Test func nothingOfAnOldConnectionIsTaken() {
        var bench = streaming()
        bench.tell(.closed(Self.session))
        #expect(bench.tell(batch(1, 3, previous: 0, chain: 5)).isEmpty)
        #expect(bench.tell(.upstream(Self.session, .stop(ReplicationStop(.shutdown)))).isEmpty)
        #expect(bench.node.log.end == 0)
    }

    @Test func aWelcomeBelowThePromiseIsRefused() {
        var bench = greeted(DurableState(clusterID: Bench.cluster, promise: Promise(epoch: 5, leader: NodeID(name: "c"))))
        #expect(bench.tell(welcome(.stream, epoch: 4)).stops == [.staleEpoch])
    }

    @Test func oneEpochHasOneLeader() {
        var bench = greeted(DurableState(clusterID: Bench.cluster, promise: Promise(epoch: 5, leader: NodeID(name: "c"))))
        #expect(bench.tell(welcome(.stream, epoch: 5)).alarms == [.duplicateEpoch(5)])
    }

    private func diverged(committed: LSN) -> Bench {
        var bench = greeted(
            DurableState(
                clusterID: Bench.cluster, promise: Promise(epoch: 4, leader: Self.leader),
                history: EpochHistory([.init(epoch: 1, firstLSN: 1)])!,
                end: 30, chain: 30, commitHint: committed))
        bench.tell(
            welcome(
                .truncate, epoch: 4, truncateTo: 20, chain: 2_000,
                history: EpochHistory([.init(epoch: 1, firstLSN: 1), .init(epoch: 4, firstLSN: 21)])!))
        return bench
    }

    @Test func cutsAfterComparingChainsAndThenAsksForTheRest() {
        var bench = diverged(committed: 15)
        #expect(bench.effects.contains { if case .readChain(.cut(Self.session), 20) = $0 { true } else { false } })
        let cut = bench.tell(.chainRead(.cut(Self.session), lsn: 20, chain: 2_000))
        #expect(cut.contains { if case .truncate(20, 1) = $0 { true } else { false } })
        // A sync that was under way belongs to the log as it was.
        #expect(bench.tell(.durable(30, generation: 0)).acks.isEmpty)
        let done = bench.tell(.truncated(end: 20, chain: 2_000, generation: 1))
        #expect(
            done.messages.contains {
                if case .streamStartAt(let start) = $0 { start.from == 21 && start.chain == 2_000 } else { false }
            })
        #expect(done.acks.map(\.durable) == [20])
        #expect(bench.tell(.durable(30, generation: 0)).acks.isEmpty)
    }

    @Test func refusesToCutWhatIsCommitted() {
        let bench = diverged(committed: 21)
        #expect(bench.effects.alarms == [.committedTruncationRefused(peer: Self.leader, commonPoint: 20, committed: 21)])
        #expect(!bench.effects.contains { if case .truncate = $0 { true } else { false } })
        #expect(bench.effects.stops == [.committedTruncation])
    }

    @Test func asksForASnapshotWhereChainsDiffer() {
        var bench = diverged(committed: 0)
        #expect(bench.tell(.chainRead(.cut(Self.session), lsn: 20, chain: 1)).alarms == [.chainMismatch(Self.leader, lsn: 20)])
        bench.tell(.tick, after: 10_000_000)
        let next = SessionID(ReplicaNode.ownSessionBit | 2)
        let hello = bench.tell(.upstreamConnected(next)).messages
        #expect(hello.contains { if case .hello(let message) = $0 { message.want == .snapshot } else { false } })
    }

    @Test func aCutOutlivesItsConnection() {
        var bench = diverged(committed: 0)
        bench.tell(.chainRead(.cut(Self.session), lsn: 20, chain: 2_000))
        bench.tell(.closed(Self.session))
        // Nothing new is begun while the log changes, and nothing is promised to a candidate.
        #expect(bench.tell(.tick, after: 10_000_000).isEmpty)
        #expect(
            bench.tell(.peer(NodeID(name: "c"), .fence(Fence(clusterID: Bench.cluster, epoch: 9, candidate: NodeID(name: "c")))))
                .isEmpty)
        let done = bench.tell(.truncated(end: 20, chain: 2_000, generation: 1))
        #expect(done.contains { if case .connectUpstream = $0 { true } else { false } })
        #expect(bench.node.log.end == 20)
    }

    /// Its upstream would take it for a member.
    @Test func tellsNothingOfAFollowerThatHasNotSaidThatItCounts() {
        var bench = streaming()
        bench.attach("c", session: 7)
        let idle = bench.tell(.tick, after: 1_000_000).acks
        #expect(!idle.isEmpty && idle.allSatisfy { $0.downstream.isEmpty })
        bench.acknowledge(7, durable: 0, isNewcomer: true)
        #expect(bench.effects.acks.allSatisfy { $0.downstream.isEmpty } && !bench.effects.acks.isEmpty)
        bench.acknowledge(7, durable: 0)
        #expect(bench.effects.acks.last?.downstream.map(\.node) == [NodeID(name: "c")])
    }

    @Test func knowsHowStaleItIsByItsOwnClock() {
        var bench = streaming()
        let asked = bench.effects.acks[0].sentAt
        bench.tell(batch(1, 3, previous: 0, chain: 5, end: 3, echo: asked), after: 5_000)
        #expect(bench.node.staleness(now: bench.now) == nil)
        bench.tell(.applied(3, generation: 0))
        bench.tell(.durable(3, generation: 0))
        #expect(bench.node.staleness(now: bench.now) == bench.now - asked)
        #expect(bench.node.staleness(now: bench.now + 1_000) == bench.now + 1_000 - asked)
    }

    @Test func learnsTheCommitPointAsFarAsItHasTheRecords() {
        var bench = streaming()
        #expect(bench.tell(batch(1, 3, previous: 0, chain: 5, committed: 9)).committed == 3)
        #expect(bench.node.log.committed == 3)
    }

    /// As many as may wait: answered in any order, or out of time all at once.
    @Test func readsThatWereRelayedAreAnsweredOnce() {
        var bench = streaming()
        let count = ReplicationOptions().waiterCountMax
        let deadline = bench.now + 2_000_000
        let begin = ContinuousClock.now
        func ask() -> [UInt64] {
            (0..<count).compactMap { number in
                let asked = bench.tell(.awaitReadIndex(WaiterID(UInt64(number)), visible: 0, deadline: deadline))
                return asked.messages.compactMap { if case .readIndex(let message) = $0 { message.id } else { nil } }.first
            }
        }
        func reply(_ id: UInt64) -> [ReadIndexOutcome] {
            bench.tell(.upstream(Self.session, .readIndexReply(ReadIndexReply(id: id, epoch: 1, lsn: id))), after: 0).readIndexes
        }
        let ids = ask()
        #expect(ids.count == count)
        #expect(
            bench.tell(.awaitReadIndex(WaiterID(1), visible: 0, deadline: deadline)).readIndexes
                == [.failed(reason: "too many reads wait")])
        for id in ids.reversed() where id % 2 == 0 { #expect(reply(id) == [.read(at: id)]) }
        for id in ids where id % 2 == 1 { #expect(reply(id) == [.read(at: id)]) }
        #expect(reply(ids[0]).isEmpty && reply(ids[count - 1]).isEmpty)
        #expect(ask().count == count)
        let expired = bench.tell(.tick, after: 4_000_000).readIndexes
        #expect(expired.count == count && Set(expired.map { "\($0)" }).count == 1)
        // Nothing is walked through for each of them.
        #expect(ContinuousClock.now - begin < .seconds(30))
    }

    @Test func aSilentUpstreamIsLeft() {
        var bench = streaming()
        #expect(bench.tell(.tick, after: 4_000_000).stops.isEmpty)
        #expect(bench.tell(.tick, after: 2_000_000).stops == [.silent])
    }

    @Test func followsWhoeverLeadsNow() {
        var bench = streaming()
        let promoted = Promoted(clusterID: Bench.cluster, epoch: 5, firstLSN: 4, leader: NodeID(name: "c"), address: "c:1")
        let effects = bench.tell(.peer(NodeID(name: "c"), .promoted(promoted)))
        #expect(effects.contains { if case .connectUpstream(_, "c:1") = $0 { true } else { false } })
        // Twice is no second connection; an old one is nothing.
        #expect(
            !bench.tell(.peer(NodeID(name: "c"), .promoted(promoted))).contains {
                if case .connectUpstream = $0 { true } else { false }
            })
    }
}
