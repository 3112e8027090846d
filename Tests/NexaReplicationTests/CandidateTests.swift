import NexaReplication
import NexaStorage
import Testing

@Suite struct CandidateTests {
    /// "b" with ten records of epoch 1, told to stand up, its epoch 4 promised on its own disk.
    private func candidate(of names: [String] = ["a", "b", "c"], force: PromotionForce = .none) -> Bench {
        let state = DurableState(
            clusterID: Bench.cluster, promise: Promise(epoch: 1, leader: NodeID(name: "a")),
            history: EpochHistory([.init(epoch: 1, firstLSN: 1)])!, end: 10, chain: 5)
        var bench = Bench("b", of: names, follow: "a:1", state: state)
        bench.tell(.promote(force))
        bench.tell(.coordination(.acquired(4)))
        bench.tell(.promisePersisted(Promise(epoch: 4, leader: NodeID(name: "b"))))
        return bench
    }

    private func begins(_ effects: [NodeEffect]) -> Bool {
        effects.contains { if case .appendEpochStart(4) = $0 { true } else { false } }
    }

    private func answer(_ bench: inout Bench, _ peer: String, last: LogPosition, epoch: Epoch = 4, granted: Bool = true)
        -> [NodeEffect]
    {
        bench.tell(.peer(NodeID(name: peer), .fenced(bench.reply(of: peer, epoch: epoch, isGranted: granted, last: last))))
    }

    @Test func opensWithAFenceQuorumOnly() {
        var bench = candidate()
        #expect(bench.effects.messages.count == 2 && !begins(bench.effects))
        #expect(begins(answer(&bench, "c", last: LogPosition(epoch: 1, lsn: 9))))
        #expect(bench.node.role == .leader)
    }

    @Test func ofTwoNodesTheFollowerStandsUpAlone() {
        #expect(begins(candidate(of: ["a", "b"]).effects))
    }

    @Test func withoutAQuorumItGivesUp() {
        var bench = candidate()
        let effects = bench.tell(.tick, after: 10_000_000)
        #expect(effects.failure == .noQuorum(promises: 1, needed: 2) && bench.node.role == .follower)
    }

    @Test func whoAcceptsLossLeadsWithoutAQuorum() {
        var bench = candidate(force: .acceptLoss)
        #expect(begins(bench.tell(.tick, after: 10_000_000)))
    }

    @Test func givesWayToWhoeverHasMore() {
        for last in [LogPosition(epoch: 1, lsn: 11), LogPosition(epoch: 3, lsn: 2)] {
            var bench = candidate()
            #expect(answer(&bench, "c", last: last).failure == .behind(NodeID(name: "c"), last))
            #expect(bench.node.role == .follower && bench.node.promise.epoch == 4)
        }
    }

    /// An empty disk may have taken the place of one that acknowledged what the candidate lacks.
    @Test func thePromiseOfANewcomerDoesNotCount() {
        var bench = candidate()
        var reply = bench.reply(of: "c", epoch: 4, isGranted: true)
        reply.isNewcomer = true
        #expect(!begins(bench.tell(.peer(NodeID(name: "c"), .fenced(reply)))) && bench.node.role == .candidate)
        #expect(begins(answer(&bench, "a", last: LogPosition(epoch: 1, lsn: 9))))
    }

