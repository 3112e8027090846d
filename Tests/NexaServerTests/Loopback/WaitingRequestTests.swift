import Foundation
import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// A request that waits for a position that does not come ends when its client, or the node, does not want it any more.
@Suite(.serialized) struct WaitingRequestTests {
    /// A read of what the connection wrote and more.
    private func waitingRead(_ client: RawClient) throws -> MessagePackValue {
        try client.send(.create, ["collection": "c", "data": ["_id": "k"]], flags: .token)
        let token = try #require(try client.receive()?.token)
        return [
            "collection": "c", "key": "k", "after": .array([.uint(token.epoch), .uint(token.lsn + 1_000)]), "wait_ms": 60_000,
        ]
    }

    @Test func cancelEndsIt() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            try client.send(.read, try waitingRead(client), requestID: 7)
            try client.send(.cancel, ["request_id": 7], requestID: 8)
            for _ in 0..<2 {
                let answer = try #require(try client.receive())
                if answer.requestID == 7 { #expect(answer.code == "CANCELLED") } else { #expect(answer["cancelled"] == true) }
            }
            #expect(try client.call(.ping).type == .pong)
        }
    }

    @Test func disconnectEndsIt() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            try client.send(.read, try waitingRead(client), requestID: 7)
            try client.send(.disconnect)
            while try client.receive() != nil {}
        }
    }

    @Test func aNodeThatStopsDoesNotWaitForIt() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let node = try await LoopbackNode.start(directory.path)
        let client = try RawClient(port: node.port)
        let asked = Swift.Result {
            try client.send(.read, try waitingRead(client), requestID: 7)
            #expect(try client.call(.ping).type == .pong)
        }
        let start = ContinuousClock.now
        try await node.stop()
        #expect(ContinuousClock.now - start < .seconds(5))
        try asked.get()
        #expect(try client.receive()?.code == "SHUTTING_DOWN")
    }
}
