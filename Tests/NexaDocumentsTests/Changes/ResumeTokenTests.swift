import NexaDocuments
import NexaStorage
import NexaTestKit
import Testing

struct ResumeTokenTests {
    static let positions = [
        ChangePosition(LogPosition(epoch: 0, lsn: 0)),
        ChangePosition(LogPosition(epoch: 1, lsn: 1), index: 0),
        ChangePosition(LogPosition(epoch: 7, lsn: 1 << 40), index: 3, chain: 0xDEAD_BEEF),
        ChangePosition(LogPosition(epoch: .max, lsn: .max - 1), chain: .max),
    ]

    @Test(arguments: positions) func comesBackAsItWas(_ position: ChangePosition) {
        let token = ResumeToken.encode(position)
        #expect(token.count == ResumeToken.byteCount)
        #expect(withBytes(token) { ResumeToken.decode($0) } == position)
    }

    @Test(arguments: positions) func everyFlippedBitIsSeen(_ position: ChangePosition) {
        let token = ResumeToken.encode(position)
        for bit in 0..<token.count * 8 {
            var damaged = token
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(withBytes(damaged) { ResumeToken.decode($0) } == nil, "bit \(bit)")
        }
    }

    @Test func nothingElseIsAToken() {
        let token = ResumeToken.encode(Self.positions[2])
        for count in 0..<token.count { #expect(withBytes(Array(token[..<count])) { ResumeToken.decode($0) } == nil) }
        #expect(withBytes(token + [0]) { ResumeToken.decode($0) } == nil)
        #expect(withBytes([UInt8](repeating: 0, count: 33)) { ResumeToken.decode($0) } == nil)
    }

    @Test func theNextRecordIsTheOneThatHasMoreToTell() {
        let record = LogPosition(epoch: 1, lsn: 9)
        #expect(ChangePosition(record).nextLSN == 10)
        #expect(ChangePosition(record, index: 4).nextLSN == 9)
        #expect(ChangePosition(record, index: 4).toldCount == 4)
        #expect(ChangePosition(record).toldCount == 0)
    }
}
