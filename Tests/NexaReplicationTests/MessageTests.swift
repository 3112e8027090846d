import NexaReplication
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

@Suite struct MessageTests {
    static let history = EpochHistory([.init(epoch: 1, firstLSN: 1), .init(epoch: 9, firstLSN: UInt64(1) << 59)])!
    static let cluster = ClusterID(high: 0x0102_0304_0506_0708, low: .max)
    static let node = NodeID(name: "räv")
    static let slot = ReplicationSlot.Status(
        name: "a", node: node, state: "reserved", isActive: true, restartLSN: 3, retainedByteCount: 4, safeByteCount: .max)

    static let contentHash: ContentHash = {
        var hash = ContentHash()
        (hash.entryCount, hash.sum, hash.exclusiveOr) = (3, .max, 1 << 63)
        return hash
    }()

    static let examples: [ReplicationMessage] = [
        .hello(
            Hello(
                clusterID: cluster, node: node, name: "räv", address: "h:1", formatMin: 1, formatMax: 2, promised: 9,
                history: history,
                last: LogPosition(epoch: 9, lsn: UInt64(1) << 59 + 1), chain: .max, durable: 7, committed: 6, slot: "s",
                want: .snapshot,
                features: ["lz4"], via: [node], depth: 3, windowByteCount: 5)),
        .welcome(
            Welcome(
                decision: .truncate, reason: "diverged", clusterID: cluster, node: node, epoch: 9, leader: node,
                leaderAddress: "h:1",
                history: history, from: 0, truncateTo: 12, chain: 4, end: 90, committed: 11, windowByteCount: 1 << 20,
                heartbeatInterval: 500_000, retryAfter: 1, features: ["lz4"], via: [node])),
        .welcome(Welcome(decision: .wait, clusterID: cluster, node: node, epoch: 1, leader: node, history: EpochHistory())),
        .snapshotBegin(SnapshotBegin(slot: "s", resume: 4)),
        .snapshotManifest(
            SnapshotManifest(
                id: 1, clusterID: cluster, storeUUID: StoreUUID(high: 7, low: .max), position: LogPosition(epoch: 9, lsn: 99),
                chain: 5, history: history,
                files: [SnapshotFile(name: "000012.sst", byteCount: 1 << 40, digest: .max)])),
        .snapshotGet(SnapshotGet(id: 1, file: 2, offset: 3, byteCount: 4)),
        .snapshotDone(SnapshotDone(id: 1, isInstalled: true)),
        .streamStartAt(StreamStartAt(slot: "s", epoch: 9, from: 100, chain: 4, windowByteCount: 0)),
        .ack(Ack(epoch: 9, written: 3, durable: 2, applied: 1, sentAt: 5, echo: 6, downstream: [.init(node: node, durable: 2)])),
        .heartbeat(
            Heartbeat(
                stamp: FrameStamp(epoch: 9, committed: 1, end: 2, endAge: 3, sentAt: 4, echo: 5), leader: node, topologyVersion: 6
            )),
        .readIndex(ReadIndex(id: 1, epoch: 9)), .readIndexReply(ReadIndexReply(id: 1, epoch: 9, lsn: 4)),
        .readIndexReply(ReadIndexReply(id: 1, epoch: 9, lsn: nil)),
        .topology(
            Topology(
                epoch: 9, leader: node, leaderAddress: "h:1", version: 3,
                members: [Member(name: "a", address: "h:1"), Member(name: "b", address: "h:2", isVoter: false)], commitQuorum: 1)),
        .fence(Fence(clusterID: cluster, epoch: 9, candidate: node, isDry: true)),
        .fenced(
            Fenced(
                node: node, epoch: 9, isGranted: true, promised: 9, last: LogPosition(epoch: 4, lsn: 4), committed: 3,
                leader: node,
                leaderEpoch: 8)),
        .promoted(Promoted(clusterID: cluster, epoch: 9, firstLSN: 100, leader: node, address: "h:1")),
        .switchover(Switchover(target: node, timeout: 5)),
        .switchover(Switchover(target: node, timeout: 5, epoch: 9, finalLSN: 100)),
        .switchoverProgress(SwitchoverProgress(state: .handedOver, lsn: 4, reason: "x")), .nodeStatus,
        .nodeStatusReply(
            NodeStatus(
                node: node, name: "a", role: "leader", clusterID: cluster, promised: 9, history: history, end: 5, durable: 4,
                applied: 3,
                committed: 2, oldest: 1, leader: node, leaderAddress: "h:1", staleness: 7, isDegraded: true,
                peers: [
                    .init(
                        node: node, name: "b", state: "streaming", written: 3, durable: 2, applied: 1, lagByteCount: 4, lag: 5,
                        isVoter: true)
                ], slots: [slot])),
        .slotAdmin(SlotAdmin(.drop, name: "s")), .slotAdminReply(SlotAdminReply(isDone: true, slots: [slot])),
        .verify(Verify(lsn: nil, wait: 5)), .verify(Verify(lsn: .max, wait: 5)),
        .verifyProgress(VerifyReply(.pinned, lsn: 7, epoch: 9, chain: .max)),
        .verifyProgress(VerifyReply(.hashing, lsn: 7, entryCount: 4, byteCount: 5)),
        .verifyProgress(
            VerifyReply(
                .collections, lsn: 7, collections: [.init(id: 1, database: "räv", name: "c", hash: contentHash)])),
        .verifyProgress(VerifyReply(.failed, lsn: 7, reason: "gone", mayTryAgain: true)),
        .stop(ReplicationStop(.notLeader, "go away", epoch: 9, retryAfter: 5, leader: node, leaderAddress: "h:1")),
    ]

