import NexaDocuments
import NexaReplication
import NexaServer
import NexaStorage
import NexaWire
import Testing

@Suite struct WriteAdmissionTests {
    private let now: UInt64 = 5_000_000_000

    private func admission(_ gate: ReplicationGate, _ change: (inout WaitState) -> Void = { _ in }) -> ReplicationGate.Admission {
        var state = WaitState()
        change(&state)
        return gate.admit(state, now: now)
    }

    private func leading() -> ReplicationGate {
        let gate = ReplicationGate(isClustered: true)
        gate.open(3, address: "a:1")
        return gate
    }

    @Test func aLeaderTakesWritesAndAFollowerRefusesThem() {
        #expect(admission(leading()) == .admit)
        #expect(admission(ReplicationGate(isClustered: true)) == .refuse)
        #expect(admission(ReplicationGate(isClustered: false)) == .admit)
    }

    @Test func aParkedWriteWaitsUntilTheGateChangesOrItsTimeIsOver() {
        let gate = leading()
        let before = gate.doorChanges
        gate.park()
        #expect(gate.doorChanges > before)
        #expect(admission(gate) == .wait(deadline: now + ReplicationGate.parkNanosecondsMax))
        #expect(admission(gate) { $0.gateDeadline = now + 1 } == .wait(deadline: now + 1))
        #expect(admission(gate) { $0.gateDeadline = now } == .refuse)
        #expect(gate.refusal.code == .overloaded)
        gate.open(3, address: "a:1")
        #expect(admission(gate) { $0.gateDeadline = now + 1 } == .admit)
    }

    @Test func aHandedOverWriteHearsOfTheNewLeader() {
        let gate = leading()
        gate.park()
        gate.close(leader: nil, epoch: 4, keepsParked: true)
        #expect(admission(gate) != .refuse, "nobody knows yet who leads")
        let before = gate.doorChanges
        gate.close(leader: "b:1", epoch: 4, keepsParked: false)
        #expect(gate.doorChanges > before)
        #expect(admission(gate) == .refuse)
        #expect(gate.refusal.code == .notLeader)
    }

    @Test func flowControlHoldsUpOnceAndRefusesAtTheEnd() {
        let gate = leading()
        gate.setFlow(.slow(2_500))
        #expect(gate.isClosed && gate.flowStage == 1)
        #expect(admission(gate) == .delay(nanoseconds: 2_500_000))
        #expect(admission(gate) { $0.isDelayed = true } == .admit)
        gate.setFlow(.refuse)
        #expect(gate.flowStage == 2)
        #expect(admission(gate) { $0.isDelayed = true } == .refuse)
        #expect(gate.refusal.code == .overloaded)
        gate.setFlow(.slow(1))
        #expect(admission(gate) == .delay(nanoseconds: 1_000))
        gate.setFlow(.open)
        #expect(!gate.isClosed && admission(gate) == .admit)
    }

    @Test func whoDoesNotLeadAnyMoreHoldsNobodyUp() {
        let gate = leading()
        gate.setFlow(.slow(2_500))
        gate.close(leader: nil, epoch: 4, keepsParked: false)
        #expect(admission(gate) == .refuse)
        gate.open(5, address: "a:1")
        #expect(admission(gate) == .admit)
    }

    @Test func whatWasCommittedBeforeTheLeadershipEndedIsAcknowledgedAfterIt() {
        let gate = leading()
        func judge(_ lsn: LSN, _ leadership: UInt64) -> Bool {
            gate.judge(
                AnswerConcern(
                    need: .majority, lsn: lsn, leadership: leadership, deadline: nil, requestID: nil, isWrite: true, epoch: 3),
                now: now) == .met
        }
        let leadership = gate.leadership
        gate.note(committed: 10)
        gate.close(leader: nil, epoch: 4, keepsParked: false)
        gate.note(committed: 20)
        gate.close(leader: "b:1", epoch: 4, keepsParked: false)
        #expect(judge(10, leadership) && judge(9, leadership))
        #expect(!judge(11, leadership), "the next leader may have another record there")
        for _ in 0..<20 { gate.close(leader: "b:1", epoch: 4, keepsParked: false) }
        #expect(!judge(10, leadership), "nobody remembers")
    }
}