    @Test func newcomersMakeTheFounderOfTheirClusterALeader() {
        let names = ["a", "b", "c"]
        let promise = Promise(epoch: 0, leader: nil, standing: .founder)
        var bench = Bench("a", of: names, state: DurableState(clusterID: Bench.cluster, promise: promise))
        for peer in names.dropFirst() {
            var reply = bench.reply(of: peer, epoch: 0, isGranted: false, isDry: true)
            reply.isNewcomer = true
            bench.tell(.peer(NodeID(name: peer), .fenced(reply)))
        }
        bench.tell(.coordination(.acquired(4)))
        bench.tell(.promisePersisted(Promise(epoch: 4, leader: NodeID(name: "a"), standing: .founder)))
        var reply = bench.reply(of: "b", epoch: 4, isGranted: true)
        reply.isNewcomer = true
        #expect(begins(bench.tell(.peer(NodeID(name: "b"), .fenced(reply)))))
        // A newcomer's disk commits nothing; a member's does, and then the founder is a member like any other.
        bench.tell(.epochStartAppended(4, lsn: 1, chain: 11))
        bench.tell(.durable(1, generation: 0))
        bench.attach("b", session: 1)
        let answer = bench.acknowledge(1, durable: 1, epoch: 4, isNewcomer: true)
        #expect(answer.committed == nil)
        #expect(answer.messages.contains { if case .heartbeat = $0 { true } else { false } })
        #expect(!bench.tell(.tick).contains { if case .persistPromise = $0 { true } else { false } })
        #expect(bench.acknowledge(1, durable: 1, epoch: 4).committed == 1)
        let settled = Promise(epoch: 4, leader: NodeID(name: "a"))
        #expect(bench.tell(.tick).contains { if case .persistPromise(settled, Bench.cluster) = $0 { true } else { false } })
    }

