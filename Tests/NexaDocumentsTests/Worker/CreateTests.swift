import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct CreateTests {
    @Test func putsItsOwnFieldsFirstAndKeepsTheOrderOfTheUsers() throws {
        let test = try TestStore()
        let things = try test.collection()
        let stored = try test.create(["b": 1, "_id": "k", "a": ["x": [1, 2]], "c": "é"], in: things)
        #expect(stored.fieldNames == ["_id", "_created_at", "_updated_at", "b", "a", "c"])
        #expect(stored["_created_at"]?.stringValue == "2026-11-22T14:22:46.595872")
        #expect(stored["_updated_at"] == stored["_created_at"])
        #expect(stored.withoutTimestamps == ["_id": "k", "b": 1, "a": ["x": [1, 2]], "c": "é"])
        #expect(try test.read("k", in: things) == stored)
    }

    @Test func makesTimeOrderedIDs() throws {
        let test = try TestStore()
        let things = try test.collection()
        let ids = try (0..<50).map { _ in
            test.clock.advance(microseconds: 700)
            return try test.create([:], in: things).id
        }
        #expect(ids == ids.sorted())
        #expect(Set(ids).count == 50)
        #expect(ids.allSatisfy { $0.utf8.count == 16 })
    }

    @Test func ignoresTimestampsOfTheUser() throws {
        let test = try TestStore()
        let things = try test.collection()
        let stored = try test.create(["_created_at": 1.5, "a": 1, "_updated_at": "x", "_id": "k", "b": 2], in: things)
        #expect(stored.fieldNames == ["_id", "_created_at", "_updated_at", "a", "b"])
        #expect(stored["_created_at"]?.stringValue == "2026-11-22T14:22:46.595872")
    }

    @Test func keepsWhatLiesBetweenTheFieldsThatItDrops() throws {
        let test = try TestStore()
        let things = try test.collection()
        let document: MessagePackValue = [
            "a": 1, "_updated_at": 1, "id": nil, "b": 2, "c": 3, "_id": "k", "d": 4, "_created_at": 2, "e": 5,
        ]
        let stored = try test.create(document, in: things) { $0.usesIDField = true }
        #expect(stored.id == "k")
        #expect(stored.withoutTimestamps == ["_id": "k", "a": 1, "b": 2, "c": 3, "d": 4, "e": 5])
    }

    @Test func takesIDAsKeyOnlyInThePlainDialect() throws {
        let test = try TestStore()
        let things = try test.collection()
        let plain = try test.create(["id": "seven", "a": 1], in: things) { $0.usesIDField = true }
        #expect(plain.id == "seven")
        #expect(plain["id"] == "seven")
        let envelope = try test.create(["id": "seven", "a": 1], in: things)
        #expect(envelope.id != "seven")
        #expect(envelope["id"] == "seven")
        let both = try test.create(["id": "x", "_id": "y"], in: things) { $0.usesIDField = true }
        #expect(both.id == "y")
        #expect(both["id"] == "x")
    }

    @Test func treatsNilAsNoID() throws {
        let test = try TestStore()
        let things = try test.collection()
        let stored = try test.create(["_id": nil, "id": nil, "a": 1], in: things) { $0.usesIDField = true }
        #expect(stored.id.count == 16)
        #expect(stored.fieldNames == ["_id", "_created_at", "_updated_at", "a"])
        let envelope = try test.create(["_id": nil, "id": nil], in: things)
        #expect(envelope.fieldNames == ["_id", "_created_at", "_updated_at", "id"])
    }

    @Test func refusesKeysThatAreNoTextOrTooLong() throws {
        let test = try TestStore()
        let things = try test.collection()
        let number = errorOf { try test.create(["_id": 7], in: things) }
        #expect(number?.code == .badRequest)
        #expect(number?.message.contains("must be text") == true)
        #expect(errorOf { try test.create(["id": 7], in: things) { $0.usesIDField = true } }?.code == .badRequest)
        #expect(try test.create(["id": 7], in: things)["id"] == 7)
        #expect(errorOf { try test.create(["_id": ""], in: things) }?.code == .badRequest)
        let longest = String(repeating: "k", count: 1024)
        #expect(errorOf { try test.create(["_id": .string(longest + "k")], in: things) }?.code == .badRequest)
        #expect(try test.create(["_id": .string(longest)], in: things).id == longest)
        #expect(try test.read(longest, in: things)?.id == longest)
    }

    @Test func answersDuplicateWithTheID() throws {
        let test = try TestStore()
        let things = try test.collection("c")
        try test.create(["_id": "k", "a": 1], in: things)
        let error = errorOf { try test.create(["_id": "k", "a": 2], in: things) }
        #expect(error?.code == .duplicate)
        #expect(error?.message == "Duplicate key: document 'k' already exists in collection 'c'")
        #expect(error?.details.first?.value == "k")
        #expect(try test.read("k", in: things)?["a"] == 1)
    }

    @Test func refusesWhatIsNoMap() throws {
        let test = try TestStore()
        let things = try test.collection()
        for value in [.null, 1, "text", [1]] as [MessagePackValue] {
            #expect(errorOf { try test.create(value, in: things) }?.code == .badRequest)
        }
    }

    @Test(arguments: [0, 1, 12, 13, 15, 16, 17, 65_532, 65_533, 65_536])
    func storesDocumentsOfEveryMapHeader(fieldCount: Int) throws {
        let test = try TestStore()
        let things = try test.collection()
        let document = MessagePackValue.map((0..<fieldCount).map { .init("f\($0)", .int(Int64($0))) })
        let stored = try test.create(document, in: things)
        #expect(stored.mapValue?.count == fieldCount + 3)
        #expect(stored.without("_id", "_created_at", "_updated_at") == document)
    }

    @Test func keepsExtAndBinExactly() throws {
        let test = try TestStore()
        let things = try test.collection()
        let document: MessagePackValue = [
            "bin": .binary([0, 255, 1]), "ext": .ext(0x0D, [1, 2, 3]), "f": .float32(1.5), "big": .uint(.max),
            "nan": .double(-0.0),
        ]
        #expect(try test.create(document, in: things).without("_id", "_created_at", "_updated_at") == document)
    }

    @Test func twoCollectionsHoldTheSameKey() throws {
        let test = try TestStore()
        let one = try test.collection("one")
        let two = try test.collection("two")
        try test.create(["_id": "k", "a": 1], in: one)
        try test.create(["_id": "k", "a": 2], in: two)
        #expect(try test.read("k", in: one)?["a"] == 1)
        #expect(try test.read("k", in: two)?["a"] == 2)
    }

    @Test func markersDeclareTheirCollectionAndStoreNothing() throws {
        let test = try TestStore()
        let things = try test.collection("v")
        let marker: MessagePackValue = [
            "_nexadb_collection_marker": true, "_created_at": 1.5, "name": "_collection_marker", "value": -999_999,
            "_vector_dimensions": 4,
        ]
        let answer = try test.create(marker, in: things)
        #expect(answer.id.count == 16)
        try test.create(["_collection_init": true], in: things)
        #expect(try test.count(in: things) == 0)
        #expect(things.vectorDimensions == 4)
        #expect(try test.reopened().store.catalog.view.collection(database: "default", name: "v")?.vectorDimensions == 4)
    }

    @Test func refusesVectorsOfOtherDimensions() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["vector": "not one"], in: things)
        try test.create(["vector": []], in: things)
        #expect(things.vectorDimensions == nil)
        try test.create(["vector": [1, 2.5, 3]], in: things)
        #expect(things.vectorDimensions == 3)
        let error = errorOf { try test.create(["vector": [1, 2]], in: things) }
        #expect(error?.message == "Vector dimension mismatch: collection expects 3 dimensions, got 2")
        #expect(errorOf { try test.create(["vector": .binary([0, 0, 128, 63])], in: things) }?.code == .badRequest)
        try test.create(["vector": .binary([UInt8](repeating: 0, count: 12))], in: things)
        #expect(errorOf { try test.create(["vector": [1, 2, .double(.infinity)]], in: things) }?.code == .badRequest)
        #expect(try test.count(in: things) == 4)
    }

    @Test func twoConcurrentCreatesOfOneIDGiveOneSuccess() async throws {
        let test = try TestStore()
        let things = try test.collection()
        let store = test.store
        for round in 0..<50 {
            let outcomes = await withTaskGroup(of: ErrorCode?.self) { group in
                for writer in 0..<4 {
                    group.addTask {
                        let worker = store.makeWorker()
                        let document: MessagePackValue = ["_id": .string("k\(round)"), "writer": .int(Int64(writer))]
                        return errorOf {
                            try withBytes(document) { _ = try worker.create(things, document: $0, options: WriteOptions()) }
                        }?.code
                    }
                }
                return await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
            }
            #expect(outcomes.filter { $0 == nil }.count == 1)
            #expect(outcomes.filter { $0 == .duplicate }.count == 3)
        }
        #expect(try test.count(in: things) == 50)
    }
}
