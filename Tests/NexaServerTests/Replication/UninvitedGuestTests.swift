// Connections for replication that are not what they should be: silent, greedy, deaf. Members go on.

import Foundation
import NexaReplication
import NexaServer
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

@Suite(.serialized) struct UninvitedGuestTests {
    private func withNode(
        _ configure: @Sendable (inout ServerConfiguration) -> Void = { _ in }, fileSystem: any FileSystem = PosixFileSystem(),
        _ body: @escaping @Sendable (NexaNode) throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let node = try await LoopbackNode.start(
            directory.path,
            {
                $0.nodeName = "a"
                configure(&$0)
            }, fileSystem: fileSystem)
        let result = await Swift.Result.catching {
            try await Task.detached {
                try wait("a leader") { node.context.gate.leads && node.context.gate.status?.role == "leader" }
                try body(node)
            }.value
        }
        try await node.stop()
        try result.get()
    }

    private static func connect(_ node: NexaNode, as name: String? = nil, receiveByteCount: Int32? = nil) throws -> RawClient {
        let client = try RawClient(port: node.port, receiveByteCount: receiveByteCount)
        client.setTimeout(seconds: 30)
        let answer = try client.call(
            .connect, ["purpose": "replication", "name": name.map { .string($0) } ?? .null])
        guard answer["status"] == "connected" else { throw RawClientError("not connected: \(answer.value)") }
        return client
    }

    @Test func whoSaysNothingKeepsNobodyOutAndIsLeft() async throws {
        try await withNode { node in
            let strangers = try (0...Admittance.countMax).map { _ in try Self.connect(node) }
            // The first one made room for the last, if it was not silent for too long before.
            let code = try strangers[0].receive()?["code"]
            #expect(code == "TOO_MANY" || code == "SILENT")
            #expect(try strangers[0].receive() == nil)
            let last = strangers[Admittance.countMax]
            try last.send(ReplicationMessage.nodeStatus.frame)
            #expect(try last.receive()?.type == .nodeStatusReply)
            last.setTimeout(seconds: 120)
            #expect(try last.receive()?["code"] == "SILENT")
            #expect(try last.receive() == nil)
        }
    }

    @Test func whoReadsNoAnswersIsNotListenedToAndGoesOnWhenItReads() async throws {
        try await withNode { node in
            let client = try Self.connect(node, receiveByteCount: 4096)
            let question = RawClient.frame(.nodeStatus, ["padding": .string(String(repeating: "x", count: 60))])
            let questions = [[UInt8]](repeating: question, count: (48 << 20) / question.count).flatMap { $0 }
            client.setTimeout(seconds: 2)
            let sent = client.sendWhatFits(questions)
            #expect(sent < questions.count, "everything was taken in")
            client.setTimeout(seconds: 30)
            for _ in 0..<sent / question.count {
                guard try client.receive()?.type == .nodeStatusReply else {
                    Issue.record("no more answers")
                    break
                }
            }
        }
    }

    @Test func anIntroductionIsSmall() async throws {
        try await withNode { node in
            let client = try RawClient(port: node.port)
            let padding = MessagePackValue.string(String(repeating: "x", count: ReplicationService.introductionByteCountMax))
            #expect(try client.call(.connect, ["purpose": "replication", "padding": padding]).code == "TOO_LARGE")
            #expect(try client.receive() == nil)
        }
    }

    // MARK: - Snapshots

    private static func hello(_ name: String, _ node: NexaNode, _ client: RawClient) throws {
        let id = NodeID(name: name)
        let hello = Hello(
            clusterID: try #require(node.context.gate.status?.clusterID), node: id, name: name, address: "127.0.0.1:2",
            promised: 0, history: EpochHistory(), last: LogPosition(epoch: 0, lsn: 0), chain: LogChain.start, durable: 0,
            committed: 0, slot: name, want: .snapshot, via: [id], windowByteCount: 0)
        try client.send(ReplicationMessage.hello(hello).frame)
        guard try client.receive()?["decision"] == "snapshot" else { throw RawClientError("no snapshot") }
    }

    private static func manifest(_ name: String, _ client: RawClient) throws -> SnapshotManifest {
        try client.send(ReplicationMessage.snapshotBegin(SnapshotBegin(slot: name)).frame)
        guard let frame = try client.receive(), frame.type == .snapshotManifest else { throw RawClientError("no manifest") }
        return try SnapshotManifest(payload: frame.value)
    }