    private func payload(_ message: ReplicationMessage) -> [UInt8] {
        let output = OutputBytes()
        message.encode(into: output)
        return output.withUnsafeBytes { [UInt8]($0) }
    }

    private func decode(_ type: MessageType, _ bytes: [UInt8]) throws -> ReplicationMessage {
        try bytes.withUnsafeBytes { try ReplicationMessage(type, decoding: $0) }
    }

    @Test func everyMessageComesBackAsItWas() throws {
        for message in Self.examples { #expect(try decode(message.type, payload(message)) == message) }
        #expect(Set(Self.examples.map(\.type)).count == 24)
    }

    @Test func framesCarryTheTypeOfTheDesign() throws {
        let output = OutputBytes()
        Self.examples[0].writeFrame(into: output)
        #expect(output.bytes[5] == 0x60)
    }

    @Test func payloadsPassTheGateOfTheHouse() {
        for message in Self.examples { #expect(payload(message).withUnsafeBytes { payloadIsValid($0) }) }
    }

    @Test func unknownFieldsAreIgnored() throws {
        let message = ReplicationMessage.readIndex(ReadIndex(id: 1, epoch: 2))
        guard case .map(var entries) = try MessagePackValue(decoding: payload(message)) else { return }
        entries.append(.init("future", [1, 2, 3]))
        #expect(try decode(.readIndex, MessagePackValue.map(entries).encoded()) == message)
    }

    @Test func batchHeadersComeBackWithTheirRecordsInPlace() throws {
        let header = BatchHeader(
            stamp: FrameStamp(epoch: 3, committed: 1, end: .max, endAge: 2, sentAt: 3, echo: 4), recordEpoch: 2, first: 5,
            last: 6,
            previousChain: .max)
        let output = OutputBytes()
        header.encode(into: output)
        [UInt8](repeating: 7, count: 300).withUnsafeBytes { output.writeBin($0) }
        let (again, records) = try BatchHeader.decode(output.bytes)
        #expect(again == header && records.count == 300 && records.allSatisfy { $0 == 7 })

        let chunk = ChunkHeader(id: 1, file: 2, offset: 3, isEnd: true, checksum: .max)
        output.removeAll()
        chunk.encode(into: output)
        [UInt8](repeating: 9, count: 10).withUnsafeBytes { output.writeBin($0) }
        let (sameChunk, bytes) = try ChunkHeader.decode(output.bytes)
        #expect(sameChunk == chunk && bytes.count == 10)
    }

    /// Truncated, flipped, spliced, random: an answer or an error, never a crash.
    @Test func hostileBytesAreRefusedOrUnderstood() {
        var random = SeededGenerator(seed: SeededGenerator.seed(default: 11))
        let payloads = Self.examples.map { ($0.type, payload($0)) }
        var understood = 0
        for round in 0..<60_000 {
            var (type, bytes) = payloads[round % payloads.count]
            switch random.below(4) {
            case 0: bytes.removeLast(random.below(bytes.count + 1))
            case 1:
                for _ in 0..<(1 + random.below(3)) where !bytes.isEmpty {
                    bytes[random.below(bytes.count)] = UInt8(random.below(256))
                }
            case 2: type = payloads[random.below(payloads.count)].0
            default: bytes = random.bytes(random.below(60))
            }
            if (try? decode(type, bytes)) != nil { understood += 1 }
            bytes.withUnsafeBytes { raw in
                _ = try? BatchHeader.decode(raw)
                _ = try? ChunkHeader.decode(raw)
            }
        }
        #expect(understood > 0 && understood < 40_000)
    }

    @Test func limitsHold() {
        func refused(_ type: MessageType, _ value: MessagePackValue) -> Bool { (try? decode(type, value.encoded())) == nil }
        #expect(refused(.snapshotBegin, ["slot": .string(String(repeating: "x", count: 65))]))
        #expect(refused(.snapshotGet, ["id": 1, "file": 0, "offset": 0, "length": 1_000_000_000]))
        #expect(refused(.snapshotGet, ["id": 1, "file": 0, "offset": 0, "length": 0]))
        #expect(refused(.fence, ["cluster": .binary(Array(repeating: 0, count: 16)), "epoch": .uint(.max), "candidate": 1]))
        #expect(refused(.fence, ["cluster": .binary([1]), "epoch": 1, "candidate": 1]))
        #expect(refused(.readIndex, .string("no map")))
        #expect((try? decode(.readIndex, [UInt8](repeating: 0, count: replicationControlByteCountMax + 1))) == nil)
    }

    @Test func aSnapshotEndsWhereAStoreCan() {
        func manifest(_ lsn: LSN, _ first: LSN) -> ReplicationMessage {
            .snapshotManifest(
                SnapshotManifest(
                    id: 1, clusterID: Self.cluster, storeUUID: StoreUUID(high: 1, low: 2),
                    position: LogPosition(epoch: 1, lsn: lsn), chain: 0,
                    history: EpochHistory([.init(epoch: 1, firstLSN: first)])!, files: []))
        }
        let last: LSN = 1 << 60 - 1
        #expect((try? decode(.snapshotManifest, payload(manifest(last, last)))) != nil)
        for (lsn, first) in [(last + 1, 1), (.max, 1), (1, last + 1)] as [(LSN, LSN)] {
            #expect((try? decode(.snapshotManifest, payload(manifest(lsn, first)))) == nil)
        }
    }

    @Test func namesOfSnapshotFilesCannotLeaveTheirDirectory() {
        for name in ["../x", "/x", "a/b", "", ".", "..", ".hidden", "a\0b", "ä"] {
            let manifest = SnapshotManifest(
                id: 1, clusterID: Self.cluster, storeUUID: StoreUUID(high: 1, low: 2), position: LogPosition(epoch: 1, lsn: 1),
                chain: 0, history: EpochHistory(),
                files: [SnapshotFile(name: name, byteCount: 1, digest: 1)])
            #expect((try? decode(.snapshotManifest, payload(.snapshotManifest(manifest)))) == nil, "\(name)")
        }
    }
}
