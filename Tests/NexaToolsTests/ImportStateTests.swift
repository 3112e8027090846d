import NexaBlockingClient
import NexaTransfer
import NexaWire
import Testing

/// What an import knows of itself: settled batches, its state as text, and what trouble means.
struct ImportStateTests {
    private func end(_ batch: UInt64) -> ImportPosition {
        ImportPosition(batch: batch + 1, offset: (batch + 1) * 10, record: batch + 2)
    }

    private func reject(_ record: UInt64) -> Reject { Reject(record: record, offset: 0, bytes: [], reason: "") }

    @Test func thePositionPassesABatchWhenAllBeforeItAreSettled() {
        var ledger = ImportLedger(position: ImportPosition(batch: 0, offset: 0, record: 1), counts: ImportCounts())
        var outcome = BatchOutcome()
        outcome.written = 5
        #expect(ledger.settle(1, end: end(1), outcome).isEmpty)
        outcome.rejects = [reject(3)]
        #expect(ledger.settle(2, end: end(2), outcome).isEmpty)
        #expect(ledger.position.batch == 0 && ledger.counts == ImportCounts())
        outcome.rejects = [reject(1)]
        #expect(ledger.settle(0, end: end(0), outcome).map(\.record) == [1, 3])
        #expect(ledger.position == end(2))
        #expect(ledger.counts == ImportCounts(written: 15, present: 0, rejected: 2))
    }

    @Test func rejectsComeInTheOrderOfTheInput() {
        var ledger = ImportLedger(position: ImportPosition(batch: 0, offset: 0, record: 1), counts: ImportCounts())
        var outcome = BatchOutcome()
        outcome.rejects = [reject(3), reject(1), reject(2)]
        #expect(ledger.settle(0, end: end(0), outcome).map(\.record) == [1, 2, 3])
    }

    private let identity = InputIdentity(
        byteCount: 5, modifiedNanoseconds: 1_795_651_200_123_456_789, prefixByteCount: 5, prefixHash: .max)

    private var state: ImportState {
        ImportState(
            id: ImportID(text: "0123456789abcdef0123456789abcdef")!, input: identity, settings: ["--mode": "insert"],
            position: ImportPosition(batch: 3, offset: 1 << 40, record: 9),
            counts: ImportCounts(written: 1, present: 2, rejected: 4),
            mayBeSent: 7,
            rejects: .init(path: "/a", records: .init(inode: .max, byteCount: 6), reasons: .init(inode: 8, byteCount: 10)))
    }

    @Test(arguments: ["batch", "offset", "record", "written", "present", "rejected", "may_be_sent"], [Int64.max, .min, 1 << 62])
    func aNumberThatNoImportReachesIsNoState(name: String, value: Int64) throws {
        let edited = state.text.replacing(try Regex("\"\(name)\": [0-9]+"), with: "\"\(name)\": \(value)")
        #expect(edited != state.text && ImportState(text: edited) == nil)
    }

    @Test func aStateComesBackFromItsText() throws {
        let state = state
        #expect(ImportState(text: state.text) == state)
        var pipe = state
        pipe.input = InputIdentity(byteCount: nil, modifiedNanoseconds: nil, prefixByteCount: 5, prefixHash: 1)
        pipe.rejects = nil
        #expect(ImportState(text: pipe.text) == pipe)
        #expect(ImportState(text: state.text.replacing("\"version\": 1", with: "\"version\": 2")) == nil)
        #expect(ImportState(text: "") == nil)
        #expect(state.objection(identity, [("--mode", "insert")]) == nil)
        #expect(state.objection(identity, [("--mode", "upsert")]) != nil)
        #expect(state.objection(pipe.input, [("--mode", "insert")]) != nil)
    }

    @Test func madeIDsSortByRecordAndAreKnownAgain() throws {
        let id = ImportID()
        #expect(ImportID(text: id.text) == id)
        func made(_ number: UInt64) throws -> String {
            let output = OutputBytes()
            id.writeDocumentID(number, into: output)
            return try #require(MessagePackValue(decoding: output.bytes).stringValue)
        }
        let keys = try [1, 2, 31, 32, 33, 1 << 20, 1 << 39].map(made)
        #expect(keys == keys.sorted() && Set(keys).count == keys.count)
        #expect(keys.allSatisfy { key in Array(key.utf8).withUnsafeBytes { id.made($0) } })
        #expect(!Array(keys[0].utf8).withUnsafeBytes { ImportID(text: String(repeating: "0", count: 32))!.made($0) })
    }

    @Test func troubleThatPassesIsToldFromTroubleThatStays() {
        func verdict(_ code: String, _ more: MessagePackValue.Entry...) -> SendFailure {
            SendFailure(.refused(Refusal(payload: .map([.init("code", .string(code))] + more))))
        }
        #expect(verdict("OVERLOADED") == .again)
        #expect(verdict("SHUTTING_DOWN") == .again)
        #expect(verdict("NOT_LEADER") == .again)
        #expect(verdict("NOT_LEADER", .init("leader", "10.0.0.7:6971")) == .elsewhere(Endpoint(host: "10.0.0.7", port: 6971)))
        #expect(verdict("FORBIDDEN") == .final)
        #expect(verdict("STORAGE_FAILED") == .final)
        #expect(SendFailure(.timedOut(operation: "")) == .again)
        #expect(SendFailure(.protocolViolation("")) == .final)
    }

    @Test func aNodeThatAsksForPatienceGetsIt() {
        var pace = SendPace()
        #expect(pace.nanoseconds == 0)
        for _ in 0..<20 { pace.heard(isSlowDown: true) }
        #expect(pace.nanoseconds == 1_000_000_000)
        for _ in 0..<20 { pace.heard(isSlowDown: false) }
        #expect(pace.nanoseconds == 0)
    }
}
