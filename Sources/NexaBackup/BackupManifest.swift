// What a backup consists of, as `backups/NAME.json` says it: JSON for people and for programs of later years, and behind it one line with
// the XXH3-64 of every byte in front of that line.
//
//     {"format": "nexadb backup", "version": 1, "name": "...", "created": microseconds, "source": "...", "new_bytes": n,
//      "store": "32 hex digits", "cluster": "32 hex digits", "position": {"epoch": n, "lsn": n, "chain": "16 hex digits"},
//      "log": {"first_lsn": lsn + 1, "last_lsn": lsn, "segments": []},
//      "epochs": [[epoch, first lsn], ...], "files": [{"name": "...", "bytes": n, "digest": "16 hex digits"}, ...]}
//     xxh3 0123456789abcdef
//
// `log` is room for what comes behind the checkpoint: segments in the repository's `log/` that lead on from `position`. There are none yet,
// and a reader that does not know them restores the checkpoint.

import CSupport
import NexaReplication
import NexaStorage
import NexaWire

package struct BackupManifest: Equatable, Sendable {
    static let format = "nexadb backup"
    static let version: UInt64 = 1
    /// A manifest of as many files as a checkpoint can have stays below it.
    static let byteCountMax = 32 << 20

    package var name: BackupName
    /// Microseconds since 1970 when it was begun: what was acknowledged before is in it.
    package var createdAt: Int64
    /// The node that it came from, as people call it.
    package var source: String
    /// Bytes of files that no earlier backup of the repository had.
    package var newByteCount: UInt64
    /// `none` for a node without a cluster.
    package var clusterID: ClusterID
    package var checkpoint: CheckpointManifest

    package init(
        name: BackupName, createdAt: Int64, source: String, newByteCount: UInt64, clusterID: ClusterID,
        checkpoint: CheckpointManifest
    ) {
        self.name = name
        self.createdAt = createdAt
        self.source = source
        self.newByteCount = newByteCount
        self.clusterID = clusterID
        self.checkpoint = checkpoint
    }

    var objects: Set<BackupObject> { Set(checkpoint.files.map { BackupObject($0) }) }

    // MARK: Text

    package func encoded() -> [UInt8] {
        let point = checkpoint.point
        let value: MessagePackValue = .map([
            .init("format", .string(Self.format)), .init("version", .uint(Self.version)), .init("name", .string(name.text)),
            .init("created", .int(createdAt)), .init("source", .string(source)), .init("new_bytes", .uint(newByteCount)),
            .init("store", .string(checkpoint.storeUUID.description)),
            .init("cluster", .string(Hex.string(clusterID.high) + Hex.string(clusterID.low))),
            .init(
                "position",
                .map([
                    .init("epoch", .uint(point.epoch)), .init("lsn", .uint(point.lsn)),
                    .init("chain", .string(Hex.string(point.chain))),
                ])),
            .init(
                "log",
                .map([
                    .init("first_lsn", .uint(point.lsn + 1)), .init("last_lsn", .uint(point.lsn)), .init("segments", .array([])),
                ])),
            .init("epochs", .array(checkpoint.epochs.map { .array([.uint($0.epoch), .uint($0.firstLSN)]) })),
            .init(
                "files",
                .array(
                    checkpoint.files.map { file in
                        .map([
                            .init("name", .string(file.name)), .init("bytes", .uint(file.byteCount)),
                            .init("digest", .string(Hex.string(file.digest))),
                        ])
                    })),
        ])
        var bytes = Array((JSONText.write(value, indent: 1) + "\n").utf8)
        let hash = bytes.withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, 0) }
        bytes += Array((Self.checksumPrefix + Hex.string(hash) + "\n").utf8)
        return bytes
    }

    private static let checksumPrefix = "xxh3 "
    private static let checksumByteCount = 5 + 16 + 1

    /// Why the bytes are no manifest of this version.
    package struct Problem: Error, Equatable, Sendable {
        package var reason: String
    }

    package init(decoding bytes: [UInt8]) throws(Problem) {
        let fields = Fields(try Self.checked(bytes))
        guard try fields.text("format") == Self.format else { throw Problem(reason: "it is not a backup's") }
        let version = try fields.number("version")
        guard version == Self.version else {
            throw Problem(reason: "it has version \(version), which this program does not know")
        }
        guard let name = BackupName(try fields.text("name")) else { throw Problem(reason: "its name is none") }
        self.name = name
        createdAt = Int64(clamping: try fields.number("created"))
        source = try fields.text("source")
        newByteCount = try fields.number("new_bytes")
        let (store, cluster) = (try fields.pair("store"), try fields.pair("cluster"))
        clusterID = ClusterID(high: cluster.high, low: cluster.low)
        let position = Fields(try fields.value("position"))
        let point = LogPoint(
            epoch: try position.number("epoch"), lsn: try position.number("lsn"), chain: try position.hex("chain"))
        var epochs: [EpochStart] = []
        for row in try fields.rows("epochs") {
            guard let row = row.arrayValue, row.count == 2, let epoch = row[0].unsigned, let lsn = row[1].unsigned else {
                throw Problem(reason: "'epochs' is not what it should be")
            }
            epochs.append(EpochStart(epoch: epoch, firstLSN: lsn))
        }
        var files: [CheckpointManifest.File] = []
        for row in try fields.rows("files") {
            let row = Fields(row)
            files.append(
                CheckpointManifest.File(
                    name: try row.text("name"), byteCount: try row.number("bytes"), digest: try row.hex("digest")))
        }
        checkpoint = CheckpointManifest(
            storeUUID: StoreUUID(high: store.high, low: store.low), point: point, epochs: epochs, files: files)
        // Names become paths: only those of a store's files pass.
        if let reason = checkpoint.contradiction { throw Problem(reason: reason) }
    }

    /// The JSON in front of the line that vouches for it.
    private static func checked(_ bytes: [UInt8]) throws(Problem) -> MessagePackValue {
        let end = bytes.count - checksumByteCount
        guard end > 0, bytes.last == UInt8(ascii: "\n") else { throw Problem(reason: "it was cut short") }
        let line = String(decoding: bytes[end...].dropLast(), as: UTF8.self)
        guard line.hasPrefix(checksumPrefix), let expected = Hex.value(line.dropFirst(checksumPrefix.count)) else {
            throw Problem(reason: "the line with its checksum is missing")
        }
        let found = bytes.withUnsafeBytes { nexa_xxh3($0.baseAddress, end, 0) }
        guard found == expected else { throw Problem(reason: "its checksum does not fit") }
        let packed = bytes.withUnsafeBytes { bytes in
            try? JSONParser.parse(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
        }
        guard let packed, let value = try? packed.withUnsafeBytes({ try MessagePackValue(decoding: $0) }) else {
            throw Problem(reason: "it is not JSON")
        }
        return value
    }
}

