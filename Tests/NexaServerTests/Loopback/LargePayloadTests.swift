import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// Payloads that take long to check: the work pool checks them, and the order of their connection is what it would be on the loop.
struct LargePayloadTests {
    private static func document(_ key: String, byteCount: Int = 300_000) -> MessagePackValue {
        ["_id": .string(key), "text": .string(String(repeating: "x", count: byteCount))]
    }

    @Test func aLargePayloadIsCheckedInTheWorkPool() async throws {
        try await withNode { node, client in
            _ = try client.call(.create, ["collection": "c", "data": ["_id": "first"]])
            func jobs() -> UInt64 { node.context.metricsSnapshot()[.jobs] }
            let before = jobs()
            #expect(
                try client.call(.create, ["collection": "c", "data": Self.document("small", byteCount: 200_000)]).type == .success
            )
            #expect(jobs() == before)
            #expect(try client.call(.create, ["collection": "c", "data": Self.document("large")]).type == .success)
            #expect(jobs() == before + 1)
            let read = try client.call(.read, ["collection": "c", "key": "large"])
            #expect(read["text"]?.stringValue?.utf8.count == 300_000)
        }
    }

    @Test func whatIsWrongWithALargePayloadIsSaidAsEver() async throws {
        try await withNode { _, client in
            var frame = RawClient.frame(.create, ["collection": "c", "data": Self.document("k")])
            frame[frame.count - 1] = 0xFF
            try client.send(frame)
            let answer = try #require(try client.receive())
            #expect(answer.code == "BAD_PAYLOAD" && answer["path"] == "data.text")
            #expect(try client.call(.ping).type == .pong)
        }
    }

    /// With ids and without: what comes behind a large write finds what it wrote.
    @Test(arguments: [false, true]) func aLargeWriteKeepsItsPlace(hasIDs: Bool) async throws {
        try await withNode { _, client in
            for round in 0..<20 {
                let key = MessagePackValue.string("k\(round)")
                let requests: [(MessageType, MessagePackValue)] = [
                    (.create, ["collection": "c", "data": Self.document("k\(round)"), "return": "id"]),
                    (.update, ["collection": "c", "key": key, "updates": ["n": 1], "return": "id"]),
                    (.delete, ["collection": "c", "key": key]),
                ]
                var bytes: [UInt8] = []
                for (index, (type, payload)) in requests.enumerated() {
                    bytes += RawClient.frame(type, payload, requestID: hasIDs ? UInt32(3 * round + index) : nil)
                }
                try client.send(bytes)
                for index in requests.indices {
                    let answer = try #require(try client.receive())
                    #expect(answer.type == .success, "\(answer.value)")
                    if hasIDs { #expect(answer.requestID == UInt32(3 * round + index)) }
                }
            }
        }
    }

    @Test func whatTheConnectionItselfAnswersIsNeverLarge() async throws {
        try await withNode { _, client in
            let ballast = MessagePackValue.string(String(repeating: "x", count: 300_000))
            for type in [MessageType.connect, .bind, .subscribeChanges, .unsubscribeChanges, .cancel, .cursorCredit] {
                let answer = try client.call(type, ["collection": "c", "ballast": ballast])
                #expect(answer.code == "TOO_LARGE" && answer["limit"] == .int(256 << 10), "\(type)")
            }
            #expect(try client.call(.ping, ["ballast": ballast]).type == .pong)
        }
    }

    private func withNode(_ body: (NexaNode, RawClient) throws -> Void) async throws {
        try await LoopbackNode.withNode { node in try body(node, RawClient(port: node.port)) }
    }
}
