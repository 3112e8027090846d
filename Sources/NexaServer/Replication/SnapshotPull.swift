// The side that takes a full copy: asks for a manifest, fetches what it does not have, piece by piece with a few requests on their way,
// and has the node started again to swap it in. The old data serves reads until then. A connection that breaks costs nothing that came:
// the next one goes on behind it, also after a crash.
//
//     SNAPSHOT_BEGIN ─► SNAPSHOT_MANIFEST ─► [SNAPSHOT_GET ─► SNAPSHOT_CHUNK]... ─► SNAPSHOT_DONE ─► restart
//
// Confined to the replication loop; files are written on the snapshot thread.

import Logging
import NIOCore
import NexaReplication
import NexaStorage
import Synchronization

/// One transfer.
final class SnapshotPull: Sendable {
    let session: SessionID
    let manifest: SnapshotManifest
    /// Touched on the snapshot thread only.
    nonisolated(unsafe) var installer: SnapshotInstaller?
    let presentByteCount = Atomic<UInt64>(0)

    init(session: SessionID, manifest: SnapshotManifest) {
        self.session = session
        self.manifest = manifest
    }

    static let pieceByteCount = 1 << 20

    /// What became of a step on the snapshot thread.
    enum News: Sendable {
        case wanted([SnapshotGet])
        case complete
        case failed(String)
    }

    /// On the snapshot thread.
    func begin(_ engine: Engine, directory: String, fileSystem: any FileSystem) -> News {
        do {
            let installer = try SnapshotInstaller.begin(
                directory: directory, fileSystem: fileSystem, manifest: manifest.checkpoint, engine: engine)
            self.installer = installer
            return next(SnapshotGet.outstandingMax)
        } catch {
            return .failed("\(error)")
        }
    }

    /// On the snapshot thread: takes a piece in and asks for the next.
    func take(_ header: ChunkHeader, _ bytes: ByteBuffer) -> News {
        do {
            try bytes.withUnsafeReadableBytes { bytes in
                try installer?.write(file: header.file, at: header.offset, bytes, checksum: header.checksum)
            }
            return next(1)
        } catch {
            return .failed("\(error)")
        }
    }

    private func next(_ count: Int) -> News {
        guard let installer else { return .failed("no transfer is under way") }
        presentByteCount.store(installer.presentByteCount, ordering: .relaxed)
        if installer.isComplete {
            do {
                try installer.finish()
                return .complete
            } catch {
                return .failed("\(error)")
            }
        }
        var gets: [SnapshotGet] = []
        while gets.count < count, let wanted = installer.next(byteCountMax: Self.pieceByteCount) {
            gets.append(
                SnapshotGet(id: manifest.id, file: wanted.file, offset: wanted.offset, byteCount: UInt64(wanted.byteCount)))
        }
        return .wanted(gets)
    }
}

extension ReplicationShell {
    func beginSnapshot(_ session: SessionID) {
        guard let connection = connections[session] else {
            return handle(.snapshotFailed(session, reason: "the connection ended"))
        }
        pulling = session
        snapshotOwed = (1, Self.now())
        connection.send(.snapshotBegin(SnapshotBegin(slot: node.setup.name, resume: snapshotID)))
    }

    /// The manifest came.
    func take(_ manifest: SnapshotManifest, from connection: ReplicationConnection) {
        guard pulling == connection.session, pull == nil else { return }
        snapshotOwed.count = 0
        snapshotID = manifest.id
        let bytes = manifest.files.reduce(0) { $0 + $1.byteCount }
        logger.notice(
            "taking a snapshot",
            metadata: ["files": "\(manifest.files.count)", "bytes": "\(bytes)", "lsn": "\(manifest.position.lsn)"])
        let pull = SnapshotPull(session: connection.session, manifest: manifest)
        self.pull = pull
        counters.snapshot(total: bytes)
        let (engine, directory, fileSystem) = (engine, directory, fileSystem)
        work(pull) { $0.begin(engine, directory: directory, fileSystem: fileSystem) }
    }

    /// A piece came; `bytes` is kept.
    func take(_ header: ChunkHeader, _ bytes: ByteBuffer, from connection: ReplicationConnection) {
        guard let pull, pull.session == connection.session, header.id == pull.manifest.id else { return }
        snapshotOwed.count = max(0, snapshotOwed.count - 1)
        counters.snapshot(received: bytes.readableBytes)
        work(pull) { $0.take(header, bytes) }
    }

    private func work(_ pull: SnapshotPull, _ body: @escaping @Sendable (SnapshotPull) -> SnapshotPull.News) {
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        snapshotThread.submit(
            .call {
                let news = body(pull)
                eventLoop.execute { bound.value.progress(pull, news) }
            })
    }

    private func progress(_ pull: SnapshotPull, _ news: SnapshotPull.News) {
        guard self.pull === pull else { return }
        counters.snapshot(present: pull.presentByteCount.load(ordering: .relaxed))
        let connection = connections[pull.session]
        switch news {
        case .wanted(let gets):
            snapshotOwed = (snapshotOwed.count + gets.count, Self.now())
            for get in gets { connection?.send(.snapshotGet(get)) }
        case .failed(let reason): endSnapshot(reason)
        case .complete:
            logger.notice("the snapshot is here", metadata: ["lsn": "\(pull.manifest.position.lsn)"])
            connection?.send(.snapshotDone(SnapshotDone(id: pull.manifest.id, isInstalled: true)))
            onRestart(.snapshot(upstream: upstreamForRestart))
        }
    }

    /// A line over which nothing comes although something was asked for is dead. Nobody else would notice: the core leaves the connection
    /// alone while the log changes, and TCP, which has nothing to send, says nothing for hours. A manifest takes the other side a while.
    func tickPull() {
        guard let pulling, snapshotOwed.count > 0, let connection = connections[pulling] else { return }
        let options = node.setup.options
        let since = max(connection.heardAt, snapshotOwed.since)
        guard Self.now() - min(Self.now(), since) > (pull == nil ? options.stuckAfter : options.deadAfter) else { return }
        endSnapshot("nothing came of the snapshot")
    }

    /// The transfer broke; what came is kept.
    func endSnapshot(_ reason: String) {
        guard let session = pulling else { return }
        pulling = nil
        snapshotOwed.count = 0
        let wasPulling = pull
        pull = nil
        if let wasPulling { snapshotThread.submit(.call { wasPulling.installer = nil }) }
        handle(.snapshotFailed(session, reason: reason))
    }
}
