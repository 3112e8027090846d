// The side that gives a full copy to followers. A checkpoint is made once and shared by every follower that asks while it is fresh; they pull
// its files piece by piece, so a slow one slows nobody. What is held, and for how long, is `CheckpointShelf`'s.
//
//     SNAPSHOT_BEGIN ─► checkpoint (hard links, on the snapshot thread) ─► SNAPSHOT_MANIFEST
//     SNAPSHOT_GET   ─► read (on the snapshot thread)                   ─► SNAPSHOT_CHUNK
//     SNAPSHOT_DONE  ─► removed, if nobody else fetches it
//
// Confined to the replication loop; the thread only gets what it needs.

import Logging
import NIOCore
import NexaReplication
import NexaStorage

extension ReplicationShell {
    /// A checkpoint that is older than this is not given to one more follower.
    private static let sharingLimit: Microseconds = 30_000_000

    func takeSnapshotRequest(_ message: ReplicationMessage, from connection: ReplicationConnection) {
        // The core may have closed it, and whoever has not introduced itself follows nobody.
        guard connection.isFollower, connections[connection.session] === connection else {
            return connection.close(.stop(ReplicationStop(.protocolError, "a snapshot is for followers")))
        }
        switch message {
        case .snapshotBegin(let begin): serve(begin, connection)
        case .snapshotGet(let get): serve(get, connection)
        case .snapshotDone(let done):
            let (checkpoints, holder) = (checkpoints, connection.peerName ?? "")
            snapshotThread.submit(.call { checkpoints.release(done.id, by: holder) })
        default: break
        }
    }

    private func serve(_ begin: SnapshotBegin, _ connection: ReplicationConnection) {
        let now = Self.now()
        let slot = connection.peerName ?? ""
        let oldest = engine.oldestLogLSN ?? 0
        // The log must still go on where the checkpoint ends.
        let fit = checkpoints.join(slot) { held in
            held.purpose == .follower && held.checkpoint.manifest.point.lsn + 1 >= oldest
                && (held.id == begin.resume || held.holders.contains(slot) || now - min(now, held.madeAt) < Self.sharingLimit)
        }
        if let fit { return announce(fit, to: [connection]) }
        guard !waitingForSnapshot.contains(where: { $0 === connection }) else { return }
        waitingForSnapshot.append(connection)
        guard waitingForSnapshot.count == 1 else { return }
        let checkpoints = checkpoints
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        snapshotThread.submit(
            .call {
                let made = Result { try checkpoints.make(.follower, for: [slot]) }
                eventLoop.execute { bound.value.made(made) }
            })
    }

    private func made(_ made: Result<CheckpointShelf.Held, any Error>) {
        let connections = waitingForSnapshot
        waitingForSnapshot.removeAll()
        switch made {
        case .failure(let error):
            logger.error("no snapshot can be made", metadata: ["error": "\(error)"])
            for connection in connections { connection.close(.stop(ReplicationStop(.slotLost, "no snapshot can be made"))) }
        case .success(let held):
            for connection in connections { _ = checkpoints.join(connection.peerName ?? "") { $0.id == held.id } }
            announce(held, to: connections)
        }
    }

    private func announce(_ held: CheckpointShelf.Held, to connections: [ReplicationConnection]) {
        guard let manifest = SnapshotManifest(held.checkpoint.manifest, id: held.id, clusterID: node.clusterID) else {
            logger.error("a snapshot has too many files")
            for connection in connections { connection.close(.stop(ReplicationStop(.slotLost, "it has too many files"))) }
            return
        }
        for connection in connections {
            handle(.snapshotOffered(connection.session, through: manifest.position.lsn))
            connection.send(.snapshotManifest(manifest))
        }
    }

    private func serve(_ get: SnapshotGet, _ connection: ReplicationConnection) {
        guard connection.pieces.ask(get) else {
            return connection.close(.stop(ReplicationStop(.protocolError, "more pieces are asked for than may be")))
        }
        readNext(for: connection)
    }

    private func readNext(for connection: ReplicationConnection) {
        guard !connection.isClosed, let get = connection.pieces.next() else { return }
        let checkpoints = checkpoints
        let (eventLoop, bound) = (eventLoop, NIOLoopBound((self, connection), eventLoop: eventLoop))
        snapshotThread.submit(
            .call {
                let piece = Result { try checkpoints.read(get) }
                eventLoop.execute {
                    let (shell, connection) = bound.value
                    shell.send(get, piece, to: connection)
                }
            })
    }

    private func send(
        _ get: SnapshotGet, _ piece: Result<CheckpointShelf.Piece?, any Error>, to connection: ReplicationConnection
    ) {
        let byteCount = (try? piece.get())?.bytes.count ?? 0
        connection.pieces.wasRead(byteCount: byteCount)
        let bound = NIOLoopBound((self, connection), eventLoop: eventLoop)
        connection.sendChunk(get, piece) {
            let (shell, connection) = bound.value
            connection.pieces.wasTaken(byteCount: byteCount)
            shell.readNext(for: connection)
        }
        readNext(for: connection)
    }
}
