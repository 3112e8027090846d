import Foundation
import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// Change streams over a socket: where events may stand, and what ends them. What is told is judged end to end (Tests/e2e/test_changes.py).
struct ChangeStreamTests {
    private static func create(_ writer: RawClient, _ key: String, in collection: String = "c", bytes: Int = 0) throws {
        let text = MessagePackValue.string(String(repeating: "x", count: bytes))
        let answer = try writer.call(.create, ["collection": .string(collection), "data": ["_id": .string(key), "text": text]])
        #expect(answer.type == .success)
    }

    private static func fill(_ writer: RawClient, _ collection: String, _ count: Int, bytes: Int) throws {
        let text = MessagePackValue.string(String(repeating: "x", count: bytes))
        for start in stride(from: 0, to: count, by: 500) {
            let documents = (start..<min(start + 500, count)).map {
                MessagePackValue.map([.init("n", .int(Int64($0))), .init("text", text)])
            }
            let answer = try writer.call(.batchWrite, ["collection": .string(collection), "documents": .array(documents)])
            #expect(answer.type == .success)
        }
    }

    private static func event(_ client: RawClient) throws -> ReceivedFrame {
        let frame = try #require(try client.receive())
        #expect(frame.type == .changeEvent)
        return frame
    }

    @Test func theAnswerComesFirstAndThenTheEvents() async throws {
        try await LoopbackNode.run { port in
            let (watcher, writer) = (try RawClient(port: port), try RawClient(port: port))
            try Self.create(writer, "before")
            let answer = try watcher.call(.subscribeChanges, ["collection": "c"])
            #expect(answer["subscribed"] == true)
            #expect(answer["operations"] == ["insert", "update", "delete"])
            #expect(answer["message"] == "Subscribed to change stream for c")
            try Self.create(writer, "after")
            #expect(try Self.event(watcher)["documentKey"] == ["_id": "after"])
        }
    }

