import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// Requests as upstream's clients send them (captured bytes), and the shapes that they need back.
@Suite(.serialized) struct DialectTests {
    /// Frames captured from existing clients.
    private enum Captured {
        static let connect = hex(
            "4e455841010100000000002282a8757365726e616d65a4726f6f74a870617373776f7264a96e6578616462313233")
        static let connectOldPython = hex(
            "4e455841010100000000002482a6636c69656e74ad6e65786164622d707974686f6ea776657273696f6ea5312e312e30")
        static let create = hex(
            "4e455841010200000000002782aa636f6c6c656374696f6ea57573657273a46461746182a46e616d65a44a6f686ea36167651e")
        static let readMissing = hex("4e455841010300000000001b82aa636f6c6c656374696f6ea57573657273a36b6579a46e6f7065")
        static let notFound = hex("4e455841018300000000001181a56572726f72a94e6f7420666f756e64")
        static let batch = hex(
            "4e455841010800000000002582aa636f6c6c656374696f6ea162a9646f63756d656e74739381a1610181a1610281a16103")
        static let createDatabase = hex(
            "4e455841010200000000002182af6372656174655f6461746162617365c3a86461746162617365a56e65776462")
        static let databaseCreated = hex(
            "4e455841018100000000002982a86461746162617365a56e65776462a76d657373616765b044617461626173652063726561746564")
        static let listCollections = hex("4e455841012000000000001281a86461746162617365a764656661756c74")
        static let listDatabasesByTrue = hex("4e455841012000000000000b81a86461746162617365c3")
        static let dropCollection = hex(
            "4e455841012100000000001f82aa636f6c6c656374696f6ea162a86461746162617365a764656661756c74")
        static let collectionDropped = hex(
            "4e455841018100000000003a83a86461746162617365a764656661756c74aa636f6c6c656374696f6ea162a76d657373616765b2436f6c6c656374696f6e2064726f70706564"
        )
        static let dropDatabaseRiding = hex(
            "4e455841012100000000001f82a86461746162617365a56e65776462ad64726f705f6461746162617365c3")
        static let databaseDropped = hex(
            "4e455841018100000000004883a773756363657373c3a86461746162617365a56e65776462a76d657373616765d925446174616261736520276e65776462272064726f70706564207375636365737366756c6c79"
        )
        static let dropDefault = hex("4e455841014200000000001281a86461746162617365a764656661756c74")
        static let disconnect = hex("4e455841010a00000000000180")
        static let goodbye = hex("4e455841018100000000001081a6737461747573a7676f6f64627965")
        static let vectorSearch = hex(
            "4e455841010700000000005a85aa636f6c6c656374696f6ea176a6766563746f7294cb3fe0000000000000cb3fc999999999999acb3fef5c28f5c28f5ccb3fe0000000000000a56c696d697403aa64696d656e73696f6e7304a766696c7465727381a174a141"
        )
    }

    private static func answer(_ client: RawClient, _ request: [UInt8]) throws -> ReceivedFrame {
        try client.send(request)
        return try #require(try client.receive())
    }

    private static func bytes(_ frame: ReceivedFrame) -> [UInt8] {
        let output = OutputBytes()
        let mark = output.beginFrame(frame.type ?? .error)
        output.append(frame.payload)
        output.endFrame(mark)
        return Array(output.bytes)
    }

    @Test func connectTellsWhatEveryClientLooksFor() async throws {
        try await LoopbackNode.run { port in
            for request in [Captured.connect, Captured.connectOldPython] {
                let answer = try Self.answer(try RawClient(port: port), request)
                #expect(answer.type == .success)
                #expect(answer["status"] == "connected")
                #expect(answer["authenticated"] == true)
                #expect(answer["dialect"] == "envelope")
                for field in ["server", "version", "username", "role", "node_id", "role_in_cluster", "epoch", "lsn", "features"] {
                    #expect(answer[field] != nil, "\(field)")
                }
            }
        }
    }

