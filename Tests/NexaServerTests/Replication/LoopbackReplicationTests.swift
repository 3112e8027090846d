import Foundation
import NexaReplication
import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// A leader and a follower in one process, each with its own loops and engine.
@Suite(.serialized) struct LoopbackReplicationTests {
    private func withPair(
        compression: (leader: ReplicationCompression, follower: ReplicationCompression) = (.auto, .auto),
        _ body: @escaping @Sendable (_ leader: NexaNode, _ follower: NexaNode) throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let leader = try await LoopbackNode.start(directory.appendingPathComponent("a").path) {
            $0.nodeName = "a"
            $0.replicationCompression = compression.leader
        }
        let follower = try await LoopbackNode.start(directory.appendingPathComponent("b").path) {
            $0.nodeName = "b"
            $0.follow = "127.0.0.1:\(leader.port)"
            $0.replicationCompression = compression.follower
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
            let imported = try writer.call(
                .importToon, ["collection": "t", "toon_data": "documents[1]{n}:\n  1\n", "w": 3, "wtimeout_ms": 100])
            #expect(imported.code == "WRITE_CONCERN_TIMEOUT")
        }
    }

    @Test func theLongestTimeForAWriteIsNotOver() async throws {
        try await withPair { leader, _ in
            let writer = try RawClient(port: leader.port)
            for _ in 0..<20 {
                let answer = try writer.call(
                    .create, ["collection": "c", "data": [:], "w": 2, "wtimeout_ms": .int(.max)])
                #expect(answer.type == .success)
            }
        }
    }