    @Test func ownWritesAreAnsweredBeforeTheirEvents() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try client.call(.subscribeChanges, [:])
            for number in 0..<50 {
                try client.send(.create, ["collection": "c", "data": ["_id": .string("k\(number)")]])
                try client.send(.ping)
            }
            var (answered, told, pongs) = (0, 0, 0)
            while told < 50 || pongs < 50 {
                let frame = try #require(try client.receive())
                switch frame.type {
                case .success: answered += 1
                case .pong: pongs += 1
                case .changeEvent:
                    #expect(frame["documentKey"] == ["_id": .string("k\(told)")])
                    told += 1
                    #expect(told <= answered, "an event in front of the answer to its write")
                default: Issue.record("\(frame.header)")
                }
            }
            #expect(answered == 50)
        }
    }

    /// A new collection is made in the work pool: its commit is known before its answer is back.
    @Test func aWriteFromThePoolIsAnsweredBeforeItsEvent() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try client.call(.subscribeChanges, [:])
            for number in 0..<300 {
                try client.send(.create, ["collection": .string("c\(number)"), "data": ["_id": "k"]])
                #expect(try #require(try client.receive()).type == .success)
                #expect(try Self.event(client)["ns"]?["coll"] == .string("c\(number)"))
            }
        }
    }

    @Test func aSubscriberThatDoesNotReadHoldsUpNeitherAnswersNorOthers() async throws {
        try await LoopbackNode.run { port in
            let silent = try RawClient(port: port, receiveByteCount: 8 << 10)
            let (watcher, writer) = (try RawClient(port: port), try RawClient(port: port))
            _ = try silent.call(.subscribeChanges, [:])
            _ = try watcher.call(.subscribeChanges, [:])
            for number in 0..<200 { try Self.create(writer, "k\(number)", bytes: 20_000) }
            for number in 0..<200 { #expect(try Self.event(watcher)["documentKey"] == ["_id": .string("k\(number)")]) }
            #expect(try writer.call(.ping).type == .pong)
            for number in 0..<200 { #expect(try Self.event(silent)["documentKey"] == ["_id": .string("k\(number)")]) }
        }
    }

    @Test func noEventStandsWithinAStreamWithoutIDs() async throws {
        try await LoopbackNode.run { port in
            let (client, writer) = (try RawClient(port: port), try RawClient(port: port))
            for number in 0..<3_000 { try Self.create(writer, "k\(number)", in: "full", bytes: 200) }
            _ = try client.call(.subscribeChanges, ["collection": "c"])
            try client.send(.query, ["collection": "full", "stream": true, "batch_size": 100])
            #expect(try client.receive()?.type == .streamStart)
            let stream = try #require(try client.receive())
            #expect(stream.type == .streamChunk)
            try Self.create(writer, "meanwhile")
            var count = stream["documents"]?.arrayValue?.count ?? 0
            try client.send(.cursorCredit, ["stream": stream["stream"]!, "credit": 1_000])
            while count < 3_000 {
                let frame = try #require(try client.receive())
                #expect(frame.type == .streamChunk)
                count += frame["documents"]?.arrayValue?.count ?? 0
            }
            #expect(try client.receive()?.type == .streamEnd)
            #expect(try Self.event(client)["documentKey"] == ["_id": "meanwhile"])
        }
    }

    /// What a pool thread reads for the subscription meanwhile waits until the stream has ended.
    @Test func noEventFromTheFilesStandsWithinAStreamWithoutIDs() async throws {
        try await LoopbackNode.run { port in
            let (watcher, writer) = (try RawClient(port: port), try RawClient(port: port))
            try Self.fill(writer, "full", 3_000, bytes: 200)
            try Self.fill(writer, "c", 8_000, bytes: 1_000)
            // Somebody who is at the end of the log takes the window there: what is older lies in files alone.
            _ = try watcher.call(.subscribeChanges, ["collection": "end"])
            try Self.create(writer, "k", in: "end")
            _ = try Self.event(watcher)

            let client = try RawClient(port: port)
            try client.send(
                RawClient.frame(.subscribeChanges, ["collection": "c", "after": [1, 1]])
                    + RawClient.frame(.query, ["collection": "full", "stream": true, "batch_size": 100]))
            #expect(try #require(try client.receive()).type == .success)
            var told = 0
            var frame = try #require(try client.receive())
            while frame.type == .changeEvent {
                told += 1
                frame = try #require(try client.receive())
            }
            #expect(frame.type == .streamStart)
            let stream = try #require(frame["stream"])
            for _ in 0..<2 { #expect(try client.receive()?.type == .streamChunk) }
            // The stream waits for credit, and so does what comes behind it.
            client.setTimeout(seconds: 1)
            #expect(throws: RawClientError.self) { try client.receive() }
            client.setTimeout(seconds: 10)
            try client.send(.cursorCredit, ["stream": stream, "credit": 1_000])
            for _ in 2..<30 { #expect(try client.receive()?.type == .streamChunk) }
            #expect(try client.receive()?.type == .streamEnd)
            while told < 8_000 {
                _ = try Self.event(client)
                told += 1
            }
        }
    }

    @Test func theFarewellOfASubscriptionStandsBehindTheStreamOfItsConnection() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let node = try await LoopbackNode.start(directory.path)
        let client = try RawClient(port: node.port)
        try Self.fill(client, "full", 1_000, bytes: 0)
        _ = try client.call(.subscribeChanges, ["collection": "c"])
        try client.send(.query, ["collection": "full", "stream": true, "batch_size": 100])
        #expect(try client.receive()?.type == .streamStart)
        for _ in 0..<2 { #expect(try client.receive()?.type == .streamChunk) }
        try await node.stop()
        var codes: [String] = []
        while let frame = try client.receive() { codes.append(frame.code ?? "\(frame.header)") }
        #expect(codes == ["CANCELLED", "SUBSCRIPTION_LOST"])
    }

    @Test func aRecordLargerThanTheWindowIsToldFromTheFiles() async throws {
        try await LoopbackNode.run { port in
            let (watcher, writer) = (try RawClient(port: port), try RawClient(port: port))
            _ = try watcher.call(.subscribeChanges, [:])
            let text = MessagePackValue.string(String(repeating: "y", count: 100_000))
            let documents = (0..<100).map { MessagePackValue.map([.init("_id", .string("d\($0)")), .init("text", text)]) }
            #expect(try writer.call(.batchWrite, ["collection": "c", "documents": .array(documents)]).type == .success)
            try Self.create(writer, "small")
            for number in 0..<100 { #expect(try Self.event(watcher)["documentKey"] == ["_id": .string("d\(number)")]) }
            #expect(try Self.event(watcher)["documentKey"] == ["_id": "small"])
        }
    }

    @Test func anEventBeyondTheFrameLimitComesWithoutItsDocument() async throws {
        let smallFrames: (inout ServerConfiguration) -> Void = { $0.frameByteCountMax = ByteCount(64 << 10) }
        try await LoopbackNode.run(smallFrames) { port in
            let (watcher, writer) = (try RawClient(port: port), try RawClient(port: port))
            _ = try watcher.call(.subscribeChanges, [:])
            try Self.create(writer, "k", bytes: 60_000)
            #expect(try Self.event(watcher)["fullDocument"] != nil)
            let text = MessagePackValue.string(String(repeating: "z", count: 40_000))
            #expect(try writer.call(.update, ["collection": "c", "key": "k", "updates": ["text": text]]).type == .success)
            let twice = try Self.event(watcher)
            #expect(twice["fullDocument"] != nil && twice["updateDescription"] == nil)
            #expect(try writer.call(.update, ["collection": "c", "key": "k", "updates": ["more": text]]).type == .success)
            let large = try Self.event(watcher)
            #expect(large["fullDocument"] == nil && large["updateDescription"]?["updatedFields"] == ["more": text])
        }
    }

    @Test func badRequestsLeaveTheConnectionUsable() async throws {
        let cases: [(MessagePackValue, String)] = [
            (["operations": ["replace"]], "operations"), (["operations": []], "operations"), (["operations": 1], "operations"),
            (["resume_after": .binary([1, 2, 3])], "resume_after"), (["resume_after": "text"], "resume_after"),
            (["after": [1]], "after"), (["collection": "a b"], "collection"), (["database": "!"], "database"),
            (["heartbeat_ms": -5], "heartbeat_ms"), (["collection": 5], "collection"),
        ]
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            for (request, field) in cases {
                let answer = try client.call(.subscribeChanges, request)
                #expect(answer.code == "BAD_REQUEST" && answer["field"] == .string(field), "\(request)")
            }
            #expect(try client.call(.subscribeChanges, ["after": [1, 1_000]]).code == "TOKEN_LOST")
            #expect(try client.call(.unsubscribeChanges, ["subscription": 9])["unsubscribed"] == false)
            #expect(try client.call(.unsubscribeChanges)["unsubscribed"] == true)
        }
    }

    @Test func limitsAreSaidByName() async throws {
        let few: (inout ServerConfiguration) -> Void = {
            $0.subscriptionCountMax = 2
            $0.nodeSubscriptionCountMax = 3
        }
        try await LoopbackNode.run(few) { port in
            let (one, other) = (try RawClient(port: port), try RawClient(port: port))
            func subscribe(_ client: RawClient, _ id: UInt32) throws -> ReceivedFrame? {
                try client.send(.subscribeChanges, [:], requestID: id)
                return try client.receive()
            }
            #expect(try subscribe(one, 1)?.type == .success)
            #expect(try subscribe(one, 2)?.type == .success)
            #expect(try subscribe(one, 3)?["error"]?.stringValue?.contains("max-subscriptions") == true)
            #expect(try subscribe(other, 1)?.type == .success)
            #expect(try subscribe(other, 2)?["error"]?.stringValue?.contains("max-node-subscriptions") == true)
            #expect(try one.call(.unsubscribeChanges)["unsubscribed"] == true)
            #expect(try subscribe(other, 2)?.type == .success)
        }
    }
}
