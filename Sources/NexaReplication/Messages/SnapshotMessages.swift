// SNAPSHOT_*: the follower pulls, so a slow follower slows nobody but itself, and a broken transfer goes on where it stopped. The state
// machine only says "get a snapshot" and hears "installed"; these messages are between the two shells.

import NexaStorage
import NexaWire

/// A file of a snapshot as its manifest names it.
package struct SnapshotFile: Hashable, Sendable {
    package static let nameByteCountMax = 128

    package var name: String
    package var byteCount: UInt64
    /// XXH3-64 of the file's bytes: the same file of an earlier snapshot or of one's own store need not be sent.
    package var digest: UInt64

    package init(name: String, byteCount: UInt64, digest: UInt64) {
        self.name = name
        self.byteCount = byteCount
        self.digest = digest
    }

    /// A plain name: it becomes a path on the receiver's disk.
    static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= nameByteCountMax && name.utf8.first != UInt8(ascii: ".")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    var value: MessagePackValue { .array([.string(name), .number(byteCount), .number(digest)]) }

    init(_ value: MessagePackValue) throws(MessageError) {
        guard let row = value.arrayValue, row.count == 3, let name = row[0].stringValue, SnapshotFile.isPlain(name),
            let byteCount = row[1].uintValue, byteCount < 1 << 48, let digest = row[2].uintValue
        else { throw .badField("files") }
        self.init(name: name, byteCount: byteCount, digest: digest)
    }
}

/// 61 SNAPSHOT_BEGIN: make one, or go on with the one under `resume`.
package struct SnapshotBegin: Equatable, Sendable {
    package var slot: String
    package var resume: UInt64?

    package init(slot: String, resume: UInt64? = nil) {
        self.slot = slot
        self.resume = resume
    }

    package var value: MessagePackValue {
        .fields([("slot", .string(slot)), ("resume", resume.map { .number($0) })])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        slot = try fields.text("slot", byteCountMax: ReplicationSlot.nameByteCountMax)
        resume = try fields.optionalUInt("resume")
    }
}

/// E1 SNAPSHOT_MANIFEST: what it consists of and where the log goes on behind it.
package struct SnapshotManifest: Equatable, Sendable {
    package static let fileCountMax = 16_384

    package var id: UInt64
    package var clusterID: ClusterID
    /// The identity that the store has from then on.
    package var storeUUID: StoreUUID
    package var position: LogPosition
    package var chain: UInt64
    package var history: EpochHistory
    package var files: [SnapshotFile]

    package init(
        id: UInt64, clusterID: ClusterID, storeUUID: StoreUUID, position: LogPosition, chain: UInt64, history: EpochHistory,
        files: [SnapshotFile]
    ) {
        self.id = id
        self.clusterID = clusterID
        self.storeUUID = storeUUID
        self.position = position
        self.chain = chain
        self.history = history
        self.files = files
    }

    package var value: MessagePackValue {
        .fields([
            ("id", .number(id)), ("cluster", .cluster(clusterID)),
            ("store", .cluster(ClusterID(high: storeUUID.high, low: storeUUID.low))), ("position", .position(position)),
            ("chain", .number(chain)),
            ("epochs", .history(history)), ("files", .array(files.map(\.value))),
        ])
    }

    package init(payload: MessagePackValue) throws(MessageError) { try self.init(ControlFields(payload, in: "payload")) }

    init(_ fields: ControlFields) throws(MessageError) {
        id = try fields.uint("id")
        clusterID = try fields.cluster("cluster")
        let store = try fields.cluster("store")
        storeUUID = StoreUUID(high: store.high, low: store.low)
        position = try fields.position("position")
        chain = try fields.uint("chain")
        history = try fields.history("epochs")
        files = []
        for file in try fields.array("files", countMax: SnapshotManifest.fileCountMax) { files.append(try SnapshotFile(file)) }
        guard Set(files.map(\.name)).count == files.count else { throw .badField("files") }
        // What keys of a store can carry.
        guard position.lsn <= lsnMax else { throw .badField("position") }
        guard history.entries.allSatisfy({ $0.firstLSN <= lsnMax }) else { throw .badField("epochs") }
    }
}

