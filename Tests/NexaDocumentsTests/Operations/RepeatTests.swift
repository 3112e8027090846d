import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// A write that is sent again gets the first answer and changes nothing.
struct RepeatTests {
    @Test func aCreateIsStoredOnceWithOneID() throws {
        let test = try TestStore()
        let things = try test.collection()
        let first = try test.worker.create(["n": 1], in: things, as: operationBytes(1))
        let end = test.engine.appliedLSN
        test.clock.advance(microseconds: 5_000_000)
        #expect(try test.worker.create(["n": 1], in: things, as: operationBytes(1)) == first)
        #expect(test.engine.appliedLSN == end)
        #expect(try test.count(in: things) == 1)
        #expect(try test.read(first.key, in: things) == first.document)
        // Another operation of the same content is another document.
        #expect(try test.worker.create(["n": 1], in: things, as: operationBytes(2)).key != first.key)
        #expect(try test.count(in: things) == 2)
    }

    @Test func aCreateAnswersWhatItStoredWhateverBecameOfIt() throws {
        let test = try TestStore()
        let things = try test.collection()
        let first = try test.worker.create(["_id": "k", "n": 1], in: things, as: operationBytes(1))
        _ = try test.update("k", ["n": 2], in: things)
        #expect(try test.worker.create(["_id": "k", "n": 1], in: things, as: operationBytes(1)) == first)
        #expect(try test.delete("k", in: things))
        #expect(try test.worker.create(["_id": "k", "n": 1], in: things, as: operationBytes(1)) == first)
        #expect(try test.read("k", in: things) == nil)
    }

