import NexaReplication
import NexaStorage
import Testing

@Suite struct ReadGateTests {
    private func view(
        visible: LSN = 90, committed: LSN = 85, end: LSN = 100, isLeader: Bool = false, staleness: Microseconds? = 5
    ) -> ReadView {
        ReadView(
            history: EpochHistory([.init(epoch: 1, firstLSN: 1), .init(epoch: 4, firstLSN: 50)])!, end: end, visible: visible,
            committed: committed, isLeader: isLeader, staleness: staleness)
    }

    private func decide(_ request: ReadRequest, _ view: ReadView) -> ReadVerdict { ReadGate.decide(request, view) }

    @Test func readsWhatItsConcernAllows() {
        #expect(decide(ReadRequest(), view()) == .read(LogPosition(epoch: 4, lsn: 90)))
        #expect(decide(ReadRequest(concern: .committed), view()) == .read(LogPosition(epoch: 4, lsn: 85)))
        #expect(decide(ReadRequest(concern: .committed), view(visible: 40)) == .read(LogPosition(epoch: 1, lsn: 40)))
        #expect(decide(ReadRequest(concern: .linearizable(91)), view()) == .wait)
        #expect(decide(ReadRequest(concern: .linearizable(90)), view()) == .read(LogPosition(epoch: 4, lsn: 90)))
    }

    @Test func waitsForTheTokensRecord() {
        let after = LogPosition(epoch: 4, lsn: 88)
        #expect(decide(ReadRequest(after: after), view()) == .read(LogPosition(epoch: 4, lsn: 90)))
        #expect(decide(ReadRequest(concern: .committed, after: after), view()) == .wait)
        #expect(decide(ReadRequest(after: LogPosition(epoch: 4, lsn: 120)), view()) == .wait)
        #expect(decide(ReadRequest(after: LogPosition(epoch: 5, lsn: 95)), view()) == .wait)
    }

    @Test func saysWhenTheTokensBranchIsLost() {
        // Epoch 1 went on to 60 somewhere; here epoch 4 begins at 50, and that is committed.
        #expect(decide(ReadRequest(after: LogPosition(epoch: 1, lsn: 60)), view()) == .tokenLost(common: 49))
        #expect(decide(ReadRequest(after: LogPosition(epoch: 2, lsn: 120)), view()) == .tokenLost(common: 49))
        // Not committed: this branch may be the lost one, even on a node that takes itself for the leader.
        #expect(decide(ReadRequest(after: LogPosition(epoch: 1, lsn: 60)), view(committed: 49)) == .wait)
        #expect(
            decide(ReadRequest(after: LogPosition(epoch: 1, lsn: 60)), view(committed: 49, isLeader: true))
                == .wait)
        #expect(decide(ReadRequest(after: LogPosition(epoch: 1, lsn: 49)), view()) == .read(LogPosition(epoch: 4, lsn: 90)))
    }

    @Test func refusesWhatIsTooOld() {
        #expect(decide(ReadRequest(stalenessMax: 5), view()) == .read(LogPosition(epoch: 4, lsn: 90)))
        #expect(decide(ReadRequest(stalenessMax: 4), view()) == .stale)
        #expect(decide(ReadRequest(stalenessMax: 4), view(staleness: nil)) == .stale)
    }
}
