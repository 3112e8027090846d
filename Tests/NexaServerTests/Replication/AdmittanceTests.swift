import NexaReplication
import NexaServer
import Testing

@Suite struct AdmittanceTests {
    private func occupant(_ session: UInt64, isMember: Bool = false, isBusy: Bool = false, at: Microseconds = 0)
        -> Admittance.Occupant
    {
        Admittance.Occupant(session: SessionID(session), isMember: isMember, isBusy: isBusy, spokeAt: at)
    }

    private func decide(_ isMember: Bool, _ occupants: [Admittance.Occupant], leaving: Int = 0) -> Admittance.Decision {
        Admittance.decide(isMember: isMember, among: occupants, leaving: leaving)
    }

    @Test func strangersLeaveRoomForMembers() {
        let strangers = (0..<UInt64(Admittance.strangerCountMax)).map { occupant($0, isBusy: true) }
        #expect(decide(false, Array(strangers.dropLast())) == .admit)
        #expect(decide(false, strangers) == .refuse)
        #expect(decide(true, strangers) == .admit)
        // Those that have not left yet still take their places.
        #expect(decide(false, Array(strangers.dropLast(5)), leaving: 5) == .refuse)
        let free = Admittance.countMax - Admittance.strangerCountMax
        #expect(decide(true, strangers, leaving: free - 1) == .admit)
    }

    @Test func whoHasBeenIdleTheLongestMakesRoom() {
        var strangers = (0..<UInt64(Admittance.strangerCountMax)).map { occupant($0, isBusy: true) }
        strangers[7] = occupant(7, at: 300)
        strangers[9] = occupant(9, at: 200)
        #expect(decide(false, strangers) == .replace(SessionID(9)))
        // One more at most, until it is gone.
        #expect(decide(false, strangers, leaving: 1) == .refuse)
    }

    @Test func aMemberTakesThePlaceOfAStrangerFirstAndOfNobodyWhoFollows() {
        let free = Admittance.countMax - Admittance.strangerCountMax
        let strangers = (0..<UInt64(Admittance.strangerCountMax)).map { occupant($0, at: 500) }
        let members = (0..<UInt64(free)).map { occupant(1_000 + $0, isMember: true, at: $0) }
        #expect(decide(true, strangers + members) == .replace(SessionID(0)))
        let busy = strangers.map { occupant($0.session.rawValue, isBusy: true) }
        #expect(decide(true, busy + members) == .replace(SessionID(1_000)))
        // A stranger never takes a member's.
        #expect(decide(false, busy + members) == .refuse)
        #expect(decide(true, busy + members.map { occupant($0.session.rawValue, isMember: true, isBusy: true) }) == .refuse)
    }

    @Test func silenceIsForThoseWhoFollowOrWait() {
        let silent = [
            occupant(1, at: 100), occupant(2, isBusy: true, at: 100), occupant(3, isMember: true, at: 100), occupant(4, at: 101),
        ]
        #expect(Admittance.overdue(silent, now: 100 + Admittance.silenceMax).isEmpty)
        #expect(Admittance.overdue(silent, now: 101 + Admittance.silenceMax) == [SessionID(1), SessionID(3)])
    }
}
