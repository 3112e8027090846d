import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// Rows of "Bad inputs for the wire": a broken frame is answered once and closes, a broken payload is answered and the connection
/// stays; afterwards the node serves as before.
@Suite(.serialized) struct BadInputTests {
    private static func raw(_ type: UInt8, _ payload: [UInt8], flags: UInt16 = 0, version: UInt8 = 1) -> [UInt8] {
        let length = UInt32(payload.count)
        return Array("NEXA".utf8) + [version, type, UInt8(flags >> 8), UInt8(flags & 0xFF)]
            + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + payload
    }

    @Test func brokenFramesAreAnsweredOnceAndClose() async throws {
        let cases: [(String, [UInt8], String)] = [
            ("HTTP", Array("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".utf8), "BAD_FRAME"),
            ("TLS hello", [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3, 0, 0], "BAD_FRAME"),
            ("version 0", Self.raw(9, [0x80], version: 0), "BAD_FRAME"),
            ("version 255", Self.raw(9, [0x80], version: 255), "BAD_FRAME"),
            ("length 2^32-1", Array("NEXA".utf8) + [1, 9, 0, 0, 255, 255, 255, 255], "TOO_LARGE"),
            ("length 16 MiB + 1", Array("NEXA".utf8) + [1, 9, 0, 0, 1, 0, 0, 1], "TOO_LARGE"),
        ]
        try await LoopbackNode.run { port in
            for (name, bytes, code) in cases {
                let client = try RawClient(port: port)
                try client.send(bytes)
                let answer = try #require(try client.receive(), "\(name)")
                #expect(answer.type == .error, "\(name)")
                #expect(answer.code == code, "\(name)")
                #expect(try client.receive() == nil, "\(name)")
                #expect(try RawClient(port: port).call(.ping).type == .pong, "\(name)")
            }
        }
    }

