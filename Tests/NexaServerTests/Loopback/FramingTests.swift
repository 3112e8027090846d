import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// What TCP does to frames, and what clients do to TCP.
@Suite(.serialized) struct FramingTests {
    @Test func aThousandPingsInOneSegmentAreAnsweredInOrder() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            var bytes: [UInt8] = []
            for id in 0..<1_000 { bytes += RawClient.frame(.ping, requestID: UInt32(id)) }
            try client.send(bytes)
            for id in 0..<1_000 {
                let answer = try #require(try client.receive())
                #expect(answer.type == .pong)
                #expect(answer.requestID == UInt32(id))
            }
        }
    }

    @Test func requestsMayArriveByteByByte() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            let bytes =
                RawClient.frame(.create, ["collection": "c", "data": ["_id": "k", "n": 1]])
                + RawClient.frame(.read, ["collection": "c", "key": "k"]) + RawClient.frame(.ping)
            for byte in bytes { try client.send([byte]) }
            #expect(try client.receive()?.type == .success)
            #expect(try client.receive()?["n"] == 1)
            #expect(try client.receive()?.type == .pong)
        }
    }

    @Test func aLargeRequestMayArriveInPiecesOfAnySize() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            let text = String(repeating: "x", count: 3 << 20)
            let bytes = RawClient.frame(.create, ["collection": "c", "data": ["_id": "big", "text": .string(text)]])
            var offset = 0
            var size = 1
            while offset < bytes.count {
                let count = min(size, bytes.count - offset)
                try client.send(Array(bytes[offset..<offset + count]))
                offset += count
                size = size * 3 % 100_003 + 1
            }
            #expect(try client.receive()?.type == .success)
            let answer = try client.call(.read, ["collection": "c", "key": "big"])
            #expect(answer["text"]?.stringValue?.utf8.count == 3 << 20)
        }
    }

    @Test func aHalfClosedClientStillGetsItsAnswers() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            try client.send(RawClient.frame(.create, ["collection": "c", "data": ["_id": "k"]]) + RawClient.frame(.ping))
            client.closeSending()
            #expect(try client.receive()?.type == .success)
            #expect(try client.receive()?.type == .pong)
            #expect(try client.receive() == nil)
        }
    }

    @Test func requestsThatWaitWhenTheClientHalfClosesAreStillServed() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try client.call(.batchWrite, ["collection": "c", "documents": .array((0..<2_000).map { ["n": .int($0)] })])
            let query = RawClient.frame(.query, ["collection": "c", "filters": ["n": 1_999]])
            let ping = RawClient.frame(.ping)
            try client.send(query + ping + query + ping + [0x4E, 0x45])
            client.closeSending()
            #expect(try client.receive()?.value.arrayValue?.count == 1)
            #expect(try client.receive()?.type == .pong)
            #expect(try client.receive()?.value.arrayValue?.count == 1)
            #expect(try client.receive()?.type == .pong)
            #expect(try client.receive() == nil)
        }
    }

    @Test func disconnectIsAnsweredBehindEarlierAnswersAndThenCloses() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            let create = RawClient.frame(.create, ["collection": "c", "data": ["_id": "k"]])
            try client.send(create + RawClient.frame(.disconnect) + RawClient.frame(.ping))
            #expect(try client.receive()?["_id"] == "k")
            #expect(try client.receive()?["status"] == "goodbye")
            #expect(try client.receive() == nil)
        }
    }

    @Test func aClientThatIsResetInMidFrameLeavesNothingBehind() async throws {
        try await LoopbackNode.run { port in
            for _ in 0..<20 {
                let client = try RawClient(port: port)
                let bytes = RawClient.frame(.create, ["collection": "c", "data": ["_id": "half"]])
                try client.send(Array(bytes.dropLast(3)))
                client.reset()
            }
            let client = try RawClient(port: port)
            #expect(try client.call(.read, ["collection": "c", "key": "half"]).type == .notFound)
            let status = try client.call(.status)
            #expect((status["connections"]?.intValue ?? 99) <= 21)
        }
    }
}

extension Optional where Wrapped == ReceivedFrame {
    static func == (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (nil, nil): true
        case (let left?, let right?): left.header == right.header && left.payload == right.payload
        default: false
        }
    }
}
