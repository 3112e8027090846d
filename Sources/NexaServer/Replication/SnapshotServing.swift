// The side that gives a full copy away. A checkpoint is made once and shared by every follower that asks while it is fresh; followers pull
// its files piece by piece, so a slow one slows nobody. What is held is given up when nobody has asked for a while.
//
//     SNAPSHOT_BEGIN ─► checkpoint (hard links, on the snapshot thread) ─► SNAPSHOT_MANIFEST
//     SNAPSHOT_GET   ─► read + checksum (on the snapshot thread)        ─► SNAPSHOT_CHUNK
//     SNAPSHOT_DONE, or nothing for `lifetime` ─► removed
//
// Confined to the replication loop; the thread only gets what it needs.

import Logging
import NIOCore
import NexaReplication
import NexaStorage

/// A checkpoint that followers fetch.
struct ServedSnapshot {
    let id: UInt64
    let checkpoint: Checkpoint
    let manifest: SnapshotManifest
    var slots: Set<String>
    var lastUse: Microseconds
    let madeAt: Microseconds
}

extension ReplicationShell {
    /// A checkpoint that is older than this is not given to one more follower.
    private static let sharingLimit: Microseconds = 30_000_000
    /// Without a request for so long a checkpoint is given up.
    private static let snapshotLifetime: Microseconds = 900_000_000

    func takeSnapshotRequest(_ message: ReplicationMessage, from connection: ReplicationConnection) {
        switch message {
        case .snapshotBegin(let begin): serve(begin, connection)
        case .snapshotGet(let get): serve(get, connection)
        case .snapshotDone(let done):
            guard let index = snapshots.firstIndex(where: { $0.id == done.id }) else { return }
            snapshots[index].slots.remove(connection.peerName ?? "")
            if snapshots[index].slots.isEmpty { remove(at: index) }
        default: break
        }
    }

    private func serve(_ begin: SnapshotBegin, _ connection: ReplicationConnection) {
        let now = Self.now()
        let slot = connection.peerName ?? ""
        let oldest = engine.oldestLogLSN ?? 0
        // The log must still go on where the checkpoint ends.
        if let index = snapshots.lastIndex(where: {
            $0.manifest.position.lsn + 1 >= oldest
                && ($0.id == begin.resume || $0.slots.contains(slot) || now - $0.madeAt < Self.sharingLimit)
        }) {
            snapshots[index].slots.insert(slot)
            snapshots[index].lastUse = now
            connection.send(.snapshotManifest(snapshots[index].manifest))
            return
        }
        waitingForSnapshot.append(connection)
        guard waitingForSnapshot.count == 1 else { return }
        let id = UInt64.random(in: 1...UInt64(Int64.max))
        let engine = engine
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        snapshotThread.submit(
            .call {
                let made = Result { try engine.makeCheckpoint(named: "s\(id)") }
                eventLoop.execute { bound.value.made(id, made) }
            })
    }

    private func made(_ id: UInt64, _ made: Result<Checkpoint, any Error>) {
        let connections = waitingForSnapshot
        waitingForSnapshot.removeAll()
        switch made {
        case .failure(let error):
            logger.error("no snapshot can be made", metadata: ["error": "\(error)"])
            for connection in connections {
                close(connection.session, .stop(ReplicationStop(.slotLost, "no snapshot can be made")))
            }
            handleClosed(connections)
        case .success(let checkpoint):
            guard let manifest = SnapshotManifest(checkpoint.manifest, id: id, clusterID: node.clusterID) else {
                logger.error("a snapshot has too many files")
                return
            }
            snapshots.append(
                ServedSnapshot(
                    id: id, checkpoint: checkpoint, manifest: manifest, slots: Set(connections.map { $0.peerName ?? "" }),
                    lastUse: Self.now(), madeAt: Self.now()))
            for connection in connections { connection.send(.snapshotManifest(manifest)) }
        }
    }

    private func handleClosed(_ connections: [ReplicationConnection]) {
        for connection in connections { handle(.closed(connection.session)) }
    }

    private func serve(_ get: SnapshotGet, _ connection: ReplicationConnection) {
        guard let index = snapshots.firstIndex(where: { $0.id == get.id }),
            snapshots[index].manifest.files.indices.contains(get.file)
        else {
            connection.close(.stop(ReplicationStop(.slotLost, "the snapshot is gone")))
            return
        }
        snapshots[index].lastUse = Self.now()
        let checkpoint = snapshots[index].checkpoint
        let isEnd = get.offset + get.byteCount >= snapshots[index].manifest.files[get.file].byteCount
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(connection, eventLoop: eventLoop))
        snapshotThread.submit(
            .call {
                let bytes = [UInt8](unsafeUninitializedCapacity: Int(get.byteCount)) { buffer, count in
                    count =
                        (try? checkpoint.read(file: get.file, at: get.offset, into: UnsafeMutableRawBufferPointer(buffer)))?
                        .byteCount ?? 0
                }
                eventLoop.execute { bound.value.sendChunk(get, isEnd: isEnd, bytes) }
            })
    }

    /// Gives up what nobody asks for.
    func tickSnapshots() {
        let now = Self.now()
        for index in snapshots.indices.reversed() where now - min(now, snapshots[index].lastUse) > Self.snapshotLifetime {
            remove(at: index)
        }
    }

    func removeSnapshots() {
        for index in snapshots.indices.reversed() { remove(at: index) }
    }

    private func remove(at index: Int) {
        let checkpoint = snapshots.remove(at: index).checkpoint
        snapshotThread.submit(.call { try? checkpoint.remove() })
    }
}

extension SnapshotManifest {
    /// Nil when there are more files than a message holds.
    init?(_ manifest: CheckpointManifest, id: UInt64, clusterID: ClusterID) {
        guard manifest.files.count <= SnapshotManifest.fileCountMax, let history = EpochHistory(manifest.epochs) else {
            return nil
        }
        self.init(
            id: id, clusterID: clusterID, storeUUID: manifest.storeUUID, position: manifest.point.position,
            chain: manifest.point.chain, history: history,
            files: manifest.files.map { SnapshotFile(name: $0.name, byteCount: $0.byteCount, digest: $0.digest) })
    }

    /// As the storage engine installs it.
    var checkpoint: CheckpointManifest {
        CheckpointManifest(
            storeUUID: storeUUID, point: LogPoint(epoch: position.epoch, lsn: position.lsn, chain: chain),
            epochs: history.entries,
            files: files.map { CheckpointManifest.File(name: $0.name, byteCount: $0.byteCount, digest: $0.digest) })
    }
}