    /// The port listens before the node knows what it promised.
    @Test func whoAsksWhileTheNodeStartsIsAnswered() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let first = try await LoopbackNode.start(directory.path) { $0.nodeName = "a" }
        let port = first.port
        try await first.stop()
        let stall = Stall()
        let files = FaultFileSystem(PosixFileSystem()) { operation, path, _ in
            if operation == .open && path.hasSuffix("/coordination") { stall.pass() }
        }
        let starting = Task.detached {
            try await LoopbackNode.start(
                directory.path,
                {
                    $0.nodeName = "a"
                    $0.port = port
                }, fileSystem: files)
        }
        let asked = Swift.Result {
            #expect(stall.awaitCall())
            let reader = try RawClient(port: port)
            let read: MessagePackValue = [
                "collection": "c", "key": "k", "read_concern": "linearizable", "wait_ms": 500,
            ]
            #expect(try reader.call(.read, read).code == "STALE_READ")
            let follower = try RawClient(port: port)
            try follower.send(.connect, ["purpose": "replication"])
            #expect(try follower.receive() == nil)
        }
        stall.open()
        let node = try await starting.value
        let result = await Swift.Result.catching {
            try asked.get()
            try await Task.detached {
                try wait("a leader") { node.context.gate.leads }
                let reader = try RawClient(port: port)
                #expect(
                    try reader.call(.read, ["collection": "c", "key": "k", "read_concern": "linearizable"]).type == .notFound)
                let follower = try RawClient(port: port)
                #expect(try follower.call(.connect, ["purpose": "replication"])["status"] == "connected")
            }.value
        }
        try await node.stop()
        try result.get()
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

    /// A leader that may, and a follower that may or may not: (record bytes sent, bytes of their frames).
    @Test(arguments: [
        (ReplicationCompression.on, ReplicationCompression.auto, true), (.on, .off, false), (.auto, .auto, false),
        (.off, .on, false),
    ])
    func recordsTravelCompressedWhereBothSidesSaySo(
        leaderMode: ReplicationCompression, followerMode: ReplicationCompression, isCompressed: Bool
    ) async throws {
        try await withPair(compression: (leaderMode, followerMode)) { leader, follower in
            let writer = try RawClient(port: leader.port)
            // Records that are too small for the log to compress them, and many in a batch.
            let text = "the same words again and again"
            let round = 400
            for number in 0..<round {
                let document: MessagePackValue = ["_id": .string("k\(number)"), "text": .string(text)]
                try writer.send(.create, ["collection": "c", "data": document])
            }
            for _ in 0..<round { #expect(try writer.receive()?.type == .success) }
            try wait("equal ends") { follower.context.engine.durablePoint == leader.context.engine.durablePoint }
            let reader = try RawClient(port: follower.port)
            #expect(try reader.call(.read, ["collection": "c", "key": "k399"])["text"] == .string(text))
            let sent = try #require(leader.context.replication?.counters)
            let received = try #require(follower.context.replication?.counters)
            #expect(sent.shippedByteCount > UInt64(round * text.utf8.count))
            #expect(received.receivedByteCount == sent.shippedByteCount)
            #expect(received.receivedWireByteCount == sent.shippedWireByteCount)
            if isCompressed {
                #expect(sent.shippedWireByteCount < sent.shippedByteCount * 3 / 4)
            } else {
                #expect(sent.shippedWireByteCount > sent.shippedByteCount)
            }
        }
    }

    @Test func whatFollowersNeedOfTheLogIsKnownAfterARestart() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        func startLeader() async throws -> NexaNode {
            try await LoopbackNode.start(directory.appendingPathComponent("a").path) { $0.nodeName = "a" }
        }
        var leader = try await startLeader()
        let port = leader.port
        let follower = try await LoopbackNode.start(directory.appendingPathComponent("b").path) {
            $0.nodeName = "b"
            $0.follow = "127.0.0.1:\(port)"
        }
        func slots(_ leader: NexaNode, _ request: SlotAdmin = SlotAdmin(.list)) async throws -> [(name: String, active: Bool)] {
            let port = leader.port
            return try await Task.detached {
                let client = try RawClient(port: port)
                #expect(try client.call(.connect, ["purpose": "replication"])["status"] == "connected")
                try client.send(ReplicationMessage.slotAdmin(request).frame)
                guard case .array(let slots)? = try client.receive()?["slots"] else { throw RawClientError("no slots") }
                return slots.map { ($0["name"]?.stringValue ?? "", $0["active"] == true) }
            }.value
        }
        let before = leader
        try await Task.detached {
            try wait("a follower") { before.context.gate.status?.peers.first?.state == "streaming" }
            let writer = try RawClient(port: port)
            for _ in 0..<20 { #expect(try writer.call(.create, ["collection": "c", "data": [:]]).type == .success) }
        }.value
        try await follower.stop()
        try await leader.stop()

        leader = try await startLeader()
        #expect(try await slots(leader).map(\.name) == ["b"])
        #expect(try await slots(leader).map(\.active) == [false])
        #expect(leader.context.engine.retention.map(\.name).contains("followers"))
        #expect(try await slots(leader, SlotAdmin(.drop, name: "b")).isEmpty)
        try await leader.stop()
        leader = try await startLeader()
        #expect(try await slots(leader).isEmpty)
        try await leader.stop()
    }

    /// A follower that says it is there and takes nothing: writes are held up, then refused, and go on when it catches up.
    @Test func writesWaitForAFollowerThatACommitNeeds() async throws {
        let node = try await LoopbackNode.start(
            FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)").path
        ) {
            $0.nodeName = "a"
            $0.members = [ClusterMember(name: "a", address: "127.0.0.1:1"), ClusterMember(name: "b", address: "127.0.0.1:2")]
            $0.flowSoftLimit = TimeLimit(milliseconds: 100)
            $0.flowHardLimit = TimeLimit(milliseconds: 2_500)
        }
        let result = await Swift.Result.catching { try await Task.detached { try Self.lag(behind: node) }.value }
        try await node.stop()
        try FileManager.default.removeItem(atPath: node.context.configuration.dataDirectory)
        try result.get()
    }

    private static func lag(behind node: NexaNode) throws {
        // What the status tells is a moment old.
        try wait("a leader") {
            node.context.gate.leads && node.context.gate.status.map { $0.history.lastEpoch == $0.promised } ?? false
        }
        let follower = try LazyFollower("b", of: node)
        let writer = try RawClient(port: node.port)
        writer.setTimeout(seconds: 20)
        var stages: Set<Int> = []
        var codes: Set<String> = []
        try follower.wait("refusal") {
            let answer = try writer.call(.create, ["collection": "c", "data": [:]])
            stages.insert(node.context.gate.flowStage)
            if let code = answer.code { codes.insert(code) }
            return !codes.isEmpty
        }
        #expect(stages.contains(1) && codes == ["OVERLOADED"])
        #expect(try #require(node.context.replication).counters.throttledSeconds > 0)
        // Reads go on.
        #expect(try writer.call(.count, ["collection": "c"]).type == .success)
        try follower.wait("open gate", catchingUp: true) {
            try writer.call(.create, ["collection": "c", "data": [:]]).type == .success && node.context.gate.flowStage == 0
        }
    }

    @Test func aCompressedFrameThatIsNotWhatItClaimsEndsItsConnectionOnly() async throws {
        try await withPair { leader, _ in
            let output = OutputBytes(capacity: 4096)
            let mark = output.beginFrame(.slotAdmin)
            MessagePackValue.map([
                .init("action", "list"), .init("padding", .string(String(repeating: "padding ", count: 200))),
            ]).encode(into: output)
            output.endFrameCompressed(mark)
            let good = [UInt8](output.bytes)
            func claiming(_ rawByteCount: Int) -> [UInt8] {
                var bytes = good
                withUnsafeBytes(of: UInt32(rawByteCount).bigEndian) { bytes.replaceSubrange(12..<16, with: $0) }
                return bytes
            }
            var cut = Array(good.dropLast(3))
            withUnsafeBytes(of: UInt32(cut.count - 12).bigEndian) { cut.replaceSubrange(8..<12, with: $0) }
            var garbled = good
            for index in 16..<garbled.count { garbled[index] ^= 0xFF }
            for (name, bytes) in [
                ("larger than any frame", claiming(Int(UInt32.max))), ("more than there can be", claiming(1 << 20)),
                ("less than there is", claiming(10)), ("nothing", claiming(0)), ("cut", cut), ("garbled", garbled),
            ] {
                let client = try RawClient(port: leader.port)
                #expect(try client.call(.connect, ["purpose": "replication"])["status"] == "connected")
                try client.send(bytes)
                while let frame = try client.receive() { #expect(frame.type == .replStop, "\(name)") }
            }
            let client = try RawClient(port: leader.port)
            #expect(try client.call(.connect, ["purpose": "replication"])["status"] == "connected")
            try client.send(good)
            #expect(try client.receive()?["ok"] == true)
            #expect(leader.context.gate.leads)
        }
    }
}

