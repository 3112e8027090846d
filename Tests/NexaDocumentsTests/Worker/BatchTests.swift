import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct BatchTests {
    @Test func answersKeysInTheOrderOfTheRequest() throws {
        let test = try TestStore()
        let things = try test.collection()
        let outcome = try test.batch(documents: [["n": 0], ["_id": "given", "n": 1], ["n": 2]], in: things)
        #expect(outcome.count == 3)
        #expect(outcome.keys[1] == "given")
        #expect(outcome.keys[0] < outcome.keys[2])
        for (index, key) in outcome.keys.enumerated() { #expect(try test.read(key, in: things)?["n"] == .int(Int64(index))) }
    }

    @Test func isOneRecordOfTheLog() throws {
        let test = try TestStore()
        let things = try test.collection()
        let before = test.engine.appliedLSN
        let outcome = try test.batch(documents: (0..<500).map { ["n": .int($0)] }, in: things)
        #expect(outcome.lsn == before + 1)
        #expect(test.engine.appliedLSN == before + 1)
        for key in outcome.keys { #expect(try test.revision(key, in: things) == outcome.lsn) }
    }

    @Test func atomicBatchWithADuplicateWritesNothing() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "taken"], in: things)
        let stored = errorOf { _ = try test.batch(documents: [["_id": "a"], ["_id": "taken"], ["_id": "b"]], in: things) }
        #expect(stored?.code == .duplicate)
        #expect(stored?.details.contains(.init("index", 1)) == true)
        let within = errorOf { _ = try test.batch(documents: [["_id": "a"], ["_id": "b"], ["_id": "a"]], in: things) }
        #expect(within?.code == .duplicate)
        #expect(within?.details.contains(.init("index", 2)) == true)
        #expect(try test.count(in: things) == 1)
    }

    @Test func orderedBatchStopsAtTheFirstFailure() throws {
        let test = try TestStore()
        let things = try test.collection()
        let outcome = try test.batch(documents: [["_id": "a"], ["_id": "a"], ["_id": "b"], 7], in: things) { $0.isAtomic = false }
        #expect(outcome.keys == ["a"])
        #expect(outcome.errors.map(\.index) == [1])
        #expect(outcome.errors.map(\.code) == [.duplicate])
        #expect(try test.count(in: things) == 1)
    }

    @Test func unorderedBatchWritesTheRestAndReportsEachFailure() throws {
        let test = try TestStore()
        let things = try test.collection()
        let outcome = try test.batch(documents: [["_id": "a"], ["_id": 1], ["_id": "a"], 7, ["_id": "b"]], in: things) {
            $0.isAtomic = false
            $0.isOrdered = false
        }
        #expect(outcome.keys == ["a", "b"])
        #expect(outcome.errors.map(\.index) == [1, 2, 3])
        #expect(outcome.errors.map(\.code) == [.badRequest, .duplicate, .badRequest])
        #expect(try test.count(in: things) == 2)
    }

    @Test func laterOperationsSeeEarlierOnes() throws {
        let test = try TestStore()
        let things = try test.collection()
        let outcome = try test.batch(
            operations: [
                ["op": "create", "data": ["_id": "a", "n": 1]],
                ["op": "update", "key": "a", "updates": ["n": 2, "m": 1]],
                ["op": "delete", "key": "a"],
                ["op": "create", "data": ["_id": "a", "n": 3]],
                ["op": "put", "key": "p", "data": ["n": 1]],
                ["op": "put", "data": ["_id": "p", "n": 2]],
                ["op": "update", "key": "u", "data": ["n": 5], "upsert": true],
            ], in: things)
        #expect(outcome.keys == ["a", "a", "a", "a", "p", "p", "u"])
        #expect(try test.read("a", in: things)?.withoutTimestamps == ["_id": "a", "n": 3])
        #expect(try test.read("p", in: things)?.withoutTimestamps == ["_id": "p", "n": 2])
        #expect(try test.read("u", in: things)?.withoutTimestamps == ["_id": "u", "n": 5])
    }

    @Test func aPutThatMayNotUpsertOnlyReplaces() throws {
        let test = try TestStore()
        let things = try test.collection()
        func put(_ n: Int64) throws {
            _ = try test.batch(
                operations: [["op": "put", "key": "k", "data": ["n": .int(n)], "upsert": false]], in: things)
        }
        #expect(errorOf { try put(1) }?.code == .conflict)
        #expect(try test.read("k", in: things) == nil)
        try test.create(["_id": "k", "n": 2], in: things)
        try put(3)
        #expect(try test.read("k", in: things)?["n"] == 3)
        // Within a batch what counts is what the batch has done before.
        let deleted: [MessagePackValue] = [
            ["op": "delete", "key": "k"], ["op": "put", "key": "k", "data": ["n": 4], "upsert": false],
        ]
        #expect(errorOf { _ = try test.batch(operations: deleted, in: things) }?.code == .conflict)
        #expect(try test.read("k", in: things)?["n"] == 3)
    }

    @Test func putReplacesAndKeepsTheTimeOfCreation() throws {
        let test = try TestStore()
        let things = try test.collection()
        let first = try test.create(["_id": "k", "a": 1, "b": 1], in: things)
        test.clock.advance(microseconds: 1_000_000)
        _ = try test.batch(operations: [["op": "put", "data": ["_id": "k", "c": 1]]], in: things)
        let replaced = try #require(try test.read("k", in: things))
        #expect(replaced.withoutTimestamps == ["_id": "k", "c": 1])
        #expect(replaced["_created_at"] == first["_created_at"])
        #expect(replaced["_updated_at"] != first["_updated_at"])
    }

    @Test func operationsSpanCollections() throws {
        let test = try TestStore()
        let things = try test.collection("things")
        _ = try test.batch(
            operations: [
                ["op": "create", "data": ["_id": "a"]], ["op": "create", "collection": "others", "data": ["_id": "a"]],
            ], in: things)
        #expect(try test.count(in: things) == 1)
        #expect(try test.count(in: try test.collection("others")) == 1)
    }

    @Test func refusesOperationsThatMakeNoSense() throws {
        let test = try TestStore()
        let things = try test.collection()
        let bad: [MessagePackValue] = [
            7, [:], ["op": "frobnicate"], ["op": "create"], ["op": "update", "key": 7, "updates": ["a": 1]],
            ["op": "delete"], ["op": "create", "collection": "1bad", "data": ["a": 1]],
            ["op": "put", "key": "a", "data": ["_id": "b"]], ["op": "update", "key": "a", "updates": ["$set": ["a": 1]]],
        ]
        for operation in bad {
            let error = errorOf { _ = try test.batch(operations: [operation], in: things) }
            #expect(error?.code == .badRequest || error?.code == .badUpdate, "\(operation)")
        }
        #expect(errorOf { _ = try test.batch(operations: [["op": "create", "data": ["a": 1]]], in: nil) }?.code == .badRequest)
        #expect(errorOf { _ = try test.batch(operations: [["op": "delete", "key": "x"]], in: things) }?.code == .conflict)
        #expect(
            errorOf { _ = try test.batch(operations: [["op": "update", "key": "x", "updates": ["a": 1]]], in: things) }?.code
                == .conflict)
        #expect(try test.count(in: things) == 0)
    }

    @Test func revisionsGuardItems() throws {
        let test = try TestStore()
        let things = try test.collection()
        let revision = try test.createResult(["_id": "k", "n": 1], in: things).lsn
        let match = MessagePackValue.int(Int64(revision))
        let wrong = MessagePackValue.int(Int64(revision + 1))
        for operation in [
            ["op": "put", "data": ["_id": "k"], "if_match": wrong],
            ["op": "update", "key": "k", "updates": ["n": 2], "if_match": wrong],
            ["op": "delete", "key": "k", "if_match": wrong],
        ] as [MessagePackValue] {
            #expect(errorOf { _ = try test.batch(operations: [operation], in: things) }?.code == .conflict)
        }
        _ = try test.batch(operations: [["op": "update", "key": "k", "updates": ["n": 2], "if_match": match]], in: things)
        #expect(try test.read("k", in: things)?["n"] == 2)
    }

    @Test func aConflictWithTheBatchItselfNamesNoRevision() throws {
        let test = try TestStore()
        let things = try test.collection()
        let revision = MessagePackValue.int(Int64(try test.createResult(["_id": "k", "n": 1], in: things).lsn))
        for second in [
            ["op": "put", "data": ["_id": "k"], "if_match": revision],
            ["op": "update", "key": "k", "updates": ["n": 3], "if_match": revision],
            ["op": "delete", "key": "k", "if_match": revision],
        ] as [MessagePackValue] {
            let first: MessagePackValue = ["op": "update", "key": "k", "updates": ["n": 2]]
            let error = try #require(errorOf { _ = try test.batch(operations: [first, second], in: things) })
            #expect(error.code == .conflict)
            #expect(error.details == [.init("id", "k"), .init("index", 1)])
            #expect(!error.message.contains("\(LSN.max)"))
        }
    }

    @Test func refusesTooManyItemsBeforeAnyWork() throws {
        let test = try TestStore()
        let things = try test.collection()
        let error = errorOf {
            _ = try test.batch(documents: [MessagePackValue](repeating: [:], count: BatchRequest.itemCountMax + 1), in: things)
        }
        #expect(error?.code == .tooLarge)
        #expect(try test.count(in: things) == 0)
    }

    @Test func anEmptyBatchIsNothing() throws {
        let test = try TestStore()
        let things = try test.collection()
        let before = test.engine.appliedLSN
        #expect(try test.batch(documents: [], in: things).count == 0)
        #expect(test.engine.appliedLSN == before)
    }

    @Test func markersInABatchStoreNothing() throws {
        let test = try TestStore()
        let things = try test.collection()
        let outcome = try test.batch(
            documents: [["_nexadb_collection_marker": true, "_vector_dimensions": 2], ["a": 1]], in: things)
        #expect(outcome.keys.count == 2)
        #expect(try test.count(in: things) == 1)
        #expect(things.vectorDimensions == 2)
    }

    @Test func crossedBatchesOfManyWritersDoNotDeadlock() async throws {
        let test = try TestStore()
        let things = try test.collection()
        let store = test.store
        let keys = (0..<200).map { "k\($0)" }
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    let worker = store.makeWorker()
                    for round in 0..<30 {
                        let order = writer % 2 == 0 ? keys : keys.reversed()
                        let operations = order.map { key -> MessagePackValue in
                            [
                                "op": "put",
                                "data": ["_id": .string(key), "writer": .int(Int64(writer)), "round": .int(Int64(round))],
                            ]
                        }
                        withBytes(.array(operations)) { bytes in
                            withBytes("default") { database in
                                _ = try? worker.batch(
                                    BatchRequest(items: .operations(bytes), database: database, collection: things))
                            }
                        }
                    }
                }
            }
        }
        // Every batch is atomic: whoever was last wrote all of the keys.
        let documents = try test.query(in: things)
        #expect(documents.count == 200)
        #expect(Set(documents.map { "\($0["writer"]!) \($0["round"]!)" }).count == 1)
    }
}