    @Test func aSnapshotIsForFollowers() async throws {
        try await withNode { node in
            for message in [
                ReplicationMessage.snapshotBegin(SnapshotBegin(slot: "b")),
                .snapshotGet(SnapshotGet(id: 1, file: 0, offset: 0, byteCount: 1)),
            ] {
                let client = try Self.connect(node, as: "b")
                try client.send(message.frame)
                #expect(try client.receive()?["code"] == "PROTOCOL")
                #expect(try client.receive() == nil)
            }
        }
    }

    @Test func whoAsksForMorePiecesThanMayBeIsLeft() async throws {
        try await withNode { node in
            let client = try Self.connect(node, as: "b")
            try Self.hello("b", node, client)
            let manifest = try Self.manifest("b", client)
            let get = ReplicationMessage.snapshotGet(SnapshotGet(id: manifest.id, file: 0, offset: 0, byteCount: 1))
            try client.send((0..<2_000).flatMap { _ in get.frame })
            var chunkCount = 0
            var stop: MessagePackValue?
            while let frame = try client.receive() {
                if frame.type == .snapshotChunk { chunkCount += 1 } else { stop = frame["code"] }
            }
            #expect(stop == "PROTOCOL" && chunkCount < 2_000)
        }
    }

    /// What was made for one is given to the next, who goes on behind it although more has been written since.
    @Test func theLogBehindASharedSnapshotIsKept() async throws {
        try await withNode { node in
            let writer = try RawClient(port: node.port)
            func write() throws {
                for _ in 0..<20 { #expect(try writer.call(.create, ["collection": "c", "data": [:]]).type == .success) }
            }
            func slot(_ name: String) -> LSN? {
                node.context.gate.status?.slots.first { $0.name == name }?.restartLSN
            }
            try write()
            let first = try Self.connect(node, as: "b")
            try Self.hello("b", node, first)
            let manifest = try Self.manifest("b", first)
            let floor = node.context.engine.retention.first { $0.name.hasPrefix("checkpoint ") }
            #expect(floor?.oldestNeededLSN == manifest.position.lsn + 1)
            try write()
            let second = try Self.connect(node, as: "c")
            try Self.hello("c", node, second)
            try wait("a slot") { slot("c") ?? 0 > manifest.position.lsn + 1 }
            #expect(try Self.manifest("c", second).id == manifest.id)
            try wait("its place") { slot("c") == manifest.position.lsn + 1 }
            // Done with, it is the slot that keeps the log.
            for client in [first, second] {
                try client.send(ReplicationMessage.snapshotDone(SnapshotDone(id: manifest.id, isInstalled: true)).frame)
            }
            try wait("no checkpoint") { !node.context.engine.retention.contains { $0.name.hasPrefix("checkpoint ") } }
            #expect(slot("c") == manifest.position.lsn + 1)
        }
    }

    // MARK: - Administrators

    /// Elected, its first record not on disk yet, and deposed: the one who asked for it is told.
    @Test func aPromotionThatIsLostBeforeItOpensIsAnswered() async throws {
        let files = FaultFileSystem(PosixFileSystem())
        let stall = Stall()
        let configure: @Sendable (inout ServerConfiguration) -> Void = {
            $0.members = [ClusterMember(name: "a", address: "127.0.0.1:1"), ClusterMember(name: "b", address: "127.0.0.1:2")]
        }
        try await withNode(configure, fileSystem: files) { node in
            defer { stall.open() }
            let rival = try Self.connect(node, as: "b")
            let cluster = try #require(node.context.gate.status?.clusterID)
            func fence(_ epoch: Epoch) throws {
                try rival.send(
                    ReplicationMessage.fence(Fence(clusterID: cluster, epoch: epoch, candidate: NodeID(name: "b"))).frame)
            }
            try fence(1_000)
            try wait("another's promise") {
                node.context.gate.status.map { $0.role == "follower" && $0.promised == 1_000 } ?? false
            }
            files.setHook { operation, path, _ in
                if operation == .sync && path.hasSuffix(".wal") { stall.pass() }
            }
            let administrator = try Self.connect(node)
            try administrator.send(.promote)
            #expect(stall.awaitCall())
            try fence(2_000)
            let answer = try administrator.receive()
            #expect(answer?.code == "CONFLICT", "\(String(describing: answer?.value))")
        }
    }
}

extension ReplicationMessage {
    fileprivate var frame: [UInt8] {
        let output = OutputBytes(capacity: 1024)
        writeFrame(into: output)
        return [UInt8](output.bytes)
    }
}

/// Looks until it is so, at most thirty seconds.
private func wait(_ what: String, _ condition: () -> Bool) throws {
    for _ in 0..<15_000 {
        if condition() { return }
        usleep(2_000)
    }
    throw RawClientError("no \(what) in time")
}