/// Fields of a map, each of the kind that is asked for.
private struct Fields {
    let map: MessagePackValue

    init(_ map: MessagePackValue) { self.map = map }

    private func problem(_ name: String) -> BackupManifest.Problem { .init(reason: "'\(name)' is not what it should be") }

    func value(_ name: String) throws(BackupManifest.Problem) -> MessagePackValue {
        guard let value = map[name] else { throw problem(name) }
        return value
    }

    func text(_ name: String) throws(BackupManifest.Problem) -> String {
        guard let text = map[name]?.stringValue else { throw problem(name) }
        return text
    }

    func number(_ name: String) throws(BackupManifest.Problem) -> UInt64 {
        guard let number = map[name]?.unsigned else { throw problem(name) }
        return number
    }

    func rows(_ name: String) throws(BackupManifest.Problem) -> [MessagePackValue] {
        guard let rows = map[name]?.arrayValue, rows.count <= CheckpointManifest.fileCountMax else { throw problem(name) }
        return rows
    }

    func hex(_ name: String) throws(BackupManifest.Problem) -> UInt64 {
        guard let value = Hex.value(try text(name)[...]) else { throw problem(name) }
        return value
    }

    /// 32 digits.
    func pair(_ name: String) throws(BackupManifest.Problem) -> (high: UInt64, low: UInt64) {
        let text = try text(name)
        guard text.utf8.count == 32, let high = Hex.value(text.prefix(16)), let low = Hex.value(text.suffix(16)) else {
            throw problem(name)
        }
        return (high, low)
    }
}

extension MessagePackValue {
    /// A number that is not negative.
    fileprivate var unsigned: UInt64? {
        switch self {
        case .uint(let number): number
        case .int(let number): UInt64(exactly: number)
        default: nil
        }
    }
}
