// SNAPSHOT_*: a copy of everything on this node, piece by piece, for `nexadb backup`; on any node, of a cluster or not.
// The messages are those of followers (docs/replication.md), one answer to each; on the work pool, which may wait for the disk.

import CSupport
import Logging
import NIOCore
import NexaDocuments
import NexaReplication
import NexaStorage
import NexaWire

extension Executor {
    func snapshot(
        _ call: Call, _ payload: UnsafeRawBufferPointer, _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) -> Outcome {
        guard mayBlock else { throw .wouldBlock }
        let message: ReplicationMessage
        do throws(MessageError) {
            message = try ReplicationMessage(call.type, decoding: payload)
        } catch {
            throw DocumentError(error.wireError)
        }
        switch message {
        case .snapshotBegin(let begin):
            let mark = output.beginFrame(.snapshotManifest, requestID: call.requestID)
            try manifest(begin).encode(into: output)
            output.endFrame(mark)
        case .snapshotGet(let get):
            guard let piece = try readPiece(get) else {
                answerNotFound(call, lsn: 0, output)
                break
            }
            piece.writeFrame(for: get, requestID: call.requestID, into: output)
        case .snapshotDone(let done):
            node.checkpoints.release(done.id, by: nil)
            let mark = output.beginFrame(.success, requestID: call.requestID)
            output.writeMapHeader(0)
            output.endFrame(mark)
        default: throw Self.unknownType(call.type.rawValue)
        }
        return .answered(hold: 0, commitCount: 0)
    }

    /// A new checkpoint has every write that was acknowledged before it was asked for; one that is asked for again is the same.
    private func manifest(_ begin: SnapshotBegin) throws(DocumentError) -> MessagePackValue {
        let known = node.checkpoints.join(begin.slot) { $0.purpose == .backup && $0.id == begin.resume }
        let held: CheckpointShelf.Held
        if let known {
            held = known
        } else {
            do throws(StorageError) {
                held = try node.checkpoints.make(.backup, for: [begin.slot])
            } catch {
                throw DocumentError(error)
            }
            node.logger.notice(
                "checkpoint for a backup", metadata: ["lsn": "\(held.checkpoint.manifest.point.lsn)", "for": "\(begin.slot)"])
        }
        let cluster = gate.status?.clusterID ?? .none
        guard let manifest = SnapshotManifest(held.checkpoint.manifest, id: held.id, clusterID: cluster) else {
            node.checkpoints.release(held.id, by: nil)
            throw DocumentError(.tooLarge, "The store has more than \(SnapshotManifest.fileCountMax) files")
        }
        return manifest.value
    }

    private func readPiece(_ get: SnapshotGet) throws(DocumentError) -> CheckpointShelf.Piece? {
        do throws(StorageError) {
            return try node.checkpoints.read(get)
        } catch {
            throw DocumentError(error)
        }
    }
}

extension CheckpointShelf.Piece {
    /// SNAPSHOT_CHUNK.
    func writeFrame(for get: SnapshotGet, requestID: UInt32? = nil, into output: OutputBytes) {
        let mark = output.beginFrame(.snapshotChunk, requestID: requestID)
        bytes.withUnsafeBytes { bytes in
            ChunkHeader(
                id: get.id, file: get.file, offset: get.offset, isEnd: isEnd,
                checksum: nexa_xxh3(bytes.baseAddress, bytes.count, 0)
            ).encode(into: output)
            output.writeBin(bytes)
        }
        output.endFrame(mark)
    }
}

extension NodeContext {
    /// How often it is looked whether a checkpoint is to be given up.
    private static let tidyInterval: Int64 = 5

    /// Until the loop ends.
    func tidyCheckpoints(on eventLoop: any EventLoop, _ pool: WorkPool<Executor>) {
        eventLoop.scheduleRepeatedTask(
            initialDelay: .seconds(Self.tidyInterval), delay: .seconds(Self.tidyInterval)
        ) { [checkpoints, logger] _ in
            guard checkpoints.count > 0 else { return }
            _ = pool.submit { _ in
                for held in checkpoints.tidy() {
                    logger.notice("a checkpoint is given up", metadata: ["lsn": "\(held.checkpoint.manifest.point.lsn)"])
                }
            }
        }
    }
}