    @Test func envelopesAreThoseOfUpstream() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try Self.answer(client, Captured.connect)
            let created = try Self.answer(client, Captured.create)
            #expect(created.value.fieldNames == ["database", "collection", "document_id", "message"])
            #expect(created["message"] == "Document inserted")
            let key = try #require(created["document_id"])
            let address: MessagePackValue = ["collection": "users", "key": key]
            let read = try client.call(.read, address)
            #expect(read.value.fieldNames == ["database", "collection", "document"])
            #expect(read["document"]?.fieldNames == ["_id", "_created_at", "_updated_at", "name", "age"])
            #expect(read["document"]?["_id"] == key)
            let updated = try client.call(.update, ["collection": "users", "document_id": key, "data": ["age": 31]])
            #expect(
                updated.value == [
                    "database": "default", "collection": "users", "document_id": key, "message": "Document updated",
                ])
            #expect(Self.bytes(try Self.answer(client, Captured.readMissing)) == Captured.notFound)
            let query = try client.call(.query, ["collection": "users", "query": ["age": 31.0], "limit": 5])
            #expect(query.value.fieldNames == ["database", "collection", "documents", "count"])
            #expect(query["count"] == 1)
            #expect(query["documents"]?[0]?["name"] == "John")
            let deleted = try client.call(.delete, address)
            #expect(
                deleted.value == [
                    "database": "default", "collection": "users", "document_id": key, "message": "Document deleted",
                ])
            #expect(try client.call(.delete, address).type == .notFound)
            let batch = try Self.answer(client, Captured.batch)
            #expect(batch.value.fieldNames == ["database", "collection", "document_ids", "count", "message"])
            #expect(batch["message"] == "Inserted 3 documents")
            #expect(try client.call(.query, ["collection": "users", "limit": 0])["count"] == 0)
            #expect(try client.call(.query, ["collection": "b", "limit": 0])["count"] == 3)
            #expect(try client.call(.query, ["collection": "b", "limit": 0])["documents"] == [])
        }
    }

    @Test func anExistingKeyIsAnErrorWithTextInTheEnvelope() async throws {
        try await LoopbackNode.run { port in
            let envelope = try RawClient(port: port)
            _ = try Self.answer(envelope, Captured.connect)
            let request: MessagePackValue = ["collection": "c", "data": ["_id": "K"]]
            #expect(try envelope.call(.create, request).type == .success)
            let refused = try envelope.call(.create, request)
            #expect(refused.type == .error)
            #expect(refused.code == "DUPLICATE")
            #expect(refused["error"] == "Duplicate key: document 'K' already exists in collection 'c'")
            let plain = try RawClient(port: port)
            let duplicate = try plain.call(.create, request)
            #expect(duplicate.type == .duplicate)
            #expect(duplicate["id"] == "K")
        }
    }

    @Test func theVectorIsKeptOutOfEnvelopesUnlessAskedFor() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try Self.answer(client, Captured.connect)
            let made = try client.call(
                .create, ["collection": "v", "data": ["_id": "a", "vector": [0.9, 0.15, 0.97, 0.5], "t": "A"]])
            #expect(made.type == .success)
            let found = try Self.answer(client, Captured.vectorSearch)
            #expect(found.value.fieldNames == ["database", "collection", "results", "count"])
            #expect(found["count"] == 1)
            let result = try #require(found["results"]?[0])
            #expect(result.fieldNames == ["document_id", "similarity", "document"])
            #expect(abs((result["similarity"]?.doubleValue ?? 0) - 0.96454) < 0.0001)
            #expect(result["document"]?["vector"] == nil)
            let address: MessagePackValue = ["collection": "v", "key": "a"]
            #expect(try client.call(.read, address)["document"]?["vector"] == nil)
            let whole = try client.call(.read, ["collection": "v", "key": "a", "include_vector": true])
            #expect(whole["document"]?["vector"] == [0.9, 0.15, 0.97, 0.5])
            let wrong = try client.call(.create, ["collection": "v", "data": ["vector": [1, 2]]])
            #expect(
                wrong["error"]?.stringValue?.hasPrefix("Vector dimension mismatch: collection expects 4 dimensions, got 2")
                    == true)
        }
    }

    @Test func databasesAndCollectionsByTheFormsOfExistingClients() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try Self.answer(client, Captured.connect)
            #expect(Self.bytes(try Self.answer(client, Captured.createDatabase)) == Captured.databaseCreated)
            #expect(try Self.answer(client, Captured.listDatabasesByTrue)["databases"] == ["default", "newdb"])
            _ = try Self.answer(client, Captured.batch)
            let marker = try client.call(
                .create,
                [
                    "collection": "marked", "database": "newdb",
                    "data": [
                        "_nexadb_collection_marker": true, "_created_at": 1.5, "price": -999_999, "name": "_collection_marker",
                        "value": -999_999, "type": "_marker", "_vector_dimensions": 3,
                    ],
                ])
            #expect(marker.type == .success)
            #expect(try client.call(.query, ["collection": "marked", "database": "newdb"])["count"] == 0)
            #expect(try client.call(.listCollections, ["database": "newdb"])["collections"] == ["marked"])
            let wrong = try client.call(.create, ["collection": "marked", "database": "newdb", "data": ["vector": [1.0]]])
            #expect(wrong.type == .error)
            #expect(
                try Self.answer(client, Captured.listCollections).value == [
                    "database": "default", "collections": ["b"], "count": 1,
                ])
            #expect(Self.bytes(try Self.answer(client, Captured.dropCollection)) == Captured.collectionDropped)
            #expect(try Self.answer(client, Captured.dropCollection)["error"] == "Collection 'b' not found in database 'default'")
            let stats = try client.call(.collectionStats, ["database": "newdb", "get_database_stats": true])
            #expect(stats["collections_count"] == 1)
            #expect(stats["documents_count"] == 0)
            #expect(stats["storage_bytes"] == 0)
            #expect(Self.bytes(try Self.answer(client, Captured.dropDatabaseRiding)) == Captured.databaseDropped)
            #expect(try client.call(.dropDatabase, ["database": "newdb"])["error"] == "Database 'newdb' not found")
            #expect(try Self.answer(client, Captured.dropDefault)["error"] == "Cannot drop 'default' database")
            #expect(try client.call(.createCollection, ["collection": "c2"]).type == .success)
            #expect(
                try client.call(.createCollection, ["collection": "c2"])["error"]?.stringValue?.contains("already exists") == true
            )
            #expect(try client.call(.create, ["collection": "c2", "database": nil, "data": ["a": 1]])["database"] == "default")
            #expect(Self.bytes(try Self.answer(client, Captured.disconnect)) == Captured.goodbye)
        }
    }

    @Test func plainAnswersAreTheResultsThemselves() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            let made = try client.call(.create, ["collection": "c", "data": ["id": "k", "n": 1]])
            #expect(made["id"] == "k")
            #expect(made["_id"] == "k")
            let generated = try client.call(.create, ["collection": "c", "data": [:]])
            #expect(generated["id"] == generated["_id"])
            #expect(generated["id"]?.stringValue?.utf8.count == 16)
            let updated = try client.call(.update, ["collection": "c", "key": "k", "updates": ["n": 2]])
            #expect(updated["n"] == 2)
            #expect(updated["_created_at"] == made["_created_at"])
            #expect(try client.call(.count, ["collection": "c"]).value == ["count": 2])
            let list = try client.call(.query, ["collection": "c", "filters": ["n": ["$gte": 2]]])
            #expect(list.value.arrayValue?.count == 1)
            #expect(try client.call(.query, ["collection": "none"]).value == [])
            #expect(try client.call(.count, ["collection": "none"]).value == ["count": 0])
            #expect(try client.call(.query, ["collection": "none", "filters": ["$no": 1]]).code == "BAD_FILTER")
            let many = try client.call(.multiRead, ["collection": "c", "keys": ["k", "missing"]])
            #expect(many.value[0]?["n"] == 2)
            #expect(many.value[1] == .null)
            #expect(try client.call(.delete, ["collection": "c", "key": "k"]).value == ["id": "k", "deleted": true])
            let batch = try client.call(.batchWrite, ["collection": "c", "documents": [["_id": "x"], ["_id": "y"]]])
            #expect(batch.value == ["ids": ["x", "y"], "count": 2])
            #expect(try client.call(.bind, ["collection": "c"]).code == "UNSUPPORTED")
        }
    }

    @Test func theCompactFormMeansTheSame() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            let hello = try client.call(.connect, ["dialect": "plain", "features": ["compact", "teleport"]])
            #expect(hello["features"] == ["compact"])
            #expect(try client.call(.bind, ["collection": "c"]).value == 0)
            #expect(try client.call(.bind, ["collection": "c", "database": "d2"]).value == 1)
            #expect(try client.call(.bind, ["collection": "c"]).value == 0)
            #expect(try client.call(.create, [0, ["_id": "k", "n": 1], ["return": "id"]]).value == "k")
            #expect(try client.call(.read, [0, "k"])["n"] == 1)
            #expect(try client.call(.read, ["c", "k"])["n"] == 1)
            #expect(try client.call(.read, [1, "k"]).type == .notFound)
            #expect(try client.call(.update, [0, "k", ["n": 5]])["n"] == 5)
            #expect(try client.call(.query, [0, ["n": 5]]).value.arrayValue?.count == 1)
            #expect(try client.call(.batchWrite, [1, [["_id": "z"]]])["ids"] == ["z"])
            #expect(try client.call(.delete, [0, "k"])["deleted"] == true)
            #expect(try client.call(.read, [9, "k"]).code == "BAD_REQUEST")
        }
    }

    @Test func whatIsNotServedYetSaysSo() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            for type in [MessageType.createIndex, .aggregate] {
                #expect(try client.call(type).code == "UNSUPPORTED", "\(type.name)")
            }
            #expect(try client.call(.create, ["collection": "c", "data": [:], "w": 2]).code == "BAD_REQUEST")
            #expect(try client.call(.create, ["collection": "c", "data": [:], "w": "majority"]).type == .success)
        }
    }
}
