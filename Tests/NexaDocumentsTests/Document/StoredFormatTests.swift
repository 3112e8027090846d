import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// Pins what docs/formats/documents.md says about the bytes in the engine.
struct StoredFormatTests {
    private func entries(_ test: TestStore) throws -> [(key: String, value: String)] {
        let iterator = test.engine.makeReader().makeIterator(at: test.engine.appliedLSN)
        var entries: [(String, String)] = []
        try iterator.seekToFirst()
        while iterator.isValid {
            entries.append((hex(iterator.key), hex(iterator.value)))
            try iterator.next()
        }
        return entries
    }

    private func hex(_ bytes: UnsafeRawBufferPointer) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    @Test func documentsLieAsTheFormatPageDrawsThem() throws {
        let test = try TestStore()
        try test.create(["_id": "k", "a": 1], in: try test.collection("c"))
        let time = "323032362d31312d32325431343a32323a34362e353935383732"
        let stored = try #require(try entries(test).last)
        #expect(stored.key == "000000016b")
        #expect(stored.value == "0084a35f6964a16bab5f637265617465645f6174ba\(time)ab5f757064617465645f6174ba\(time)a16101")
    }

    @Test func flagsTellOfOwnIDsAndVectors() throws {
        let test = try TestStore()
        let things = try test.collection("c")
        try test.create(["_id": "a", "id": 1], in: things)
        try test.create(["_id": "b", "vector": [1]], in: things)
        try test.create(["_id": "c"], in: things)
        _ = try test.update("c", ["id": 2, "vector": [2]], in: things)
        #expect(try entries(test).suffix(3).map { $0.value.prefix(2) } == ["01", "02", "07"])
    }

    @Test func theCatalogLiesInCollectionZero() throws {
        let test = try TestStore()
        _ = try test.collection("c", database: "d")
        let found = try entries(test)
        #expect(found.map(\.key) == ["000000006300000001", "000000006464", "000000006e"])
        #expect(found[2].value == "00000002")
        let collection = try MessagePackValue(decoding: bytes(found[0].value))
        #expect(collection == ["database": "d", "name": "c", "created_at": .int(TestStore.startOfTime)])
        #expect(try MessagePackValue(decoding: bytes(found[1].value)) == ["created_at": .int(TestStore.startOfTime)])
    }

    @Test func aRememberedOperationLiesAsTheFormatPageDrawsIt() throws {
        let test = try TestStore()
        let operation = [UInt8](repeating: 7, count: 24)
        let key = try test.worker.create(["a": 1], in: try test.collection("c"), as: operation).key
        let found = try entries(test)
        let period = try #require(found.first { $0.key == "000000007e" })
        #expect(period.value == "00000001000660de3614b120")
        let entry = try #require(found.first { $0.key == "000000007e00000001" + String(repeating: "07", count: 24) })
        #expect(entry.value == "0100955f7b58e04402b5000660de3614b120" + key.utf8.map { String($0, radix: 16) }.joined())
    }

    private func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8).map { $0 <= 57 ? $0 - 48 : $0 - 87 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
