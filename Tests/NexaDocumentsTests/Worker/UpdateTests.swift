import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct UpdateTests {
    @Test func mergesShallowlyInPlace() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k", "a": 1, "m": ["x": 1, "y": 2], "z": "end"], in: things)
        test.clock.advance(microseconds: 5_000_000)
        let updated = try #require(try test.update("k", ["m": ["x": 9], "new": true, "a": nil], in: things))
        #expect(updated.withoutTimestamps == ["_id": "k", "a": nil, "m": ["x": 9], "z": "end", "new": true])
        #expect(updated["_created_at"] == "2026-11-22T14:22:46.595872")
        #expect(updated["_updated_at"] == "2026-11-22T14:22:51.595872")
        #expect(try test.read("k", in: things) == updated)
    }

    @Test func answersNilForAMissingDocument() throws {
        let test = try TestStore()
        let things = try test.collection()
        #expect(try test.update("nobody", ["a": 1], in: things) == nil)
        #expect(try test.update(String(repeating: "k", count: 2000), ["a": 1], in: things) == nil)
        #expect(try test.count(in: things) == 0)
    }

    @Test func upsertMakesTheDocument() throws {
        let test = try TestStore()
        let things = try test.collection()
        let made = try #require(try test.update("k", ["a": 1, "id": "own"], in: things) { $0.upserts = true })
        #expect(made.withoutTimestamps == ["_id": "k", "a": 1, "id": "own"])
        let again = try #require(try test.update("k", ["b": 2], in: things) { $0.upserts = true })
        #expect(again.withoutTimestamps == ["_id": "k", "a": 1, "id": "own", "b": 2])
    }

    @Test func keepsTheKeyAndTheTimesOfTheServer() throws {
        let test = try TestStore()
        let things = try test.collection()
        let stored = try test.create(["_id": "k", "a": 1], in: things)
        let updated = try test.update("k", ["_id": "k", "_created_at": "x", "_updated_at": 3, "a": 2], in: things)
        #expect(updated?.fieldNames == ["_id", "_created_at", "_updated_at", "a"])
        #expect(updated?["_created_at"] == stored["_created_at"])
        for other in ["other", 7, nil] as [MessagePackValue] {
            #expect(errorOf { _ = try test.update("k", ["_id": other], in: things) }?.code == .badUpdate)
        }
    }

    @Test func namesTheOperatorThatItDoesNotKnow() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k", "a": 1], in: things)
        let error = errorOf { _ = try test.update("k", ["a": 2, "$inc": ["a": 1]], in: things) }
        #expect(error?.code == .badUpdate)
        #expect(error?.message.contains("'$inc'") == true)
        #expect(error?.details.first?.value == "$inc")
        #expect(try test.read("k", in: things)?["a"] == 1)
        #expect(errorOf { _ = try test.update("k", [1], in: things) }?.code == .badUpdate)
    }

    @Test func conflictsUnlessTheRevisionMatches() throws {
        let test = try TestStore()
        let things = try test.collection()
        let first = try test.createResult(["_id": "k", "a": 1], in: things).lsn
        #expect(try test.revision("k", in: things) == first)
        #expect(try test.update("k", ["a": 2], in: things) { $0.ifMatch = first } != nil)
        let error = errorOf { _ = try test.update("k", ["a": 3], in: things) { $0.ifMatch = first } }
        #expect(error?.code == .conflict)
        #expect(try test.read("k", in: things)?["a"] == 2)
        #expect(try test.update("nobody", ["a": 3], in: things) { $0.ifMatch = first } == nil)
        let upsert = errorOf {
            _ = try test.update("nobody", ["a": 3], in: things) {
                $0.ifMatch = first
                $0.upserts = true
            }
        }
        #expect(upsert?.code == .conflict)
    }

    @Test func aPlainDocumentWrittenBackGainsNoFieldOfItsOwn() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k", "a": 1], in: things)
        let updated = try test.update("k", ["id": "k", "_id": "k", "a": 2], in: things) { $0.usesIDField = true }
        #expect(updated?.withoutTimestamps == ["_id": "k", "a": 2])
        #expect(try test.update("k", ["id": "k"], in: things)?["id"] == "k")
    }

    @Test func mergesManyFieldsAgainstManyFields() throws {
        let test = try TestStore()
        let things = try test.collection()
        let names = (0..<3000).map { "field\($0)" }
        var document = names.map { MessagePackValue.Entry($0, 0) }
        document.insert(.init("_id", "k"), at: 0)
        try test.create(.map(document), in: things)
        let changed = stride(from: 0, to: 3000, by: 3).map { MessagePackValue.Entry(names[$0], 1) }
        let added = (0..<1000).map { MessagePackValue.Entry("added\($0)", 2) }
        let updated = try #require(try test.update("k", .map(changed + added), in: things))
        #expect(updated.fieldNames.dropFirst(3).elementsEqual(names + added.compactMap(\.key.stringValue)))
        #expect(updated["field3"] == 1)
        #expect(updated["field4"] == 0)
    }

    @Test func checksVectorsOfUpdates() throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k", "vector": [1, 2]], in: things)
        let error = errorOf { _ = try test.update("k", ["vector": [1]], in: things) }
        #expect(error?.message == "Vector dimension mismatch: collection expects 2 dimensions, got 1")
        #expect(try test.update("k", ["vector": [3, 4]], in: things)?["vector"] == [3, 4])
    }

    @Test func concurrentUpdatesLoseNothing() async throws {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(["_id": "k"], in: things)
        let store = test.store
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    let worker = store.makeWorker()
                    for step in 0..<50 {
                        withBytes("k") { key in
                            withBytes([("w\(writer)_\(step)", 1)]) {
                                _ = try? worker.update(things, key: key, updates: $0, options: WriteOptions())
                            }
                        }
                    }
                }
            }
        }
        #expect(try test.read("k", in: things)?.mapValue?.count == 3 + 200)
    }
}

/// Gives the bytes of a map to `body`.
private func withBytes(_ entries: [(String, MessagePackValue)], _ body: (UnsafeRawBufferPointer) -> Void) {
    NexaDocumentsTests.withBytes(.map(entries.map { .init($0.0, $0.1) }), body)
}