    /// Whoever asked could not win, and a founder that has promised itself to another is none.
    @Test func aFounderPromisesItselfToNobodyBeforeOthersHaveCaughtUp() {
        let promise = Promise(epoch: 3, leader: NodeID(name: "a"), standing: .founder)
        var bench = Bench("a", of: ["a", "b", "c", "d", "e"], state: DurableState(clusterID: Bench.cluster, promise: promise))
        let fence = Fence(clusterID: Bench.cluster, epoch: 7, candidate: NodeID(name: "b"), isDry: false)
        let effects = bench.tell(.peer(NodeID(name: "b"), .fence(fence)))
        #expect(!effects.contains { if case .persistPromise = $0 { true } else { false } })
        #expect(
            effects.messages.contains {
                if case .fenced(let reply) = $0 { !reply.isGranted && reply.epoch == 7 && reply.promised == 3 } else { false }
            })
        #expect(bench.node.promise.standing == .founder)
    }

    private func founderStays(_ bench: inout Bench) -> [NodeEffect] {
        let reply = Fenced(
            node: NodeID(name: "c"), epoch: 4, isGranted: false, promised: 2, last: LogPosition(epoch: 1, lsn: 1), committed: 0)
        return bench.tell(.peer(NodeID(name: "c"), .fenced(reply)))
    }

    @Test func aFounderThatStaysEndsNoCandidacyThatOthersPromise() {
        var bench = candidate(of: ["a", "b", "c", "d", "e"])
        #expect(founderStays(&bench).failure == nil && bench.node.role == .candidate)
        // It is asked again: it makes way as soon as it has heard of enough members.
        let again = bench.tell(.tick, after: 1_000_000)
        #expect(again.contains { if case .sendPeer(NodeID(name: "c"), .fence) = $0 { true } else { false } })
        #expect(!begins(answer(&bench, "a", last: LogPosition(epoch: 1, lsn: 9))))
        #expect(begins(answer(&bench, "d", last: LogPosition(epoch: 1, lsn: 9))))
    }

    @Test func whoFailsBecauseTheFounderStaysIsTold() {
        var bench = candidate()
        _ = founderStays(&bench)
        #expect(bench.tell(.tick, after: 10_000_000).failure == .founderStays(NodeID(name: "c")))
    }

    @Test func whoAcceptsLossLeadsWithoutTheFounder() {
        var bench = candidate(force: .acceptLoss)
        _ = founderStays(&bench)
        #expect(begins(bench.tell(.tick, after: 10_000_000)))
    }

    @Test func isOutvotedByAHigherPromise() {
        var bench = candidate()
        let reply = Fenced(
            node: NodeID(name: "c"), epoch: 4, isGranted: false, promised: 8, last: LogPosition(epoch: 1, lsn: 1), committed: 0)
        #expect(bench.tell(.peer(NodeID(name: "c"), .fenced(reply))).failure == .outvoted(promised: 8))
        // The next attempt asks for more than that.
        let again = bench.tell(.promote(.none))
        #expect(again.contains { if case .coordinate(.acquire(_, floor: 8)) = $0 { true } else { false } })
    }

    @Test func answersToAnOlderQuestionDoNotCount() {
        var bench = candidate()
        #expect(!begins(answer(&bench, "c", last: LogPosition(epoch: 1, lsn: 1), epoch: 3)))
        #expect(!begins(answer(&bench, "x", last: LogPosition(epoch: 1, lsn: 1))))
        #expect(bench.node.role == .candidate)
    }

    @Test func promisesOncePerEpoch() {
        var bench = Bench("c", of: ["a", "b", "c"], follow: "a:1")
        func fence(_ epoch: Epoch, _ candidate: String) -> NodeEvent {
            .peer(
                NodeID(name: candidate), .fence(Fence(clusterID: Bench.cluster, epoch: epoch, candidate: NodeID(name: candidate)))
            )
        }
        func granted(_ effects: [NodeEffect]) -> [Bool] {
            effects.messages.compactMap { if case .fenced(let reply) = $0 { reply.isGranted } else { nil } }
        }
        #expect(bench.tell(fence(4, "b")).messages.isEmpty)
        #expect(granted(bench.tell(.promisePersisted(Promise(epoch: 4, leader: NodeID(name: "b"))))) == [true])
        #expect(granted(bench.tell(fence(4, "b"))) == [true])
        #expect(granted(bench.tell(fence(4, "a"))) == [false])
        #expect(granted(bench.tell(fence(3, "a"))) == [false])
        // Somebody else's name on the question, or no member: no answer.
        #expect(
            bench.tell(.peer(NodeID(name: "a"), .fence(Fence(clusterID: Bench.cluster, epoch: 9, candidate: NodeID(name: "b")))))
                .isEmpty)
        #expect(bench.tell(fence(9, "z")).isEmpty)
        #expect(bench.node.promise == Promise(epoch: 4, leader: NodeID(name: "b")))
    }

    @Test func whoComesUpWithoutUpstreamAsksBeforeItPushesAnybodyAside() {
        var bench = Bench("a", of: ["a", "b"])
        #expect(bench.effects.messages.contains { if case .fence(let fence) = $0 { fence.isDry } else { false } })
        let living = Fenced(
            node: NodeID(name: "b"), epoch: 0, isGranted: false, isDry: true, promised: 3, last: LogPosition(epoch: 3, lsn: 5),
            committed: 5,
            leader: NodeID(name: "b"), leaderEpoch: 3)
        let effects = bench.tell(.peer(NodeID(name: "b"), .fenced(living)))
        #expect(bench.node.role == .follower)
        _ = effects
        #expect(
            bench.tell(.tick, after: 1_000_000).contains { if case .connectUpstream(_, "b:1") = $0 { true } else { false } }
                || effects.contains { if case .connectUpstream(_, "b:1") = $0 { true } else { false } })
    }

    @Test func aNodeOfNoClusterDoesNotBeginOne() {
        var bench = Bench("b", of: ["a", "b"], follow: "a:1", state: DurableState())
        #expect(bench.tell(.promote(.none)).failure == .notMember)
    }

    @Test func aFailedLogEndsEverything() {
        var bench = Bench.leader(of: ["a"])
        #expect(bench.tell(.logFailed(reason: "EIO")).alarms == [.logFailed("EIO")])
        #expect(bench.node.role == .failed)
        #expect(bench.tell(.durable(9, generation: 0)).isEmpty)
        #expect(bench.tell(.promote(.none)).failure == .logFailed)
        #expect(
            bench.tell(.switchover(target: NodeID(name: "b"), timeout: 1)).contains {
                if case .switchoverProgress(let progress) = $0 { progress.state == .aborted } else { false }
            })
        for (action, isDone) in [(SlotAdmin.Action.list, true), (.create, false), (.drop, false)] {
            let replies = bench.tell(.slotAdmin(SlotAdmin(action, name: "s"))).compactMap {
                if case .slots(let reply) = $0 { reply } else { nil }
            }
            #expect(replies == [SlotAdminReply(isDone: isDone, slots: [])])
        }
    }
}
