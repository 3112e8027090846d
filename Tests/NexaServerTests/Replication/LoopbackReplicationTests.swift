import Foundation
import NexaReplication
import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// A leader and a follower in one process, each with its own loops and engine.
@Suite(.serialized) struct LoopbackReplicationTests {
    private func withPair(_ body: @escaping @Sendable (_ leader: NexaNode, _ follower: NexaNode) throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let leader = try await LoopbackNode.start(directory.appendingPathComponent("a").path) { $0.nodeName = "a" }
        let follower = try await LoopbackNode.start(directory.appendingPathComponent("b").path) {
            $0.nodeName = "b"
            $0.follow = "127.0.0.1:\(leader.port)"
        }
        let result = await Swift.Result.catching {
            try await Task.detached {
                try wait("a leader") { leader.context.gate.leads }
                try wait("a follower") { leader.context.gate.status?.peers.first?.state == "streaming" }
                try body(leader, follower)
            }.value
        }
        try await follower.stop()
        try await leader.stop()
        try result.get()
    }

    @Test func aFollowerShowsWhatItsLeaderHasAndRefusesWrites() async throws {
        try await withPair { leader, follower in
            let writer = try RawClient(port: leader.port)
            for number in 0..<50 {
                let answer = try writer.call(
                    .create, ["collection": "c", "data": ["_id": .string("k\(number)"), "n": .int(Int64(number))]])
                #expect(answer.type == .success)
            }
            try writer.send(.read, ["collection": "c", "key": "k49"], flags: .token)
            let token = try #require(try writer.receive()?.token)
            let reader = try RawClient(port: follower.port)
            let after: MessagePackValue = .array([.uint(token.epoch), .uint(token.lsn)])
            let read = try reader.call(.read, ["collection": "c", "key": "k49", "after": after, "wait_ms": 5_000])
            #expect(read["n"] == 49)
            let refused = try reader.call(.create, ["collection": "c", "data": [:]])
            #expect(refused.code == "NOT_LEADER")
            #expect(refused["leader"] == .string("127.0.0.1:\(leader.port)"))
            // Catalog and content are the leader's; so is the log, byte for byte.
            #expect(try reader.call(.count, ["collection": "c"])["count"] == 50)
            try wait("equal ends") { follower.context.engine.durablePoint == leader.context.engine.durablePoint }
        }
    }

    @Test func aWriteForTwoNodesIsAnsweredWhenBothHaveIt() async throws {
        try await withPair { leader, follower in
            let writer = try RawClient(port: leader.port)
            for number in 0..<20 {
                try writer.send(
                    .create, ["collection": "c", "data": ["_id": .string("k\(number)")], "w": 2], flags: .token)
                let answer = try #require(try writer.receive())
                #expect(answer.type == .success)
                #expect(follower.context.engine.durableLSN >= answer.token?.lsn ?? .max)
            }
            try writer.send(.create, ["collection": "c", "data": [:], "w": 3, "wtimeout_ms": 100])
            #expect(try writer.receive()?.code == "WRITE_CONCERN_TIMEOUT")
        }
    }

    @Test func whatIsNoReplicationOnItsConnectionEndsIt() async throws {
        try await withPair { leader, _ in
            let client = try RawClient(port: leader.port)
            #expect(try client.call(.connect, ["purpose": "replication"])["status"] == "connected")
            try client.send(.create, ["collection": "c", "data": [:]])
            while let frame = try client.receive() { #expect(frame.type == .replStop) }
            #expect(try RawClient(port: leader.port).call(.ping).type == .pong)
        }
    }
}

/// Looks until it is so, at most ten seconds.
private func wait(_ what: String, _ condition: () -> Bool) throws {
    for _ in 0..<5_000 {
        if condition() { return }
        usleep(2_000)
    }
    throw RawClientError("no \(what) in time")
}