/// Speaks the follower's side of the protocol over a blocking socket and acknowledges what it wants.
private final class LazyFollower {
    private let client: RawClient
    private let node: NexaNode

    init(_ name: String, of node: NexaNode) throws {
        self.node = node
        client = try RawClient(port: node.port)
        guard try client.call(.connect, ["purpose": "replication"])["status"] == "connected" else {
            throw RawClientError("not connected")
        }
        let id = NodeID(name: name)
        let cluster = try #require(node.context.gate.status?.clusterID)
        let hello = Hello(
            clusterID: cluster, node: id, name: name, address: "127.0.0.1:2", promised: 0, history: EpochHistory(),
            last: LogPosition(epoch: 0, lsn: 0), chain: LogChain.start, durable: 0, committed: 0, slot: name, via: [id],
            windowByteCount: 0)
        try client.send(ReplicationMessage.hello(hello).frame)
    }

    /// Acknowledges nothing, or everything, twenty times a second until `condition` holds.
    func wait(_ what: String, catchingUp: Bool = false, _ condition: () throws -> Bool) throws {
        for round in 0..<400 {
            let status = try #require(node.context.gate.status)
            let durable = catchingUp ? status.durable : 0
            let ack = Ack(
                epoch: status.history.lastEpoch, written: durable, durable: durable, applied: durable, sentAt: UInt64(round + 1),
                echo: 0)
            try client.send(ReplicationMessage.ack(ack).frame)
            if try condition() { return }
            usleep(50_000)
        }
        throw RawClientError("no \(what) in time")
    }
}

extension ReplicationMessage {
    fileprivate var frame: [UInt8] {
        let output = OutputBytes(capacity: 1024)
        writeFrame(into: output)
        return [UInt8](output.bytes)
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
