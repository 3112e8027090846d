import NexaServer
import NexaTestKit
import NexaWire
import Testing

@Suite struct ToonTests {
    private let documents: [MessagePackValue] = [
        ["_id": "a", "n": 1, "s": "two words", "f": 1.5], ["_id": "b", "n": nil, "tags": ["x", 1], "s": "a,b \"c\"\nd"],
        ["_id": "c", "s": "true", "n": "12", "deep": ["k": ["v": false]]], ["_id": "d", "s": "", "n": " padded "],
    ]

    @Test func theTableIsThatOfUpstream() {
        let text = ToonWriter.write(
            collection: "b",
            documents: [["_id": "3c43", "_created_at": "2026-11-22T14:22:46.621147", "a": 3], ["_id": "5b", "a": 1]])
        #expect(
            text == """
                collection: b
                documents[2]{_id,_created_at,a}:
                  3c43,2026-11-22T14:22:46.621147,3
                  5b,null,1
                count: 2
                """)
        #expect(ToonWriter.write(collection: "b", documents: []) == "collection: b\ndocuments[0]:\ncount: 0")
    }

    @Test func whatIsWrittenIsReadBackEqual() throws {
        let parsed = try ToonReader.parse(ToonWriter.write(collection: "c", documents: documents, exportedAt: 1.25))
        #expect(parsed["count"] == 4)
        #expect(parsed["exported_at"] == 1.25)
        let rows = try #require(parsed["documents"]?.arrayValue)
        for (row, document) in zip(rows, documents) {
            for entry in document.mapValue ?? [] { #expect(row[entry.key.stringValue ?? ""] == entry.value) }
        }
    }

    @Test func blocksListsAndScalarsAreRead() throws {
        let value = try ToonReader.parse(
            "name: x\nlist[3]: 1,two,\"3\"\nempty[0]:\nmap:\n  inner: null\n  more:\n    deep: -1.5e3\n")
        #expect(
            value == ["name": "x", "list": [1, "two", "3"], "empty": [], "map": ["inner": nil, "more": ["deep": -1_500.0]]])
    }

    @Test func brokenTextsNameTheirLine() {
        for (text, line) in [
            ("documents[2]{a}:\n  1\n", 1), ("documents[1]{a,b}:\n  1\n", 2), ("x[2]: 1\n", 1), ("no colon", 1), ("a: \"open", 1),
            ("a: 1\n  b: 2", 2), ("x[-1]: 1", 1),
        ] {
            do {
                _ = try ToonReader.parse(text)
                Issue.record("accepted: \(text)")
            } catch {
                #expect(error.line == line, "\(text)")
            }
        }
    }

    @Test func jsonSizeIsThatOfPython() {
        #expect(
            PythonJSON.characterCount(["a": 1, "b": [true, nil, 1.5], "c": "é\"\u{1F600}"])
                == "{\"a\": 1, \"b\": [true, null, 1.5], \"c\": \"\\u00e9\\\"\\ud83d\\ude00\"}".count)
        #expect(PythonJSON.characterCount([]) == 2)
    }

    @Test func aTableOfManyColumnsIsWrittenOrRefusedAtOnce() async throws {
        func fields(_ count: Int, from first: Int) -> MessagePackValue {
            .map((first..<first + count).map { .init("f\($0)", .int(Int64($0))) })
        }
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            #expect(try client.call(.create, ["collection": "wide", "data": fields(60_000, from: 0)]).type == .success)
            let wide = try client.call(.queryToon, ["collection": "wide"])
            #expect(wide["count"] == 1)
            #expect(wide["data"]?.stringValue?.contains(",59998,59999\n") == true)
            // 2,000 rows of 40,003 columns: 80 million cells.
            let documents = MessagePackValue.array((0..<2_000).map { fields(20, from: 20 * $0) })
            #expect(try client.call(.batchWrite, ["collection": "sparse", "documents": documents]).type == .success)
            #expect(try client.call(.queryToon, ["collection": "sparse"]).code == "RESULT_TOO_LARGE")
        }
    }

    @Test func anImportThatCannotBeWrittenDropsNothing() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try client.call(.create, ["collection": "c", "data": ["_id": "old", "vector": [1.0, 2.0]]])
            func replace(_ text: String, _ more: [MessagePackValue.Entry] = []) throws -> ReceivedFrame {
                try client.call(
                    .importToon,
                    .map([.init("collection", "c"), .init("toon_data", .string(text)), .init("replace", true)] + more))
            }
            let name = String(repeating: "n", count: 1 << 20)
            let tooLarge = "documents[20]{\(name)}:\n" + String(repeating: "  1\n", count: 20)
            for (text, code) in [
                ("documents[2]{_id,n}:\n  a,1\n  a,2\n", "DUPLICATE"), ("documents[1]{_id}:\n  7\n", "BAD_REQUEST"),
                ("documents[1]{_id}:\n  \(String(repeating: "k", count: 1_025))\n", "BAD_REQUEST"),
                ("documents[1]{_id}:\n  \"\"\n", "BAD_REQUEST"), ("documents[1]{a,a}:\n  1,2\n", "BAD_REQUEST"),
                ("documents[2]{vector}:\n  \"[1,2]\"\n  \"[1,2,3]\"\n", "BAD_REQUEST"),
                ("documents[1]{vector}:\n  \"[1,1e300]\"\n", "BAD_REQUEST"), ("documents[1]: 1\n", "BAD_REQUEST"),
                (tooLarge, "TOO_LARGE"),
            ] {
                #expect(try replace(text).code == code, "\(text.prefix(60))")
                #expect(try client.call(.count, ["collection": "c"])["count"] == 1, "\(text.prefix(60))")
            }
            let good = "documents[2]{_id,vector}:\n  a,\"[1,2,3]\"\n  b,\"[4,5,6]\"\n"
            #expect(try replace(good, [.init("w", 5)]).code == "BAD_REQUEST")
            #expect(try replace(good, [.init("durability", "paper")]).code == "BAD_REQUEST")
            #expect(try client.call(.read, ["collection": "c", "key": "old"]).type == .success)
            #expect(try replace(good, [.init("w", "majority"), .init("durability", "os")])["imported"] == 2)
            #expect(try client.call(.count, ["collection": "c"])["count"] == 2)
            #expect(try client.call(.read, ["collection": "c", "key": "old"]).type == .notFound)
        }
    }

    @Test func theCommandsOfExistingClients() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try client.call(.connect, ["username": "root", "password": "x"])
            try client.send(
                hex(
                    "4e455841010d00000000004883aa636f6c6c656374696f6ea3696d70a9746f6f6e5f64617461d923646f63756d656e74735b325d7b6e2c737d3a0a2020312c6162630a2020322c6465660aa77265706c616365c3"
                ))
            let imported = try #require(try client.receive())
            #expect(imported.value.fieldNames == ["database", "collection", "imported", "replaced", "document_ids", "message"])
            #expect(imported["message"] == "Successfully imported 2 documents from TOON format")
            #expect(imported["replaced"] == true)
            let query = try client.call(.queryToon, ["collection": "imp", "filters": ["n": 2], "limit": 3])
            #expect(query.value.fieldNames == ["database", "collection", "format", "data", "count", "token_stats"])
            #expect(query["count"] == 1)
            #expect(query["data"]?.stringValue?.contains(",2,def\n") == true)
            let export = try client.call(.exportToon, ["collection": "imp"])
            #expect(export["count"] == 2)
            #expect(export["token_stats"]?["estimated_cost_savings"] != nil)
            #expect(try client.call(.exportToon, ["collection": "none"])["count"] == 0)
            #expect(
                try client.call(.importToon, ["collection": "imp", "toon_data": "x[2]: 1"])["error"]?.stringValue?.hasPrefix(
                    "Failed to import TOON data: ") == true)
            #expect(try client.call(.buildHNSWIndex, ["collection": "imp"])["error"] == "No vectors found in collection 'imp'")
            _ = try client.call(.create, ["collection": "v", "data": ["_id": "a", "vector": [1.0, 2.0]]])
            _ = try client.call(.create, ["collection": "v", "data": ["_id": "b"]])
            #expect(try client.call(.buildHNSWIndex, ["collection": "v", "M": 16])["num_vectors"] == 1)
            let vectors = try client.call(.getVectors)
            #expect(vectors["status"] == "success")
            #expect(vectors["total_vectors"] == 1)
            #expect(
                vectors["collections"] == ["v": ["count": 1, "dimensions": 2, "documents": [["doc_id": "a", "dimensions": 2]]]])
        }
    }
}
