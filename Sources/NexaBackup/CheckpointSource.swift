import NexaBlockingClient
import NexaReplication
import NexaWire

/// Where the files of a checkpoint come from: a node, or in tests something that behaves like one.
package protocol CheckpointSource: AnyObject {
    /// A new checkpoint, or the one with that id if it is still there.
    func begin(resuming id: UInt64?) throws(ClientError) -> SnapshotManifest
    /// Asks for a run of bytes; several can be under way.
    func ask(_ get: SnapshotGet) throws(ClientError)
    /// The answer to the oldest question; nil when the node does not have the checkpoint any more.
    func next() throws(ClientError) -> CheckpointPiece?
    /// The node may let go of it.
    func done(_ id: UInt64)
    /// Begins anew after a failure. What was asked for is forgotten.
    func reconnect() throws(ClientError)
}

/// What came: the header says of what, and what the bytes' XXH3-64 has to be.
package struct CheckpointPiece: Sendable {
    package var header: ChunkHeader
    package var bytes: [UInt8]

    package init(header: ChunkHeader, bytes: [UInt8]) {
        self.header = header
        self.bytes = bytes
    }
}

/// A running node: SNAPSHOT_BEGIN, SNAPSHOT_GET and SNAPSHOT_DONE on an ordinary connection.
package final class NodeSource: CheckpointSource {
    private let endpoint: Endpoint
    private let options: ClientConnection.Options
    private let slot: String
    private var connection: ClientConnection
    /// Questions without an answer.
    private var owedCount = 0

    package init(_ endpoint: Endpoint, _ options: ClientConnection.Options) throws(ClientError) {
        self.endpoint = endpoint
        self.options = options
        slot = "backup-\(UInt32.random(in: 0 ... .max))"
        connection = try ClientConnection.open(endpoint, options)
    }

    package func reconnect() throws(ClientError) {
        connection = try ClientConnection.open(endpoint, options)
        owedCount = 0
    }

    package func begin(resuming id: UInt64?) throws(ClientError) -> SnapshotManifest {
        try drain()
        let answer = try connection.request(.snapshotBegin, SnapshotBegin(slot: slot, resume: id).value)
        guard answer.type == .snapshotManifest else { throw .protocolViolation("\(answer.type.name) answers no SNAPSHOT_BEGIN") }
        do throws(MessageError) {
            return try SnapshotManifest(payload: answer.payload)
        } catch {
            throw .protocolViolation("a manifest that makes no sense: \(error.wireError.message)")
        }
    }

    package func ask(_ get: SnapshotGet) throws(ClientError) {
        connection.enqueue(.snapshotGet, get.value)
        owedCount += 1
        try connection.flush()
    }

    package func next() throws(ClientError) -> CheckpointPiece? {
        owedCount -= 1
        let answer = try connection.receive()
        if answer.type == .notFound { return nil }
        guard answer.type == .snapshotChunk, let (header, bytes) = ChunkHeader.read(answer.payload) else {
            throw .protocolViolation("\(answer.type.name) answers no SNAPSHOT_GET")
        }
        return CheckpointPiece(header: header, bytes: bytes)
    }

    package func done(_ id: UInt64) {
        // A node that does not hear it lets go a little later by itself.
        guard (try? drain()) != nil else { return }
        _ = try? connection.request(.snapshotDone, SnapshotDone(id: id, isInstalled: true).value)
    }

    /// Takes what is under way and not wanted any more.
    private func drain() throws(ClientError) {
        while owedCount > 0 { _ = try next() }
    }
}

extension ChunkHeader {
    /// A SNAPSHOT_CHUNK's payload as a value: `[id, file, offset, is_end, xxh3_64, bin]`.
    fileprivate static func read(_ payload: MessagePackValue) -> (ChunkHeader, [UInt8])? {
        func number(_ value: MessagePackValue) -> UInt64? {
            switch value {
            case .uint(let number): number
            case .int(let number): UInt64(exactly: number)
            default: nil
            }
        }
        guard let fields = payload.arrayValue, fields.count >= 6, let id = number(fields[0]), let file = number(fields[1]),
            file <= UInt64(SnapshotManifest.fileCountMax), let offset = number(fields[2]), let isEnd = fields[3].boolValue,
            let checksum = number(fields[4]), case .binary(let bytes) = fields[5]
        else { return nil }
        return (ChunkHeader(id: id, file: Int(file), offset: offset, isEnd: isEnd, checksum: checksum), bytes)
    }
}