extension SnapshotManifest {
    /// As the storage engine knows it.
    package var checkpoint: CheckpointManifest {
        CheckpointManifest(
            storeUUID: storeUUID, point: LogPoint(epoch: position.epoch, lsn: position.lsn, chain: chain),
            epochs: history.entries,
            files: files.map { CheckpointManifest.File(name: $0.name, byteCount: $0.byteCount, digest: $0.digest) })
    }
}

/// 62 SNAPSHOT_GET: a run of bytes of a file, by its place in the manifest. At most `outstandingMax` without an answer.
package struct SnapshotGet: Hashable, Sendable {
    package static let outstandingMax = 8
    package static let byteCountMax: UInt64 = 4 << 20

    package var id: UInt64
    package var file: Int
    package var offset: UInt64
    package var byteCount: UInt64

    package init(id: UInt64, file: Int, offset: UInt64, byteCount: UInt64) {
        self.id = id
        self.file = file
        self.offset = offset
        self.byteCount = byteCount
    }

    package var value: MessagePackValue {
        .fields([("id", .number(id)), ("file", .number(file)), ("offset", .number(offset)), ("length", .number(byteCount))])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        id = try fields.uint("id")
        file = try fields.int("file", default: 0, max: SnapshotManifest.fileCountMax)
        offset = try fields.uint("offset")
        byteCount = try fields.uint("length")
        guard byteCount > 0, byteCount <= SnapshotGet.byteCountMax, offset < 1 << 48 else { throw .badField("length") }
    }
}

/// E2 SNAPSHOT_CHUNK without its bytes: `[id, file, offset, is_end, xxh3_64, bin]`.
package struct ChunkHeader: Hashable, Sendable {
    package var id: UInt64
    package var file: Int
    package var offset: UInt64
    /// Nothing of the file follows.
    package var isEnd: Bool
    /// XXH3-64 of the chunk's bytes.
    package var checksum: UInt64

    package init(id: UInt64, file: Int, offset: UInt64, isEnd: Bool, checksum: UInt64) {
        self.id = id
        self.file = file
        self.offset = offset
        self.isEnd = isEnd
        self.checksum = checksum
    }

    /// Appends the array up to where the bytes follow as one `bin` that the caller writes.
    package func encode(into output: OutputBytes) {
        output.writeArrayHeader(6)
        output.writeUInt(id)
        output.writeInt(file)
        output.writeUInt(offset)
        output.writeBool(isEnd)
        output.writeUInt(checksum)
    }

    package static func decode(
        _ payload: UnsafeRawBufferPointer
    ) throws(MessageError) -> (header: ChunkHeader, bytes: UnsafeRawBufferPointer) {
        do throws(MessagePackError) {
            var reader = MessagePackReader(payload)
            guard try reader.readArrayHeader() >= 6 else { throw MessagePackError(.truncated, at: 0) }
            let id = try reader.readUInt64()
            let file = try reader.readUInt64()
            let offset = try reader.readUInt64()
            let header = ChunkHeader(
                id: id, file: Int(truncatingIfNeeded: file), offset: offset, isEnd: try reader.readBool(),
                checksum: try reader.readUInt64())
            guard file <= UInt64(SnapshotManifest.fileCountMax), offset < 1 << 48 else {
                throw MessagePackError(.outOfRange, at: 0)
            }
            return (header, try reader.readBinBytes())
        } catch {
            throw .malformed(error)
        }
    }
}

/// 63 SNAPSHOT_DONE: the upstream may let go of the files.
package struct SnapshotDone: Equatable, Sendable {
    package var id: UInt64
    package var isInstalled: Bool

    package init(id: UInt64, isInstalled: Bool) {
        self.id = id
        self.isInstalled = isInstalled
    }

    package var value: MessagePackValue { .fields([("id", .number(id)), ("ok", .bool(isInstalled))]) }

    init(_ fields: ControlFields) throws(MessageError) {
        id = try fields.uint("id")
        isInstalled = try fields.flag("ok")
    }
}
