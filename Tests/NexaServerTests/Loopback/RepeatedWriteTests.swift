import Foundation
import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// Writes with an `op_id` over the wire: every form of them, both dialects, and copies under way at the same time.
@Suite(.serialized) struct RepeatedWriteTests {
    private func operation(_ number: UInt64) -> MessagePackValue {
        .binary([UInt8](repeating: 0x5A, count: 16) + withUnsafeBytes(of: number.bigEndian) { Array($0) })
    }

    /// A request twice, asking for the position: the answers.
    private func twice(_ client: RawClient, _ type: MessageType, _ payload: MessagePackValue) throws -> [ReceivedFrame] {
        try (0..<2).map { _ in
            try client.send(type, payload, flags: .token)
            return try #require(try client.receive())
        }
    }

    @Test func everyFormOfAWriteIsAnsweredTwiceAlike() async throws {
        try await LoopbackNode.run { port in
            let plain = try RawClient(port: port)
            let envelope = try RawClient(port: port)
            #expect(try envelope.call(.connect)["dialect"] == "envelope")
            let compact = try RawClient(port: port)
            _ = try compact.call(.connect, ["dialect": "plain", "features": ["compact"]])
            #expect(try compact.call(.bind, ["collection": "c"]).value == 0)
            var number: UInt64 = 0
            for (client, isCompact) in [(plain, false), (envelope, false), (compact, true)] {
                func write(_ positions: [MessagePackValue], _ names: [String], _ type: MessageType) throws -> ReceivedFrame {
                    number += 1
                    let fields = zip(names, positions).map { MessagePackValue.Entry($0, $1) }
                    let operation = MessagePackValue.Entry("op_id", operation(number))
                    let answers = try twice(
                        client, type,
                        isCompact
                            ? .array([0] + positions + [.map([operation])])
                            : .map([.init("collection", "c"), operation] + fields))
                    #expect(answers[0].type == .success, "\(type.name): \(answers[0].value)")
                    #expect(answers[1].value == answers[0].value)
                    #expect(answers[1].token == answers[0].token && answers[0].token != nil)
                    return answers[0]
                }
                let made = try write([["n": 1]], ["data"], .create)
                let key = try #require(made["_id"] ?? made["document_id"])
                _ = try write([key, ["n": 2]], ["key", "updates"], .update)
                _ = try write([.array([["n": 3], ["n": 4]])], ["documents"], .batchWrite)
                _ = try write([key], ["key"], .delete)
            }
            #expect(try plain.call(.count, ["collection": "c"])["count"] == 6)
        }
    }

    @Test func theFormAndTheDialectOfARepeatMayDiffer() async throws {
        try await LoopbackNode.run { port in
            let plain = try RawClient(port: port)
            let envelope = try RawClient(port: port)
            _ = try envelope.call(.connect, ["features": ["compact"]])
            let first = try plain.call(.create, ["collection": "c", "data": ["n": 1], "op_id": operation(1)])
            let id = try #require(first["_id"])
            let second = try envelope.call(.create, ["c", ["n": 1], ["op_id": operation(1)]])
            #expect(second["document_id"] == id && second["message"] == "Document inserted")
            let third = try plain.call(
                .create, ["collection": "c", "data": ["n": 1], "op_id": operation(1), "return": "id", "durability": "os"])
            #expect(third.value == id)
        }
    }

