import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct ReadTests {
    private func multiRead(_ test: TestStore, _ things: Collection, _ keys: MessagePackValue, byteCountMax: Int = 1 << 20) throws
        -> (found: Int, documents: MessagePackValue)
    {
        let output = OutputBytes()
        let found = try withBytes(keys) {
            try test.worker.multiRead(
                things, keys: $0, at: .max, shape: .plain, mayBlock: true, byteCountMax: byteCountMax, into: output)
        }
        return (found, try output.values()[0])
    }

    @Test func answersNilForWhatIsNotThere() throws {
        let test = try TestStore()
        let things = try test.collection()
        #expect(try test.read("nobody", in: things) == nil)
        #expect(try test.read("", in: things) == nil)
        #expect(try test.read(String(repeating: "k", count: 5000), in: things) == nil)
    }

    @Test func readsTheStateOfAPosition() throws {
        let test = try TestStore()
        let things = try test.collection()
        let first = try test.createResult(["_id": "k", "n": 1], in: things).lsn
        _ = try test.update("k", ["n": 2], in: things)
        let numbers = try withBytes("k") { key in
            try [first, .max].map { lsn in
                let view = try #require(try test.worker.read(things, key: key, at: lsn, mayBlock: true))
                return try MessagePackValue(decoding: view.bytes)["n"]
            }
        }
        #expect(numbers == [1, 2])
    }

    @Test func multiReadKeepsTheOrderAndSaysWhatIsMissing() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "a", "n": 1], in: things)
        try test.create(["_id": "b", "n": 2], in: things)
        let (found, documents) = try multiRead(test, things, ["b", "x", "a", "b"])
        #expect(found == 3)
        #expect(documents.arrayValue?.map { $0["n"] } == [2, nil, 1, 2])
        #expect(documents[1] == .null)
        #expect(documents[0]?["id"] == "b")
        #expect(try multiRead(test, things, []).documents == [])
    }

    @Test func multiReadRefusesAndLeavesTheOutputAsItWas() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "a", "pad": .string(String(repeating: "p", count: 1000))], in: things)
        let output = OutputBytes()
        output.appendU8(0xC0)
        for (keys, code) in [("a", .badRequest), (["a", 1], .badRequest), (["a", "a"], .resultTooLarge)]
            as [(MessagePackValue, ErrorCode)]
        {
            let error = errorOf {
                _ = try withBytes(keys) {
                    try test.worker.multiRead(
                        things, keys: $0, at: .max, shape: [], mayBlock: true, byteCountMax: 1500, into: output)
                }
            }
            #expect(error?.code == code)
            #expect(output.byteCount == 1)
        }
        let tooMany = MessagePackValue.array(.init(repeating: "a", count: DocumentWorker.multiReadKeyCountMax + 1))
        #expect(errorOf { _ = try multiRead(test, things, tooMany) }?.code == .tooLarge)
    }
}