    @Test func brokenPayloadsAreAnsweredAndTheConnectionStays() async throws {
        let deepArray = [UInt8](repeating: 0x91, count: 100_000) + [0xC0]
        var deepMap: [UInt8] = []
        for _ in 0..<50_000 { deepMap += [0x81, 0xA1, 0x61] }
        deepMap.append(0xC0)
        let cases: [(String, UInt8, [UInt8], String)] = [
            ("type 00", 0x00, [0x80], "UNKNOWN_TYPE"), ("type 7f", 0x7F, [0x80], "UNKNOWN_TYPE"),
            ("an answer's type", 0x81, [0x80], "UNKNOWN_TYPE"),
            ("empty payload", 0x02, [], "BAD_REQUEST"), ("empty map", 0x02, [0x80], "BAD_REQUEST"),
            ("c1", 0x02, [0xC1], "BAD_PAYLOAD"), ("nil", 0x02, [0xC0], "BAD_PAYLOAD"), ("integer", 0x02, [0x01], "BAD_PAYLOAD"),
            ("array", 0x02, [0x91, 0x01], "BAD_PAYLOAD"), ("trailing", 0x02, [0x80, 0x00], "BAD_PAYLOAD"),
            ("array32 of 2^32-1", 0x02, [0xDD, 255, 255, 255, 255], "BAD_PAYLOAD"),
            ("map32 of 2^32-1", 0x02, [0xDF, 255, 255, 255, 255], "BAD_PAYLOAD"),
            ("str32 of 2^32-1", 0x02, [0xDB, 255, 255, 255, 255], "BAD_PAYLOAD"),
            ("bin32 of 2^32-1", 0x02, [0xC6, 255, 255, 255, 255], "BAD_PAYLOAD"),
            ("ext32 of 2^32-1", 0x02, [0xC9, 255, 255, 255, 255, 1], "BAD_PAYLOAD"),
            ("arrays 100,000 deep", 0x02, deepArray, "BAD_PAYLOAD"), ("maps 50,000 deep", 0x02, deepMap, "BAD_PAYLOAD"),
            ("truncated fixext", 0x02, [0x81, 0xA1, 0x61, 0xD8, 1, 2], "BAD_PAYLOAD"),
            ("duplicate key", 0x02, [0x82, 0xA1, 0x61, 1, 0xA1, 0x61, 2], "BAD_PAYLOAD"),
            ("integer key", 0x02, [0x81, 1, 1], "BAD_PAYLOAD"),
            ("invalid UTF-8", 0x02, [0x81, 0xA1, 0xFF, 1], "BAD_PAYLOAD"),
            ("overlong /", 0x02, [0x81, 0xA2, 0xC0, 0xAF, 1], "BAD_PAYLOAD"),
            ("lone surrogate", 0x02, [0x81, 0xA3, 0xED, 0xA0, 0x80, 1], "BAD_PAYLOAD"),
        ]
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            for (name, type, payload, code) in cases {
                try client.send(Self.raw(type, payload))
                let answer = try #require(try client.receive(), "\(name)")
                #expect(answer.type == .error, "\(name)")
                #expect(answer.code == code, "\(name)")
                #expect(answer["error"]?.stringValue?.isEmpty == false, "\(name)")
                #expect(try client.call(.ping).type == .pong, "\(name)")
            }
        }
    }

    @Test func unknownFlagsAreRefusedWithTheRequestsID() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            try client.send(Self.raw(9, [0, 0, 0, 7, 0x80], flags: 0x8001))
            let answer = try #require(try client.receive())
            #expect(answer.code == "UNSUPPORTED")
            #expect(answer.requestID == 7)
            #expect(try client.call(.ping).type == .pong)
        }
    }

    @Test func badNamesKeysAndNumbersAreErrors() async throws {
        let long = String(repeating: "n", count: 121)
        let names = ["\0", "a/b", "..", ".", "", "a b", "9a", "\u{202E}abc", "a\u{200B}", long, "é"]
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            for name in names {
                let answer = try client.call(.create, ["collection": .string(name), "data": ["a": 1]])
                #expect(answer.code == "BAD_REQUEST", "\(name.debugDescription)")
                let database = try client.call(.create, ["collection": "c", "database": .string("-" + name), "data": ["a": 1]])
                #expect(database.code == "BAD_REQUEST", "\(name.debugDescription)")
            }
            let key = String(repeating: "k", count: 1 << 20)
            #expect(try client.call(.read, ["collection": "c", "key": .string(key)]).code == "TOO_LARGE")
            #expect(
                ["TOO_LARGE", "BAD_REQUEST"].contains(
                    try client.call(.create, ["collection": "c", "data": ["_id": .string(key)]]).code))
            _ = try client.call(.create, ["collection": "c", "data": ["_id": "a"]])
            #expect(try client.call(.query, ["collection": "c", "limit": -1]).code == "BAD_REQUEST")
            #expect(try client.call(.query, ["collection": "c", "skip": -1]).code == "BAD_REQUEST")
            #expect(try client.call(.query, ["collection": "c", "limit": .uint(.max)]).code == "BAD_REQUEST")
            let huge = try client.call(.query, ["collection": "c", "limit": .int(.max), "skip": .int(.max)])
            #expect(huge.value.arrayValue?.isEmpty == true)
            #expect(try client.call(.query, ["collection": "c", "filters": ["$where": "1"]]).code == "BAD_FILTER")
            #expect(try client.call(.query, ["collection": "c", "filters": ["a": ["$frob": 1]]]).code == "BAD_FILTER")
            #expect(try client.call(.ping).type == .pong)
        }
    }

    @Test func aBatchWithABadDocumentStoresNothing() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            let batch: MessagePackValue = ["collection": "c", "documents": [["_id": "a"], ["_id": "b"], 7, ["_id": "d"]]]
            #expect(try client.call(.batchWrite, batch).type == .error)
            for key in ["a", "b", "d"] {
                #expect(try client.call(.read, ["collection": "c", "key": .string(key)]).type == .notFound)
            }
        }
    }

    @Test func requestsAboveMaxFrameAreRefusedBeforeTheirPayload() async throws {
        try await LoopbackNode.run {
            $0.frameByteCountMax = ByteCount(64 << 10)
        } _: { port in
            let client = try RawClient(port: port)
            #expect(try client.call(.connect, ["dialect": "plain"])["max_frame"] == 65_536)
            try client.send(Array("NEXA".utf8) + [1, 2, 0, 0, 0, 1, 0, 1])
            #expect(try client.receive()?.code == "TOO_LARGE")
            #expect(try client.receive() == nil)
        }
    }

    @Test func aFrameThatDripsIsCutByItsTimeLimit() async throws {
        try await LoopbackNode.run {
            $0.frameLimit = TimeLimit(milliseconds: 600)
        } _: { port in
            let client = try RawClient(port: port)
            #expect(try client.call(.ping).type == .pong)
            try client.send(Array(RawClient.frame(.ping).prefix(7)))
            #expect(try client.receive()?.code == "TIMEOUT")
            #expect(try client.receive() == nil)
        }
    }

    @Test func aConnectionTooManyIsToldSo() async throws {
        try await LoopbackNode.run {
            $0.connectionCountMax = 2
        } _: { port in
            let first = try RawClient(port: port)
            let second = try RawClient(port: port)
            #expect(try first.call(.ping).type == .pong)
            #expect(try second.call(.ping).type == .pong)
            let third = try RawClient(port: port)
            #expect(try third.receive()?.code == "OVERLOADED")
            #expect(try third.receive() == nil)
            #expect(try first.call(.ping).type == .pong)
        }
    }
}
