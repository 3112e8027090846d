import NexaReplication
import NexaStorage
import Testing

/// What may be said about a write that needs more than its leader's disk.
@Suite struct AcknowledgementTests {
    private func verdict(
        _ lsn: LSN, in leadership: UInt64 = 1, _ concern: WriteConcern = .majority, reached: LSN, _ ledger: LeadershipLedger
    ) -> Acknowledgement {
        Acknowledgement(
            of: lsn, in: leadership, for: concern, reached: reached, current: ledger.current, atEnd: ledger.committed(in:))
    }

    @Test(arguments: [WriteConcern.majority, .nodes(2)]) func aPositionAnswersForAllBeforeIt(_ concern: WriteConcern) {
        let ledger = LeadershipLedger()
        #expect(verdict(5, concern, reached: 4, ledger) == .wait)
        #expect(verdict(5, concern, reached: 5, ledger) == .acknowledged)
        #expect(verdict(5, concern, reached: 9, ledger) == .acknowledged)
    }

    @Test func thePositionOfALaterLeadershipAnswersForNothing() {
        var ledger = LeadershipLedger()
        ledger.end(committed: 4)
        #expect(verdict(5, reached: 9, ledger) == .unknown)
        #expect(verdict(5, in: ledger.current, reached: 9, ledger) == .acknowledged)
    }

    @Test func whatWasCommittedWhenItsLeadershipEndedIsAcknowledged() {
        var ledger = LeadershipLedger()
        ledger.end(committed: 5)
        ledger.end(committed: 8)
        #expect(verdict(5, reached: 0, ledger) == .acknowledged)
        #expect(verdict(6, reached: 9, ledger) == .unknown)
        #expect(verdict(8, in: 2, reached: 0, ledger) == .acknowledged)
        // A commit point says nothing of a number of nodes.
        #expect(verdict(5, .nodes(3), reached: 9, ledger) == .unknown)
    }

    @Test func longAgoIsForgottenAndUnknown() {
        var ledger = LeadershipLedger()
        for _ in 0..<100 { ledger.end(committed: 5) }
        #expect(verdict(5, reached: 9, ledger) == .unknown)
        #expect(verdict(5, in: 100, reached: 0, ledger) == .acknowledged)
        #expect(verdict(5, in: 101, reached: 5, ledger) == .acknowledged)
    }
}
