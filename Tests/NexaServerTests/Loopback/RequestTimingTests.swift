import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// Every request is timed once, whatever served it: the histograms of `/metrics` add up to its counters.
struct RequestTimingTests {
    @Test func everyRequestIsTimedOnce() async throws {
        try await LoopbackNode.withNode { node in
            let client = try RawClient(port: node.port)
            let text = MessagePackValue.string(String(repeating: "x", count: 10_000))
            let documents = (0..<20).map { MessagePackValue.map([.init("_id", .string("d\($0)")), .init("text", text)]) }
            // What the loop answers, what waits for the log, and what the pool does, refusals of each among them.
            let reads: [(MessageType, MessagePackValue)] = [
                (.ping, [:]), (.read, ["collection": "c", "key": "a"]), (.read, ["collection": "c", "key": "none"]),
                (.listCollections, [:]), (.bind, [:]), (.subscribeChanges, ["operations": 5]),
            ]
            let writes: [(MessageType, MessagePackValue)] = [
                (.create, ["collection": "c", "data": ["_id": "b"]]), (.create, ["collection": "c", "data": ["_id": "b"]]),
                (.update, ["collection": "c", "key": "a", "updates": ["n": 1]]),
                (.batchWrite, ["collection": "c", "documents": .array(documents)]), (.delete, ["collection": "c", "key": "b"]),
                (.createCollection, ["collection": "new"]),
            ]
            let scans: [(MessageType, MessagePackValue)] = [
                (.query, ["collection": "c"]), (.count, ["collection": "c"]),
                (.query, ["collection": "c", "filters": ["$no": 1]]),
                (.vectorSearch, ["collection": "c", "vector": [1.0]]),
            ]
            _ = try client.call(.create, ["collection": "c", "data": ["_id": "a"]])
            for (type, payload) in reads + writes + scans { _ = try client.call(type, payload) }
            try client.send(.query, ["collection": "c", "stream": true, "batch_size": 5])
            while let frame = try client.receive(), frame.type != .streamEnd {
                if frame.type == .streamStart { try client.send(.cursorCredit, ["stream": frame["stream"]!, "credit": 100]) }
            }
            // The answer to this comes behind the timing of all the others.
            _ = try client.call(.ping)

            let snapshot = node.context.metricsSnapshot()
            func count(_ latencyClass: LatencyClass) -> Int { snapshot.latencies(latencyClass).counts.reduce(0) { $0 + Int($1) } }
            let sent = 1 + reads.count + writes.count + scans.count + 2 + 1
            #expect(snapshot.requestCount == UInt64(sent))
            #expect(count(.read) + count(.write) + count(.scan) == sent)
            #expect(count(.write) == 1 + writes.count)
        }
    }
}
