import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// Answers come in the order of requests, see the connection's own writes, and leave only when they are durable.
@Suite(.serialized) struct OrderTests {
    @Test func mixedRequestsWithoutIDsAreAnsweredInTheirOrder() async throws {
        for inlineMax in [0, 1_000] {
            try await LoopbackNode.run(policy: FlushPolicy(inlineCommitCountMax: inlineMax)) { port in
                let client = try RawClient(port: port)
                var bytes: [UInt8] = []
                for round in 0..<50 {
                    let key = MessagePackValue.string("k\(round % 7)")
                    bytes += RawClient.frame(
                        .update, ["collection": "c", "key": key, "updates": ["n": .int(Int64(round))], "upsert": true])
                    bytes += RawClient.frame(.read, ["collection": "c", "key": key])
                    bytes += RawClient.frame(.query, ["collection": "c", "filters": ["n": .int(Int64(round))]])
                    bytes += RawClient.frame(.ping)
                    bytes += RawClient.frame(.count, ["collection": "c"])
                }
                try client.send(bytes)
                for round in 0..<50 {
                    let number = MessagePackValue.int(Int64(round))
                    #expect(try client.receive()?["n"] == number)
                    #expect(try client.receive()?["n"] == number)
                    #expect(try client.receive()?.value[0]?["n"] == number)
                    #expect(try client.receive()?.type == .pong)
                    #expect(try client.receive()?["count"] == .int(Int64(min(round + 1, 7))))
                }
            }
        }
    }

    @Test func requestsWithIDsAreAllAnsweredOnce() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try client.call(.batchWrite, ["collection": "c", "documents": .array((0..<500).map { ["n": .int($0)] })])
            var bytes: [UInt8] = []
            for id in 0..<300 {
                let type: MessageType = id % 3 == 0 ? .query : id % 3 == 1 ? .count : .ping
                bytes += RawClient.frame(type, ["collection": "c", "filters": ["n": .int(Int64(id))]], requestID: UInt32(id))
            }
            try client.send(bytes)
            var seen: [UInt32: MessageType] = [:]
            for _ in 0..<300 {
                let answer = try #require(try client.receive())
                let id = try #require(answer.requestID)
                #expect(seen[id] == nil)
                seen[id] = answer.type
                if id % 3 == 0 { #expect(answer.value[0]?["n"] == .int(Int64(id))) }
                if id % 3 == 1 { #expect(answer["count"] == 1) }
                if id % 3 == 2 { #expect(answer.type == .pong) }
            }
            #expect(seen.count == 300)
        }
    }

    @Test func tokensTellThePositionOfWritesAndReads() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            try client.send(.create, ["collection": "c", "data": ["_id": "k"]], flags: .token)
            let written = try #require(try client.receive()?.token)
            #expect(written.epoch >= 1)
            try client.send(
                .read, ["collection": "c", "key": "k", "after": [.uint(written.epoch), .uint(written.lsn)]], flags: .token)
            let read = try #require(try client.receive())
            #expect(read.type == .success)
            #expect((read.token?.lsn ?? 0) >= written.lsn)
            let future = try client.call(.read, ["collection": "c", "key": "k", "after": [1, .uint(written.lsn + 1_000)]])
            #expect(future.code == "STALE_READ")
        }
    }

    @Test func manyConnectionsWriteAtOnceAndEachSeesItsOwn() async throws {
        try await LoopbackNode.run { port in
            let clients = try (0..<20).map { _ in try RawClient(port: port) }
            for round in 0..<20 {
                for (index, client) in clients.enumerated() {
                    let key = MessagePackValue.string("\(index)-\(round)")
                    try client.send(
                        RawClient.frame(.create, ["collection": "c", "data": ["_id": key]])
                            + RawClient.frame(.read, ["collection": "c", "key": key]))
                }
                for (index, client) in clients.enumerated() {
                    #expect(try client.receive()?["_id"] == .string("\(index)-\(round)"))
                    #expect(try client.receive()?["_id"] == .string("\(index)-\(round)"))
                }
            }
            #expect(try clients[0].call(.count, ["collection": "c"])["count"] == 400)
        }
    }

    @Test func compressedRequestsAndAnswersMeanTheSame() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try client.call(.connect, ["dialect": "plain", "features": ["lz4"]])
            let text = MessagePackValue.string(String(repeating: "abcdefgh", count: 4_000))
            let output = OutputBytes()
            let mark = output.beginFrame(.create)
            MessagePackValue.map([.init("collection", "c"), .init("data", ["_id": "k", "text": text])]).encode(into: output)
            output.endFrameCompressed(mark)
            #expect(output.byteCount < 2_000)
            try client.send(Array(output.bytes))
            let made = try #require(try client.receive())
            #expect(made.header.flags == .compressed)
            #expect(made.header.payloadByteCount < 2_000)
            var lying = Array(output.bytes)
            lying[15] &+= 1
            try client.send(lying)
            #expect(try client.receive()?.code == "BAD_FRAME")
            #expect(try client.receive() == nil)
        }
    }
}
