import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// The dimensions of a collection are those of the first vector that is stored: a write that fails fixes nothing.
struct FirstVectorTests {
    private let test: TestStore
    private let things: Collection

    init() throws {
        test = try TestStore()
        things = try test.collection()
        try test.create(["_id": "k", "n": 1], in: things)
    }

    @Test func aDuplicateDeclaresNothing() throws {
        #expect(errorOf { try test.create(["_id": "k", "vector": [1, 2, 3]], in: things) }?.code == .duplicate)
        #expect(things.vectorDimensions == nil)
        try test.create(["_id": "v", "vector": [1, 2]], in: things)
        #expect(things.vectorDimensions == 2)
    }

    @Test func anUpdateThatFindsNothingOrAnotherRevisionDeclaresNothing() throws {
        #expect(try test.update("none", ["vector": [1, 2, 3]], in: things) == nil)
        #expect(
            errorOf { _ = try test.update("k", ["vector": [1, 2, 3]], in: things) { $0.ifMatch = 9_999 } }?.code == .conflict)
        let isConflict = errorOf {
            _ = try test.update("none", ["vector": [1, 2, 3]], in: things) { ($0.upserts, $0.ifMatch) = (true, 1) }
        }
        #expect(isConflict?.code == .conflict)
        #expect(things.vectorDimensions == nil)
        #expect(try test.update("k", ["vector": [1, 2]], in: things)?["vector"] == [1, 2])
        #expect(things.vectorDimensions == 2)
    }

    @Test func anUpsertDeclares() throws {
        #expect(try test.update("new", ["vector": [1, 2, 3]], in: things) { $0.upserts = true }?["vector"] == [1, 2, 3])
        #expect(things.vectorDimensions == 3)
        #expect(try test.reopened().store.catalog.view.collection(database: "default", name: "things")?.vectorDimensions == 3)
    }

    @Test func anAtomicBatchThatFailsDeclaresNothing() throws {
        let failing: [[MessagePackValue]] = [
            [["op": "create", "data": ["vector": [1, 2, 3]]], ["op": "create", "data": ["_id": "k"]]],
            [["op": "create", "data": ["_id": "k", "vector": [1, 2, 3]]]],
            [["op": "update", "key": "none", "updates": ["vector": [1, 2, 3]]]],
            [["op": "put", "data": ["_id": "k", "vector": [1, 2, 3]], "if_match": 9_999]],
            [["op": "create", "data": ["vector": [1, 2, 3]]], ["op": "create", "data": ["vector": [1, 2]]]],
        ]
        for operations in failing {
            #expect(errorOf { _ = try test.batch(operations: operations, in: things) } != nil, "\(operations)")
            #expect(things.vectorDimensions == nil, "\(operations)")
        }
        #expect(try test.count(in: things) == 1)
    }

    @Test func theFirstItemThatABatchStoresDeclares() throws {
        let outcome = try test.batch(
            operations: [
                ["op": "create", "data": ["_id": "k", "vector": [1, 2, 3]]],
                ["op": "update", "key": "none", "updates": ["vector": [1, 2, 3]]],
                ["op": "update", "key": "k", "updates": ["vector": [1, 2]]],
                ["op": "create", "data": ["_id": "a", "vector": [3, 4]]],
                ["op": "create", "data": ["_id": "b", "vector": [1, 2, 3]]],
            ], in: things
        ) { ($0.isAtomic, $0.isOrdered) = (false, false) }
        #expect(outcome.keys == ["k", "a"])
        #expect(outcome.errors.map(\.index) == [0, 1, 4])
        #expect(things.vectorDimensions == 2)
        #expect(try test.count(in: things) == 2)
        #expect(try test.read("k", in: things)?["vector"] == [1, 2])
    }

    @Test func aBatchDeclaresForEachOfItsCollections() throws {
        let others = try test.collection("others")
        let outcome = try test.batch(
            operations: [
                ["op": "create", "data": ["_id": "a", "vector": [1, 2, 3]]],
                ["op": "create", "collection": "others", "data": ["_id": "a", "vector": [1, 2]]],
                ["op": "put", "data": ["_id": "b", "vector": [1, 2, 4]]],
            ], in: things)
        #expect(outcome.keys == ["a", "a", "b"])
        #expect(things.vectorDimensions == 3 && others.vectorDimensions == 2)
        #expect(try test.read("b", in: things)?["vector"] == [1, 2, 4])
    }
}