    @Test func anotherRequestOfTheNameAndANameThatIsNoneAreRefused() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            _ = try client.call(.create, ["collection": "c", "data": ["n": 1], "op_id": operation(1)])
            let others: [(MessageType, MessagePackValue)] = [
                (.create, ["collection": "c", "data": ["n": 2], "op_id": operation(1)]),
                (.create, ["collection": "new", "data": ["n": 1], "op_id": operation(1)]),
                (.create, ["collection": "c", "database": "d", "data": ["n": 1], "op_id": operation(1)]),
                (.batchWrite, ["collection": "c", "documents": [["n": 1]], "op_id": operation(1)]),
                (.create, ["collection": "c", "data": ["n": 1], "op_id": "text of twenty-four bytes"]),
                (.delete, ["collection": "c", "key": "k", "op_id": .binary([1, 2, 3])]),
            ]
            for (type, payload) in others {
                let answer = try client.call(type, payload)
                #expect(answer.code == "BAD_REQUEST" && answer["field"] == "op_id", "\(answer.value)")
            }
            #expect(try client.call(.count, ["collection": "c"])["count"] == 1)
            // Refused before the collection would have been made.
            #expect(try client.call(.listCollections)["collections"] == ["c"])
        }
    }

    @Test func aRepeatDoesNotBringADroppedCollectionBack() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            let create: MessagePackValue = ["collection": "c", "data": ["n": 1], "op_id": operation(1)]
            let first = try client.call(.create, create)
            let key = try #require(first["_id"])
            let update: MessagePackValue = ["collection": "c", "key": key, "updates": ["n": 2], "op_id": operation(2)]
            let delete: MessagePackValue = ["collection": "c", "key": key, "op_id": operation(3)]
            #expect(try client.call(.update, update)["n"] == 2)
            #expect(try client.call(.delete, delete)["deleted"] == true)
            #expect(try client.call(.dropCollection, ["collection": "c"]).type == .success)
            #expect(try client.call(.create, create).value == first.value)
            #expect(try client.call(.update, update).value == ["id": key, "_id": key])
            #expect(try client.call(.delete, delete)["deleted"] == true)
            #expect(try client.call(.listCollections)["collections"] == [])
            #expect(try client.call(.create, ["collection": "c", "data": ["n": 1], "op_id": operation(4)]).type == .success)
            #expect(try client.call(.listCollections)["collections"] == ["c"])
        }
    }

    @Test func aRepeatedChangeOfTheCatalogIsNoConflict() async throws {
        try await LoopbackNode.run { port in
            let client = try RawClient(port: port)
            let changes: [(MessageType, MessagePackValue)] = [
                (.createDatabase, ["database": "d", "op_id": operation(1)]),
                (.createCollection, ["database": "d", "collection": "c", "op_id": operation(2)]),
                (.dropCollection, ["database": "d", "collection": "c", "op_id": operation(3)]),
                (.dropDatabase, ["database": "d", "op_id": operation(4)]),
            ]
            var firsts: [ReceivedFrame] = []
            for (type, payload) in changes {
                let answers = try twice(client, type, payload)
                #expect(answers[0].type == .success, "\(type.name): \(answers[0].value)")
                #expect(answers[1].value == answers[0].value && answers[1].token == answers[0].token)
                firsts.append(answers[0])
            }
            // Whatever came after: nothing is made or dropped again.
            for ((type, payload), first) in zip(changes, firsts) {
                #expect(try client.call(type, payload).value == first.value)
            }
            #expect(try client.call(.listDatabases)["databases"] == ["default"])
            let other: MessagePackValue = ["database": "e", "op_id": operation(1)]
            #expect(try client.call(.createDatabase, other).code == "BAD_REQUEST")
            let toon: MessagePackValue = ["collection": "c", "toon_data": "", "op_id": operation(5)]
            #expect(try client.call(.importToon, toon).code == "UNSUPPORTED")
            #expect(try client.call(.count, ["collection": "c", "op_id": operation(5)])["count"] == 0)
        }
    }

    @Test func aCopyOfAWriteThatWaitsForTheDiskWaitsForTheSameWrite() async throws {
        let stall = Stall()
        let files = FaultFileSystem(PosixFileSystem())
        try await LoopbackNode.run(policy: FlushPolicy(inlineCommitCountMax: 0), fileSystem: files) { port in
            // Before the node stops, which waits for its log.
            defer { stall.open() }
            let clients = try (0..<3).map { _ in try RawClient(port: port) }
            _ = try clients[0].call(.create, ["collection": "c", "data": ["n": 0], "op_id": operation(0)])
            files.setHook { operation, path, _ in
                if operation == .sync && path.hasSuffix(".wal") { stall.pass() }
            }
            let payload: MessagePackValue = ["collection": "c", "data": ["n": 1], "op_id": operation(1)]
            try clients[0].send(.create, payload, flags: .token)
            #expect(stall.awaitCall())
            try clients[1].send(.create, payload, flags: .token)
            // Others are served meanwhile and do not see the write.
            for _ in 0..<20 { #expect(try clients[2].call(.count, ["collection": "c"])["count"] == 1) }
            stall.open()
            let first = try #require(try clients[0].receive())
            let second = try #require(try clients[1].receive())
            #expect(first.type == .success && second.value == first.value && second.token == first.token)
            #expect(try clients[2].call(.count, ["collection": "c"])["count"] == 2)
        }
    }

    @Test func aNodeThatStartsAgainRemembers() async throws {
        let directory = "\(FileManager.default.temporaryDirectory.path)/nexa-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let payload: MessagePackValue = ["collection": "c", "data": ["n": 1], "op_id": operation(1)]
        var answers: [MessagePackValue] = []
        for _ in 0..<3 {
            let node = try await LoopbackNode.start(directory)
            let answer = await Swift.Result.catching { try RawClient(port: node.port).call(.create, payload).value }
            try await node.stop()
            answers.append(try answer.get())
        }
        #expect(answers[0]["n"] == 1 && answers[1] == answers[0] && answers[2] == answers[0])
    }
}
