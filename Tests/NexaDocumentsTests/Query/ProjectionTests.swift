import NexaDocuments
import NexaStorage
import NexaWire
import Testing

struct ProjectionTests {
    private func project(
        _ projection: MessagePackValue, _ document: MessagePackValue, _ adjust: (inout QuerySpec) -> Void = { _ in }
    ) throws -> MessagePackValue {
        let test = try TestStore()
        let things = try test.collection()
        try test.create(document, in: things)
        return try test.query(projection: projection, in: things, adjust)[0].withoutTimestamps
    }

    private let document: MessagePackValue = [
        "_id": "k", "a": 1, "m": ["x": 1, "y": ["z": 2, "w": 3]], "l": [["p": 1, "q": 2], 7, ["q": 3], [["p": 4]]], "b": "text",
    ]

    @Test func includes() throws {
        #expect(try project(["a": 1, "b": true], document) == ["_id": "k", "a": 1, "b": "text"])
        #expect(try project(["b", "nope"], document) == ["_id": "k", "b": "text"])
        #expect(try project(["a": 1, "_id": 0], document) == ["a": 1])
        #expect(try project(["_id": 1], document) == ["_id": "k"])
    }

    @Test func excludes() throws {
        #expect(try project(["m": 0, "l": false], document) == ["_id": "k", "a": 1, "b": "text"])
        #expect(try project(["_id": 0, "m": 0, "l": 0], document) == ["a": 1, "b": "text"])
        #expect(try project(["_id": 0], ["_id": "k", "a": 1]) == ["a": 1])
    }

    @Test func followsDottedPaths() throws {
        #expect(try project(["m.y.z": 1], document) == ["_id": "k", "m": ["y": ["z": 2]]])
        #expect(try project(["m.x": 0, "l": 0], document) == ["_id": "k", "a": 1, "m": ["y": ["z": 2, "w": 3]], "b": "text"])
        #expect(try project(["l.p": 1], document) == ["_id": "k", "l": [["p": 1], [:], [["p": 4]]]])
        #expect(try project(["l.q": 0, "m": 0, "a": 0, "b": 0], document) == ["_id": "k", "l": [["p": 1], 7, [:], [["p": 4]]]])
        #expect(try project(["a.x": 1], document) == ["_id": "k"])
        #expect(try project(["a.x": 0, "m": 0, "l": 0, "b": 0], document) == ["_id": "k", "a": 1])
        #expect(try project(["m.x": 1, "m.y.w": 1], document) == ["_id": "k", "m": ["x": 1, "y": ["w": 3]]])
    }

    @Test func anEmptyProjectionChangesNothing() throws {
        #expect(try project([:], document) == document)
        #expect(try project(.array([]), document) == document)
    }

    @Test func keepsThePlainID() throws {
        #expect(try project(["a": 1], document) { $0.shape = .plain } == ["id": "k", "_id": "k", "a": 1])
        #expect(try project(["a": 1, "_id": 0], document) { $0.shape = .plain } == ["a": 1])
        #expect(try project(["id": 0, "m": 0, "l": 0, "b": 0], document) { $0.shape = .plain } == ["_id": "k", "a": 1])
        #expect(try project(["a": 1], ["_id": "k", "id": "own", "a": 1]) { $0.shape = .plain } == ["_id": "k", "a": 1])
    }

    @Test func writesLargeMaps() throws {
        let wide = MessagePackValue.map([.init("_id", "k")] + (0..<70_000).map { .init("f\($0)", .int(Int64($0))) })
        let kept = try project(["f1": 0], wide)
        #expect(kept.mapValue?.count == 70_000)
        #expect(kept["f1"] == nil)
        #expect(kept["f69999"] == 69_999)
    }

    @Test(
        arguments: [
            7, "a", ["a": 1, "b": 0], ["a": ["$slice": 1]], ["a": nil], ["a.b": 1, "a": 1], ["a": 1, "a.b": 1], ["": 1],
            ["a..b": 1], [7],
        ] as [MessagePackValue])
    func refuses(projection: MessagePackValue) throws {
        #expect(errorOf { _ = try project(projection, document) }?.code == .badRequest)
    }
}