    @Test func anUpdateIsMergedOnceAndItsRepeatShowsTheDocumentOfNow() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k"], in: things)
        let first = try #require(try test.worker.update("k", ["n": 1], in: things, as: operationBytes(1)))
        #expect(try test.worker.update("k", ["n": 1], in: things, as: operationBytes(1)) == first)
        let changed = try test.update("k", ["n": 2], in: things)
        try test.engine.waitDurable(test.engine.reservedLSN)
        let second = try #require(try test.worker.update("k", ["n": 1], in: things, as: operationBytes(1)))
        #expect(second.lsn == first.lsn && second.document == changed)
        #expect(try test.read("k", in: things)?["n"] == 2)
        #expect(try test.delete("k", in: things))
        try test.engine.waitDurable(test.engine.reservedLSN)
        let third = try #require(try test.worker.update("k", ["n": 1], in: things, as: operationBytes(1)))
        #expect(third.isGone && third.lsn == first.lsn && third.key == "k")
        #expect(try test.read("k", in: things) == nil)
    }

    @Test func aRepeatIsJudgedByTheFirstRevisionNotByTheOneThatItMade() throws {
        let test = try TestStore()
        let things = try test.collection()
        var options = WriteOptions()
        options.ifMatch = try test.createResult(["_id": "k", "n": 1], in: things).lsn
        let first = try #require(try test.worker.update("k", ["n": 2], in: things, as: operationBytes(1), options))
        #expect(try test.worker.update("k", ["n": 2], in: things, as: operationBytes(1), options) == first)
        // With another name it is another write, and that one conflicts.
        #expect(
            errorOf { _ = try test.worker.update("k", ["n": 2], in: things, as: operationBytes(2), options) }?.code == .conflict)
    }

    @Test func aDeleteLeavesWhatWasStoredSince() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k"], in: things)
        let first = try #require(try test.worker.delete("k", in: things, as: operationBytes(1)))
        #expect(try test.worker.delete("k", in: things, as: operationBytes(1)) == first)
        try test.create(["_id": "k"], in: things)
        #expect(try test.worker.delete("k", in: things, as: operationBytes(1)) == first)
        #expect(try test.read("k", in: things) != nil)
    }

    @Test func whatWroteNothingIsDecidedAnew() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k"], in: things)
        #expect(errorOf { _ = try test.worker.create(["_id": "k"], in: things, as: operationBytes(1)) }?.code == .duplicate)
        #expect(try test.worker.delete("gone", in: things, as: operationBytes(2)) == nil)
        #expect(try test.worker.update("gone", ["n": 1], in: things, as: operationBytes(3)) == nil)
        #expect(try test.delete("k", in: things))
        try test.create(["_id": "gone"], in: things)
        #expect(try test.worker.create(["_id": "k"], in: things, as: operationBytes(1)).key == "k")
        #expect(try test.worker.update("gone", ["n": 1], in: things, as: operationBytes(3))?.document["n"] == 1)
        #expect(try test.worker.delete("gone", in: things, as: operationBytes(2)) != nil)
    }

    @Test func anotherRequestOfTheSameNameIsRefused() throws {
        let test = try TestStore()
        let things = try test.collection()
        let others = try test.collection("others")
        try test.create(["_id": "k"], in: things)
        _ = try test.worker.update("k", ["n": 1], in: things, as: operationBytes(1))
        let end = test.engine.appliedLSN
        let refusals = [
            errorOf { _ = try test.worker.update("k", ["n": 2], in: things, as: operationBytes(1)) },
            errorOf { _ = try test.worker.update("l", ["n": 1], in: things, as: operationBytes(1)) },
            errorOf { _ = try test.worker.update("k", ["n": 1], in: others, as: operationBytes(1)) },
            errorOf { _ = try test.worker.delete("k", in: things, as: operationBytes(1)) },
            errorOf { _ = try test.worker.create(["n": 1], in: things, as: operationBytes(1)) },
            errorOf {
                try withOperation(operationBytes(1)) { (operation: OperationID) throws in
                    _ = try test.batch(documents: [["n": 1]], in: things) { $0.operation = operation }
                }
            },
        ]
        for refusal in refusals {
            #expect(refusal?.code == .badRequest)
            #expect(refusal?.details == [.init("field", "op_id")])
        }
        #expect(test.engine.appliedLSN == end)
        // The same counter of another client is another operation.
        #expect(try test.worker.create(["n": 1], in: things, as: operationBytes(1, client: 8)).document["n"] == 1)
    }

    @Test func aBatchRunsOnceAndItsRepeatHasTheSameIDsAndErrors() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "taken"], in: things)
        let documents: [MessagePackValue] = [["n": 1], ["_id": "taken"], ["_id": "own", "n": 3], ["_id": "taken"], ["n": 5]]
        try withOperation(operationBytes(1)) { (operation: OperationID) throws in
            let adjust: (inout BatchRequest) -> Void = {
                $0.isAtomic = false
                $0.isOrdered = false
                $0.operation = operation
            }
            let first = try test.batch(documents: documents, in: things, adjust)
            #expect(first.count == 3 && first.keys[1] == "own")
            #expect(first.errors.map(\.index) == [1, 3] && first.errors.allSatisfy { $0.code == .duplicate })
            let end = test.engine.appliedLSN
            let second = try test.batch(documents: documents, in: things, adjust)
            #expect(second.keys == first.keys && second.count == first.count && second.lsn == first.lsn)
            #expect(second.errors.map(\.index) == [1, 3] && second.errors.allSatisfy { $0.code == .duplicate })
            #expect(test.engine.appliedLSN == end)
        }
        #expect(try test.count(in: things) == 4)
    }

    @Test func aBatchThatWroteNothingIsDecidedAnew() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "taken"], in: things)
        let documents: [MessagePackValue] = [["_id": "taken"], ["_id": "free"]]
        try withOperation(operationBytes(1)) { (operation: OperationID) throws in
            let error = errorOf { _ = try test.batch(documents: documents, in: things) { $0.operation = operation } }
            #expect(error?.code == .duplicate)
            #expect(try test.delete("taken", in: things))
            #expect(try test.batch(documents: documents, in: things) { $0.operation = operation }.keys == ["taken", "free"])
        }
    }

    @Test func aRepeatThatAsksForTheDiskGetsIt() throws {
        let test = try TestStore()
        let things = try test.collection()
        var options = WriteOptions()
        options.durability = .os
        let first = try test.worker.create(["n": 1], in: things, as: operationBytes(1), options)
        try test.engine.waitDurable(first.lsn)
        #expect(test.engine.durableLSN < first.lsn)
        options.durability = .disk
        options.mayBlock = false
        let refusal = errorOf { _ = try test.worker.create(["n": 1], in: things, as: operationBytes(1), options) }
        #expect(refusal?.isWouldBlock == true)
        options.mayBlock = true
        #expect(try test.worker.create(["n": 1], in: things, as: operationBytes(1), options) == first)
        #expect(test.engine.durableLSN >= first.lsn)
    }

    @Test func ofManyCopiesAtOnceOneExecutes() async throws {
        let test = try TestStore()
        let things = try test.collection()
        let store = test.store
        for number in 0..<200 {
            let keys = await withTaskGroup(of: String?.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        try? store.makeWorker().create(["n": .int(Int64(number))], in: things, as: operationBytes(number)).key
                    }
                }
                return await group.reduce(into: [String?]()) { $0.append($1) }
            }
            #expect(keys.count == 4 && keys[0] != nil && Set(keys).count == 1)
        }
        #expect(try test.count(in: things) == 200)
    }

    @Test func whatIsLeftOfADroppedCollectionAnswersRepeatsAndTakesNothingNew() throws {
        let test = try TestStore()
        let things = try test.collection("things")
        let first = try test.worker.create(["n": 1], in: things, as: operationBytes(1))
        _ = try test.worker.update(first.key, ["n": 2], in: things, as: operationBytes(2))
        _ = try test.store.catalog.dropCollection(database: "default", name: "things")
        let left = Collection.dropped(database: "default", name: "things")
        #expect(try test.worker.create(["n": 1], in: left, as: operationBytes(1)) == first)
        #expect(try test.worker.update(first.key, ["n": 2], in: left, as: operationBytes(2))?.isGone == true)
        for number in 3...4 {
            let error = errorOf { _ = try test.worker.create(["_id": "c"], in: left, as: operationBytes(number)) }
            #expect(error?.code == .noSuchCollection)
        }
    }
}
