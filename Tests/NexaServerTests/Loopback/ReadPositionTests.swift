import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// What a request says about where to read holds for every request that reads.
@Suite(.serialized) struct ReadPositionTests {
    private static let reads: [(MessageType, MessagePackValue)] = [
        (.read, ["collection": "c", "key": "k"]), (.multiRead, ["collection": "c", "keys": ["k"]]),
        (.query, ["collection": "c"]), (.count, ["collection": "c"]), (.explain, ["collection": "c"]),
        (.vectorSearch, ["collection": "c", "vector": [1.0, 2.0]]), (.queryToon, ["collection": "c"]),
        (.exportToon, ["collection": "c"]), (.collectionStats, ["collection": "c"]), (.getDatabaseStats, [:]),
        (.getVectors, [:]), (.buildHNSWIndex, ["collection": "c"]), (.listCollections, [:]), (.listDatabases, [:]),
    ]

    @Test func noReadAnswersATokenFromTheFutureWithWhatIsThere() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            try client.send(
                .create, ["collection": "c", "data": ["_id": "k", "vector": [1.0, 2.0]]], flags: .token)
            let token = try #require(try client.receive()?.token)
            func at(_ lsn: UInt64, _ fields: MessagePackValue) -> MessagePackValue {
                .map((fields.mapValue ?? []) + [.init("after", .array([.uint(token.epoch), .uint(lsn)])), .init("wait_ms", 0)])
            }
            for (type, fields) in Self.reads {
                #expect(try client.call(type, at(token.lsn, fields)).type == .success, "\(type)")
                #expect(try client.call(type, at(token.lsn + 1_000, fields)).code == "STALE_READ", "\(type)")
                let concern = MessagePackValue.map((fields.mapValue ?? []) + [.init("read_concern", "any")])
                #expect(try client.call(type, concern).code == "BAD_REQUEST", "\(type)")
            }
        }
    }
}
