// The checkpoints that others fetch from this node: followers over their connections for replication, `nexadb backup` over an ordinary one.
//
//     make ─► held by one or more names ─► pieces ─► the last of them is done ───────────────────────────► removed
//                                            └─► nobody asks for its lifetime, or (backups) it keeps more
//                                                of the disk than is free: `tidy` ─────────────────────────► removed
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
        let madeAt: Microseconds
        fileprivate(set) var lastUse: Microseconds
        fileprivate(set) var holders: Set<String>
    }

    /// Backups at the same time, those included that are being made.
    package static let backupCountMax = 4

    private let engine: Engine
    private let directory: String
    private let fileSystem: any FileSystem
    private let lock = NexaLock()
    nonisolated(unsafe) private var held: [Held] = []  // guarded by `lock`
    nonisolated(unsafe) private var backupsBeingMade = 0  // guarded by `lock`
    private let served = Atomic<UInt64>(0)

    package init(engine: Engine, directory: String, fileSystem: any FileSystem) {
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
        let checkpoint = try engine.makeCheckpoint(named: "s\(id)")
        let made = Held(
            id: id, checkpoint: checkpoint, purpose: purpose, madeAt: Self.now(), lastUse: Self.now(), holders: holders)
        lock.withLock { held.append(made) }
        return made
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
        try? last?.checkpoint.remove()
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

    /// Gives up what nobody asks for, and backups that keep more of the disk than is free. Answers what went. Waits for the disk.
    package func tidy(now: Microseconds = CheckpointShelf.now()) -> [Held] {
        let backups = lock.withLock { held.filter { $0.purpose == .backup } }
        let free = backups.isEmpty ? 0 : fileSystem.freeByteCount(directory)
        let costly = Set(free == 0 ? [] : backups.filter { engine.byteCountKept(by: $0.checkpoint) > free }.map(\.id))
        let given = lock.withLock {
            let given = held.filter { now - min(now, $0.lastUse) > $0.purpose.lifetime || costly.contains($0.id) }
            held.removeAll { held in given.contains { $0.id == held.id } }
            return given
        }
        for held in given { try? held.checkpoint.remove() }
        return given
    }

    package func removeAll() {
        let all = lock.withLock {
            defer { held.removeAll() }
            return held
        }
        for held in all { try? held.checkpoint.remove() }
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
