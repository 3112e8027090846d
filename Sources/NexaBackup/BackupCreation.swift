// Makes a backup: asks the node for a checkpoint, fetches what the repository does not have, piece by piece with some on their way, and
// writes the manifest last.
//
//     begin ─► plan: what is missing, what an earlier run fetched ─► [ask ─► piece]... ─► object checked ─► ... ─► manifest
//       ▲                                                              │
//       └── connection lost (the same checkpoint), checkpoint gone (another one) ──┘
//
// Memory: the pieces under way. What came stays, also after a failure, a signal or a crash: the next run goes on with it, even where it
// gets another checkpoint, since objects are called by their content.

import NexaBlockingClient
import NexaReplication
import NexaStorage

/// How far it is.
package struct BackupProgress: Sendable {
    package var fileCount = 0
    package var wholeFileCount = 0
    /// Of all files.
    package var byteCount: UInt64 = 0
    /// Of these, what the repository had before.
    package var presentByteCount: UInt64 = 0
    /// What came in this run.
    package var fetchedByteCount: UInt64 = 0

    package init() {}
}

package struct BackupCreation {
    package struct Options: Sendable {
        package var name: BackupName
        package var createdAt: Int64
        package var source: String
        package var bytesPerSecond: UInt64?
        /// Without news of the node for so long it is given up.
        package var patience = Duration.seconds(60)

        package init(name: BackupName, createdAt: Int64, source: String) {
            self.name = name
            self.createdAt = createdAt
            self.source = source
        }
    }

    /// What became of it.
    package struct Outcome: Sendable {
        package var manifest: BackupManifest
        package var progress: BackupProgress
        /// How often the connection was lost, or the node gave the checkpoint up.
        package var resumptionCount: Int
    }

    static let pieceByteCount = 1 << 20
    private static let beginningCountMax = 5
    static let badFileCountMax = 3

    let repository: BackupRepository
    let source: any CheckpointSource
    private let options: Options
    let report: (BackupProgress) -> Void
    let isInterrupted: () -> Bool
    var throttle: Throttle
    var progress = BackupProgress()
    private var resumptionCount = 0
    var badFileCount = 0
    /// The checkpoint that the node holds for this run.
    private var heldID: UInt64?

    /// - Parameters:
    ///   - report: called after each piece.
    ///   - isInterrupted: asked between pieces.
    package init(
        _ repository: BackupRepository, from source: any CheckpointSource, _ options: Options,
        report: @escaping (BackupProgress) -> Void = { _ in }, isInterrupted: @escaping () -> Bool = { false }
    ) {
        self.repository = repository
        self.source = source
        self.options = options
        self.report = report
        self.isInterrupted = isInterrupted
        throttle = Throttle(bytesPerSecond: options.bytesPerSecond)
    }

    package mutating func run() throws(BackupError) -> Outcome {
        let lock = try repository.lock()
        defer { lock.release() }
        guard try !repository.names().contains(options.name) else {
            throw .conflict("there is a backup \(options.name) already in \(repository.directory)")
        }
        let (known, damage) = try repository.manifests()
        if let first = damage.first { throw .damaged("\(first). Delete that backup, then try again") }
        defer { if let heldID { source.done(heldID) } }
        let snapshot = try fetch(known)
        let earlier = known.reduce(into: Set<BackupObject>()) { $0.formUnion($1.objects) }
        var manifest = BackupManifest(
            name: options.name, createdAt: options.createdAt, source: options.source, newByteCount: 0,
            clusterID: snapshot.clusterID, checkpoint: snapshot.checkpoint)
        manifest.newByteCount = manifest.objects.subtracting(earlier).reduce(0) { $0 + $1.byteCount }
        let (repository, finished) = (repository, manifest)
        try BackupError.storing { () throws(StorageError) in
            try repository.syncFolders(of: finished.objects)
            try repository.commit(finished)
        }
        return Outcome(manifest: manifest, progress: progress, resumptionCount: resumptionCount)
    }

    // MARK: - Fetching

    /// Until everything of one checkpoint is here.
    private mutating func fetch(_ known: [BackupManifest]) throws(BackupError) -> SnapshotManifest {
        var snapshot = try begin(resuming: nil)
        var beginningCount = 1
        while true {
            try check(snapshot, known)
            let plan = try plan(snapshot)
            do throws(Interruption) {
                try fetch(plan, of: snapshot)
                return snapshot
            } catch {
                let id = snapshot.id
                switch error {
                case .failed(let failure): throw failure
                case .checkpointGone:
                    heldID = nil
                    snapshot = try begin(resuming: nil)
                case .connection(let failure): snapshot = try resume(id, after: failure)
                }
                resumptionCount += 1
                if snapshot.id != id { beginningCount += 1 }
                guard beginningCount <= Self.beginningCountMax else {
                    throw .refused(
                        "the node gave up \(beginningCount - 1) checkpoints before all of one was here: is its disk full?")
                }
            }
        }
    }

    /// Why a fetch ended early.
    enum Interruption: Error {
        case failed(BackupError)
        case connection(ClientError)
        case checkpointGone
    }

    private mutating func begin(resuming id: UInt64?) throws(BackupError) -> SnapshotManifest {
        do throws(ClientError) {
            let snapshot = try source.begin(resuming: id)
            heldID = snapshot.id
            return snapshot
        } catch {
            throw .node(error)
        }
    }

    /// Tries again for a while, less and less often.
    private mutating func resume(_ id: UInt64, after failure: ClientError) throws(BackupError) -> SnapshotManifest {
        guard failure.isPassing else { throw .node(failure) }
        let deadline = ContinuousClock.now + options.patience
        var pause = Duration.milliseconds(50)
        while true {
            if isInterrupted() { throw .interrupted }
            do throws(ClientError) {
                try source.reconnect()
                let snapshot = try source.begin(resuming: id)
                heldID = snapshot.id
                return snapshot
            } catch {
                guard error.isPassing, ContinuousClock.now < deadline else { throw .node(error) }
            }
            Throttle.sleep(pause)
            pause = min(pause * 2, .seconds(2))
        }
    }

    private func check(_ snapshot: SnapshotManifest, _ known: [BackupManifest]) throws(BackupError) {
        if let reason = snapshot.checkpoint.contradiction {
            throw .node(.protocolViolation("a checkpoint that cannot be one: \(reason)"))
        }
        let isRelated = known.contains {
            $0.checkpoint.storeUUID == snapshot.storeUUID || ($0.clusterID != .none && $0.clusterID == snapshot.clusterID)
        }
        guard known.isEmpty || isRelated else {
            throw .conflict(
                "\(repository.directory) holds backups of another store (\(known[0].checkpoint.storeUUID), this is "
                    + "\(snapshot.storeUUID)): give each its own directory")
        }
    }
}

extension ClientError {
    /// Another try may go better.
    fileprivate var isPassing: Bool {
        switch self {
        case .cannotConnect, .timedOut, .disconnected: true
        case .protocolViolation: false
        case .refused(let refusal): ["OVERLOADED", "SHUTTING_DOWN", "TIMEOUT"].contains(refusal.code)
        }
    }
}
