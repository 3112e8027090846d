import NexaStorage
import Testing

/// One test for each row of the table in TailDecision.swift.
@Suite struct TailDecisionTests {
    private let next = SegmentEnd(segmentID: 7, offset: 9000, lsn: 10, chain: 0xC0FFEE)

    private func decide(
        _ stop: TailDecision.Stop, lsn: LSN = 10, chain: UInt64 = 0xC0FFEE, behind: Bool = false, durableBehind: LSN = 0,
        next: SegmentEnd? = nil, nextFile: UInt64? = nil, proven: LSN = 0
    ) -> TailDecision {
        TailDecision.decide(
            TailDecision.Situation(
                stop: stop, lsn: lsn, chain: chain, hasRecordsBehind: behind, durableLSNBehind: durableBehind, next: next,
                nextFileByteCount: nextFile, provenLSN: proven))
    }

    private func isDamaged(_ decision: TailDecision) -> Bool {
        if case .damaged = decision { return true }
        return false
    }

    @Test func newerRecordTypesAreRefusedNotDropped() {
        #expect(decide(.unsupported("record type 9")) == .refused("record type 9"))
        #expect(decide(.unsupported("record type 9"), next: next) == .refused("record type 9"))
        #expect(decide(.unsupported("record codec 9"), behind: true, durableBehind: 50, proven: 50) == .refused("record codec 9"))
    }

    @Test func contradictionsAreDamageEverywhere() {
        #expect(decide(.contradiction("LSN 12 after LSN 10")) == .damaged("LSN 12 after LSN 10"))
        #expect(decide(.contradiction("LSN 12 after LSN 10"), next: next) == .damaged("LSN 12 after LSN 10"))
    }

    @Test func aLogThatEndsBelowAProvenPositionIsDamaged() {
        #expect(isDamaged(decide(.blank, proven: 11)))
        #expect(isDamaged(decide(.torn(.payloadHash), proven: 11)))
        #expect(isDamaged(decide(.end(nextFileByteCount: 0), proven: 11)))
        #expect(isDamaged(decide(.limit, proven: 11)))
    }

    @Test func anOlderSegmentIsWholeWhenTheNextOneFollowsItsEnd() {
        #expect(decide(.limit, next: next) == .clean)
        #expect(decide(.end(nextFileByteCount: 1), next: next) == .clean)
        // Its END is unreadable, and yet nothing is missing: the chain says so.
        #expect(decide(.torn(.payloadHash), next: next) == .clean)
    }

    @Test func anOlderSegmentThatEndsEarlyIsDamaged() {
        for stop: TailDecision.Stop in [.blank, .limit, .torn(.truncated), .end(nextFileByteCount: 0)] {
            #expect(isDamaged(decide(stop, lsn: 9, next: next)))
        }
    }

    @Test func anOlderSegmentWithAnotherHistoryIsDamaged() {
        #expect(isDamaged(decide(.limit, chain: 0xBAD, next: next)))
    }

    @Test func anEndRecordIsACleanEnd() {
        #expect(decide(.end(nextFileByteCount: 0)) == .clean)
        #expect(decide(.end(nextFileByteCount: 4096), nextFile: 4096) == .clean)
    }

    @Test func anAnnouncedSegmentThatIsMissingOrCutIsDamage() {
        #expect(isDamaged(decide(.end(nextFileByteCount: 4096))))
        #expect(isDamaged(decide(.end(nextFileByteCount: 4096), nextFile: 4095)))
    }

    @Test func aLaterWitnessOfDurabilityTurnsATailIntoDamage() {
        #expect(isDamaged(decide(.torn(.payloadHash), behind: true, durableBehind: 11)))
        #expect(isDamaged(decide(.blank, behind: true, durableBehind: 11)))
    }

    @Test func nothingBehindACleanEndIsClean() {
        #expect(decide(.blank) == .clean)
        #expect(decide(.limit) == .clean)
        #expect(decide(.blank, proven: 10) == .clean)
    }

    @Test func tornBytesThatNothingProvesDurableAreATornTail() {
        #expect(decide(.torn(.payloadHash)) == .tornTail)
        #expect(decide(.torn(.truncated)) == .tornTail)
        #expect(decide(.torn(.payloadHash), behind: true, durableBehind: 10, proven: 10) == .tornTail)
        // Later sectors reached the disk and earlier ones did not.
        #expect(decide(.blank, behind: true, durableBehind: 10) == .tornTail)
    }
}
