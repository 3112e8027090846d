// The checkpoints that others fetch from this node: followers over their connections for replication, `nexadb backup` over an ordinary one.
//
//     make ─► held by one or more names ─► pieces ─► the last of them is done ───────────────────────────► removed
//                                            └─► nobody asks for its lifetime, or (backups) it keeps more
//                                                of the disk than is free: `tidy` ─────────────────────────► removed
//
// One for a follower keeps the log behind it, as long as it is held: who has taken it goes on from there. That is a debt of the disk like a
// slot, and has the same limits: what goes beyond them is given up.
//
// Each costs no data while its tables are the store's, and keeps them from leaving the disk when they are not any more. So a client that
// goes away leaves nothing behind, and a node that dies finds and removes what it held when it starts again.
//
// Sendable: what is held is behind one lock; making, reading and removing happen outside of it, on threads that may wait for the disk.

import NexaDocuments
import NexaReplication
import NexaStorage
import Synchronization

package final class CheckpointShelf: Sendable {
    package enum Purpose: Sendable {
        case follower, backup

        /// Without a request for so long it is given up. A follower comes back after its own restart, a backup after a lost connection.
        package var lifetime: Microseconds {
            switch self {
            case .follower: 900_000_000
            case .backup: 180_000_000
            }
        }
    }

    /// One checkpoint.
    package struct Held: Sendable {
        package let id: UInt64
        package let checkpoint: Checkpoint
        let purpose: Purpose
        package let madeAt: Microseconds
        fileprivate(set) var lastUse: Microseconds
        fileprivate(set) var holders: Set<String>
    }

    /// Backups at the same time, those included that are being made.
    package static let backupCountMax = 4

    private let engine: Engine
    private let directory: String
    private let fileSystem: any FileSystem
    private let logByteCountMax: UInt64
    private let logAgeMax: Microseconds
    private let lock = NexaLock()
    nonisolated(unsafe) private var held: [Held] = []  // guarded by `lock`
    nonisolated(unsafe) private var backupsBeingMade = 0  // guarded by `lock`
    private let served = Atomic<UInt64>(0)

    /// The limits are those of what is kept of the log for a follower.
    package init(
        engine: Engine, directory: String, fileSystem: any FileSystem, logByteCountMax: UInt64 = .max,
        logAgeMax: Microseconds = .max
    ) {
        self.logByteCountMax = logByteCountMax
        self.logAgeMax = logAgeMax
        self.engine = engine
        self.directory = directory
        self.fileSystem = fileSystem
    }

    package static func now() -> Microseconds { MonotonicTime.nanoseconds() / 1000 }

    /// How many there are.
    package var count: Int { lock.withLock { held.count } }
    /// Bytes of pieces since the start.
    package var servedByteCount: UInt64 { served.load(ordering: .relaxed) }

    // MARK: Holding

    /// Makes one with everything that is acknowledged now; waits for the disk. Throws `overloaded` where too many backups are under way.
    package func make(_ purpose: Purpose, for holders: Set<String>) throws(StorageError) -> Held {
        try begin(purpose)
        defer { if purpose == .backup { lock.withLock { backupsBeingMade -= 1 } } }
        let id = UInt64.random(in: 1...UInt64(Int64.max))
        let floor = Self.retentionName(id)
        // It ends here or behind.
        if purpose == .follower { engine.setRetention(floor, oldestNeededLSN: engine.durableLSN + 1) }
        do throws(StorageError) {
            let checkpoint = try engine.makeCheckpoint(named: "s\(id)")
            if purpose == .follower { engine.setRetention(floor, oldestNeededLSN: checkpoint.manifest.point.lsn + 1) }
            let made = Held(
                id: id, checkpoint: checkpoint, purpose: purpose, madeAt: Self.now(), lastUse: Self.now(), holders: holders)
            lock.withLock { held.append(made) }
            return made
        } catch {
            if purpose == .follower { engine.dropRetention(floor) }
            throw error
        }
    }

    /// Under which the engine keeps the log behind a checkpoint.
    private static func retentionName(_ id: UInt64) -> String { "checkpoint \(id)" }

    private func remove(_ held: Held) {
        try? held.checkpoint.remove()
        if held.purpose == .follower { engine.dropRetention(Self.retentionName(held.id)) }
    }

    private func begin(_ purpose: Purpose) throws(StorageError) {
        guard purpose == .backup else { return }
        let isAllowed = lock.withLock {
            guard held.count(where: { $0.purpose == .backup }) + backupsBeingMade < Self.backupCountMax else { return false }
            backupsBeingMade += 1
            return true
        }
        guard isAllowed else { throw .overloaded(reason: "\(Self.backupCountMax) backups are under way already") }
    }

    /// The newest for which `isFit` holds, held by one more name; nil when there is none.
    package func join(_ holder: String, where isFit: (Held) -> Bool) -> Held? {
        lock.withLock {
            guard let index = held.lastIndex(where: isFit) else { return nil }
            held[index].holders.insert(holder)
            held[index].lastUse = Self.now()
            return held[index]
        }
    }

    /// The holder needs it no more; nil: all of them.
    package func release(_ id: UInt64, by holder: String?) {
        let last: Held? = lock.withLock {
            guard let index = held.firstIndex(where: { $0.id == id }) else { return nil }
            if let holder { held[index].holders.remove(holder) } else { held[index].holders.removeAll() }
            return held[index].holders.isEmpty ? held.remove(at: index) : nil
        }
        if let last { remove(last) }
    }

    // MARK: Pieces

    package struct Piece: Sendable {
        package var bytes: [UInt8]
        /// Nothing of the file follows.
        package var isEnd: Bool
    }

    /// Reads a run of bytes of a file; nil when the checkpoint or the file is not there.
    package func read(_ get: SnapshotGet) throws(StorageError) -> Piece? {
        let checkpoint: Checkpoint? = lock.withLock {
            guard let index = held.firstIndex(where: { $0.id == get.id }) else { return nil }
            held[index].lastUse = Self.now()
            return held[index].checkpoint
        }
        guard let checkpoint, checkpoint.manifest.files.indices.contains(get.file) else { return nil }
        let byteCount = checkpoint.manifest.files[get.file].byteCount
        guard get.offset <= byteCount else { return nil }
        let wanted = Int(min(get.byteCount, byteCount - get.offset))
        let result = Result { () throws(StorageError) in
            var failure: StorageError?
            let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
                do throws(StorageError) {
                    count = try checkpoint.read(
                        file: get.file, at: get.offset, into: UnsafeMutableRawBufferPointer(buffer)
                    ).byteCount
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            return bytes
        }
        let bytes: [UInt8]
        do throws(StorageError) {
            bytes = try result.get()
        } catch {
            // Let go of while it was read: not there, then, and no failure of the disk.
            guard lock.withLock({ held.contains { $0.id == get.id } }) else { return nil }
            throw error
        }
        served.add(UInt64(bytes.count), ordering: .relaxed)
        return Piece(bytes: bytes, isEnd: get.offset + UInt64(bytes.count) >= byteCount)
    }

    // MARK: Giving up

    /// Gives up what nobody asks for, and what costs the disk too much. Answers what went. Waits for the disk.
    package func tidy(now: Microseconds = CheckpointShelf.now()) -> [Held] {
        let all = lock.withLock { held }
        let free = all.contains { $0.purpose == .backup } ? fileSystem.freeByteCount(directory) : 0
        let costly = Set(all.filter { isTooCostly($0, freeByteCount: free, now: now) }.map(\.id))
        let given = lock.withLock {
            let given = held.filter { now - min(now, $0.lastUse) > $0.purpose.lifetime || costly.contains($0.id) }
            held.removeAll { held in given.contains { $0.id == held.id } }
            return given
        }
        for held in given { remove(held) }
        return given
    }

    /// A backup that keeps more of the disk than is free (0: unknown), or a follower's that keeps more of the log than a slot may.
    private func isTooCostly(_ held: Held, freeByteCount: UInt64, now: Microseconds) -> Bool {
        switch held.purpose {
        case .backup: freeByteCount > 0 && engine.byteCountKept(by: held.checkpoint) > freeByteCount
        case .follower:
            now - min(now, held.madeAt) > logAgeMax
                || engine.logByteCount(from: held.checkpoint.manifest.point.lsn + 1) > logByteCountMax
        }
    }

    package func removeAll() {
        let all = lock.withLock {
            defer { held.removeAll() }
            return held
        }
        for held in all { remove(held) }
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
}
