import Glibc
import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// Streams: credit, one snapshot, bounded memory, cancellation, and nothing left when the client is gone.
@Suite(.serialized) struct StreamTests {
    private static func fill(_ client: RawClient, _ count: Int, textByteCount: Int = 20) throws {
        let text = MessagePackValue.string(String(repeating: "t", count: textByteCount))
        var next = 0
        while next < count {
            let upper = min(next + 500, count)
            let documents = (next..<upper).map { MessagePackValue.map([.init("n", .int(Int64($0))), .init("text", text)]) }
            guard try client.call(.batchWrite, ["collection": "c", "documents": .array(documents)]).type == .success else {
                throw RawClientError("a batch failed")
            }
            next = upper
        }
    }

    @Test func theClientsCreditIsKept() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            try Self.fill(client, 1_000)
            try client.send(.query, ["collection": "c", "stream": true, "batch_size": 100])
            let start = try #require(try client.receive())
            #expect(start.type == .streamStart)
            let stream = try #require(start["stream"])
            for _ in 0..<2 {
                let chunk = try #require(try client.receive())
                #expect(chunk.type == .streamChunk)
                #expect(chunk["documents"]?.arrayValue?.count == 100)
            }
            client.setTimeout(seconds: 1)
            #expect(throws: RawClientError.self) { try client.receive() }
            client.setTimeout(seconds: 10)
            try client.send(.cursorCredit, ["stream": stream, "credit": 100])
            var count = 200
            while let frame = try client.receive(), frame.type == .streamChunk {
                count += frame["documents"]?.arrayValue?.count ?? 0
            }
            #expect(count == 1_000)
            #expect(try client.call(.ping).type == .pong)
        }
    }

    @Test func aStreamReadsOneSnapshot() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            let writer = try RawClient(port: port)
            try Self.fill(client, 400)
            try client.send(.query, ["collection": "c", "stream": true, "batch_size": 100], requestID: 5)
            let stream = try #require(try client.receive()?["stream"])
            #expect(try client.receive()?.type == .streamChunk)
            #expect(try client.receive()?.type == .streamChunk)
            try Self.fill(writer, 400)
            #expect(try writer.call(.dropCollection, ["collection": "c"]).type == .success)
            try client.send(.cursorCredit, ["stream": stream, "credit": 100], requestID: 6)
            var count = 200
            while let frame = try client.receive(), frame.type == .streamChunk {
                #expect(frame.requestID == 5)
                count += frame["documents"]?.arrayValue?.count ?? 0
            }
            #expect(count == 400)
        }
    }

    @Test func otherRequestsGoOnBesideAStreamWithAnID() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            try Self.fill(client, 1_000)
            try client.send(.query, ["collection": "c", "stream": true, "batch_size": 100], requestID: 1)
            for _ in 0..<3 { #expect(try client.receive()?.requestID == 1) }
            try client.send(.ping, requestID: 2)
            #expect(try client.receive()?.requestID == 2)
            try client.send(.count, ["collection": "c"], requestID: 3)
            #expect(try client.receive()?["count"] == 1_000)
            try client.send(.cancel, ["request_id": 1], requestID: 4)
            let cancelled = try [#require(try client.receive()), #require(try client.receive())]
            #expect(cancelled.first { $0.requestID == 4 }?["cancelled"] == true)
            #expect(cancelled.first { $0.requestID == 1 }?.code == "CANCELLED")
            #expect(try client.call(.status)["streams"] == 0)
        }
    }

    @Test func cancelEndsAStreamThatHoldsItsConnection() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            try Self.fill(client, 1_000)
            try client.send(.query, ["collection": "c", "stream": true, "batch_size": 10])
            let stream = try #require(try client.receive()?["stream"])
            try client.send(.cancel, ["stream": stream])
            var types: [MessageType?] = []
            // The second chunk may be on its way already, or never begin.
            while !(types.contains(.error) && types.contains(.success)) && types.count < 5 {
                types.append(try client.receive()?.type)
            }
            #expect((1...2).contains(types.filter { $0 == .streamChunk }.count))
            #expect(types.contains(.error))
            #expect(types.contains(.success))
            #expect(try client.call(.ping).type == .pong)
        }
    }

    @Test func aNegotiatedStreamBeginsWhenTheResultExceedsABatch() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try client.call(.connect, ["dialect": "plain", "features": ["stream"]])
            try Self.fill(client, 50)
            #expect(try client.call(.query, ["collection": "c", "batch_size": 50]).value.arrayValue?.count == 50)
            #expect(try client.call(.query, ["collection": "c", "batch_size": 30]).type == .streamStart)
            #expect(try client.receive()?["documents"]?.arrayValue?.count == 31)
            #expect(try client.receive()?["documents"]?.arrayValue?.count == 19)
            #expect(try client.receive()?.value["count"] == 50)
            #expect(
                try client.call(.query, ["collection": "c", "batch_size": 10, "stream": false]).value.arrayValue?.count == 50)
        }
    }

    @Test func aListThatIsTooLargeNamesTheWaysOut() async throws {
        try await LoopbackNode.run {
            $0.frameByteCountMax = ByteCount(256 << 10)
        } _: { port in
            let client = try RawClient(port: port)
            try Self.fill(client, 1_000, textByteCount: 400)
            let answer = try client.call(.query, ["collection": "c"])
            #expect(answer.code == "RESULT_TOO_LARGE")
            #expect(answer["error"]?.stringValue?.contains("stream: true") == true)
            #expect(try client.call(.query, ["collection": "c", "limit": 10]).value.arrayValue?.count == 10)
        }
    }

    @Test func aSlowReaderOfAStreamBoundsTheServersMemory() async throws {
        try await LoopbackNode.run { port in
            let writer = try RawClient(port: port)
            try Self.fill(writer, 20_000, textByteCount: 1_000)
            let client = try RawClient(port: port, receiveByteCount: 16 << 10)
            try client.send(.query, ["collection": "c", "stream": true])
            let stream = try #require(try client.receive()?["stream"])
            try client.send(.cursorCredit, ["stream": stream, "credit": 1_000])
            var buffered: Int64 = 0
            for _ in 0..<20 { buffered = max(buffered, try writer.call(.status)["buffered_bytes"]?.intValue ?? 0) }
            #expect(buffered <= 3 << 20, "buffered \(buffered)")
            var count = 0
            while let frame = try client.receive(), frame.type == .streamChunk {
                count += frame["documents"]?.arrayValue?.count ?? 0
            }
            #expect(count == 20_000)
        }
    }

    @Test func aStreamWhoseClientGivesNoCreditEndsAndLetsGoOfItsSnapshot() async throws {
        try await LoopbackNode.run {
            $0.streamLimit = TimeLimit(milliseconds: 500)
        } _: { port in
            let observer = try RawClient(port: port)
            try Self.fill(observer, 1_000)
            let client = try RawClient(port: port)
            try client.send(.query, ["collection": "c", "stream": true, "batch_size": 10], requestID: 7)
            #expect(try client.receive()?.type == .streamStart)
            #expect(try client.receive()?.type == .streamChunk)
            #expect(try client.receive()?.type == .streamChunk)
            #expect(try observer.call(.status)["engine"]?["snapshots"] == 1)
            // Not a word from the client: the node speaks first.
            let last = try #require(try client.receive())
            #expect(last.requestID == 7)
            #expect(last.code == "TIMEOUT")
            #expect(last["error"]?.stringValue?.contains("stream-timeout") == true)
            #expect(try client.call(.ping).type == .pong)
            let status = try observer.call(.status)
            #expect(status["engine"]?["snapshots"] == 0)
            #expect(status["streams"] == 0)
        }
    }

    @Test func aStreamThatGetsCreditOutlivesTheLimit() async throws {
        try await LoopbackNode.run {
            $0.streamLimit = TimeLimit(milliseconds: 500)
        } _: { port in
            let client = try RawClient(port: port)
            try Self.fill(client, 60)
            let start = ContinuousClock.now
            try client.send(.query, ["collection": "c", "stream": true, "batch_size": 10])
            let stream = try #require(try client.receive()?["stream"])
            var count = 0
            while let frame = try client.receive(), frame.type == .streamChunk {
                count += frame["documents"]?.arrayValue?.count ?? 0
                // Slower in all than the limit, faster each time.
                usleep(200_000)
                try client.send(.cursorCredit, ["stream": stream, "credit": 1])
            }
            #expect(count == 60)
            #expect(ContinuousClock.now - start > .seconds(1))
        }
    }

    @Test func nothingIsLeftOfAStreamWhoseClientIsGone() async throws {
        try await LoopbackNode.run { port in
            let observer = try RawClient(port: port)
            try Self.fill(observer, 5_000, textByteCount: 500)
            for _ in 0..<10 {
                let client = try RawClient(port: port)
                try client.send(.query, ["collection": "c", "stream": true, "batch_size": 10])
                #expect(try client.receive()?.type == .streamStart)
                client.reset()
            }
            var status = try observer.call(.status)
            for _ in 0..<200 where status["streams"] != 0 || status["engine"]?["snapshots"] != 0 {
                status = try observer.call(.status)
            }
            #expect(status["streams"] == 0)
            #expect(status["engine"]?["snapshots"] == 0)
        }
    }

    @Test func aClientThatNeverReadsIsNotServedWithoutEnd() async throws {
        try await LoopbackNode.run {
            $0.writeStallLimit = TimeLimit(milliseconds: 1_000)
        } _: { port in
            let observer = try RawClient(port: port)
            let text = MessagePackValue.string(String(repeating: "t", count: 100_000))
            _ = try observer.call(.create, ["collection": "c", "data": ["_id": "big", "text": text]])
            let client = try RawClient(port: port, receiveByteCount: 8 << 10)
            client.setTimeout(seconds: 1)
            let read = RawClient.frame(.read, ["collection": "c", "key": "big"])
            var requests: [UInt8] = []
            for _ in 0..<10_000 { requests += read }
            _ = client.sendWhatFits(requests)
            let buffered = try observer.call(.status)["buffered_bytes"]?.intValue ?? 0
            #expect(buffered < 4 << 20, "buffered \(buffered)")
            var connections = try observer.call(.status)["connections"]
            for _ in 0..<100_000 where connections != 1 { connections = try observer.call(.status)["connections"] }
            #expect(connections == 1)
        }
    }
}
