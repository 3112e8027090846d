// From a checkpoint's manifest to objects: what is missing, piece by piece with some under way, in the order in which they were asked for.

import CSupport
import NexaBlockingClient
import NexaReplication
import NexaStorage

extension BackupCreation {
    /// A file that is to be fetched, and from where on.
    struct Wanted {
        var file: Int
        var object: BackupObject
        var offset: UInt64
    }

    mutating func plan(_ snapshot: SnapshotManifest) throws(BackupError) -> [Wanted] {
        let repository = repository
        let files = snapshot.checkpoint.files
        let plan = try BackupError.storing { () throws(StorageError) in
            var (plan, planned): ([Wanted], Set<BackupObject>) = ([], [])
            for (index, file) in files.enumerated() {
                let object = BackupObject(file)
                guard try !repository.has(object), planned.insert(object).inserted else { continue }
                let part = repository.partPath(object)
                var offset: UInt64 = 0
                if repository.fileSystem.exists(part) {
                    offset = try repository.fileSystem.byteCount(of: part)
                    if offset >= file.byteCount {
                        if try repository.adopt(object) { continue }
                        offset = 0
                    }
                }
                plan.append(Wanted(file: index, object: object, offset: offset))
            }
            return plan
        }
        progress.fileCount = files.count
        progress.wholeFileCount = files.count - plan.count
        progress.byteCount = snapshot.checkpoint.byteCount
        let missing = plan.reduce(0) { $0 + $1.object.byteCount - $1.offset }
        progress.presentByteCount = progress.byteCount - min(progress.byteCount, missing + progress.fetchedByteCount)
        report(progress)
        let free = repository.fileSystem.freeByteCount(repository.directory)
        guard free == 0 || free > missing else {
            throw .refused(
                "\(missing >> 20) MiB are to come and \(free >> 20) MiB are free in \(repository.directory): delete older backups, "
                    + "or name another directory")
        }
        return plan
    }

    mutating func fetch(_ plan: [Wanted], of snapshot: SnapshotManifest) throws(Interruption) {
        var next = 0
        var asked = plan.first?.offset ?? 0
        var owed: [(get: SnapshotGet, wanted: Int)] = []
        var part: PartFile?
        defer { part?.close() }
        let finisher = ObjectFinisher(repository)
        defer { finisher.stop() }
        let wholeFileCount = progress.wholeFileCount
        var taken = 0
        while taken < plan.count {
            if isInterrupted() { throw .failed(.interrupted) }
            // Ask for as much as may be under way. An empty file needs no question.
            while owed.count < SnapshotGet.outstandingMax, next < plan.count {
                let object = plan[next].object
                if asked < object.byteCount {
                    let piece = throttle.pieceByteCount(atMost: Self.pieceByteCount)
                    let count = min(UInt64(piece), object.byteCount - asked)
                    let pause = throttle.delay(now: .now)
                    // What is under way comes first.
                    if pause > .zero && !owed.isEmpty { break }
                    Throttle.sleep(pause)
                    throttle.take(count, now: .now)
                    let get = SnapshotGet(id: snapshot.id, file: plan[next].file, offset: asked, byteCount: count)
                    try connected { () throws(ClientError) in try source.ask(get) }
                    owed.append((get, next))
                    asked += count
                } else {
                    next += 1
                    asked = next < plan.count ? plan[next].offset : 0
                }
            }
            let wanted = plan[taken]
            if wanted.object.byteCount > 0 {
                let (get, index) = owed.removeFirst()
                precondition(index == taken, "pieces come in the order of the questions")
                try take(get, wanted, &part)
            } else {
                try opened(wanted, &part)
            }
            if part?.byteCount == wanted.object.byteCount {
                let whole = part!
                part = nil
                try finishing { () throws(ObjectFinisher.Failure) in try finisher.submit(whole, wanted.object) }
                taken += 1
            }
            progress.wholeFileCount = wholeFileCount + finisher.count
            report(progress)
        }
        try finishing { () throws(ObjectFinisher.Failure) in try finisher.finish() }
        progress.wholeFileCount = wholeFileCount + finisher.count
        report(progress)
    }

    private func connected<R>(_ body: () throws(ClientError) -> R) throws(Interruption) -> R {
        do throws(ClientError) { return try body() } catch { throw .connection(error) }
    }

    private func stored<R>(_ body: () throws(StorageError) -> R) throws(Interruption) -> R {
        do throws(StorageError) { return try body() } catch { throw .failed(.storage(error)) }
    }

    private func opened(_ wanted: Wanted, _ part: inout PartFile?) throws(Interruption) {
        guard part == nil else { return }
        part = try stored { () throws(StorageError) in
            try PartFile(repository.partPath(wanted.object), at: wanted.offset, repository.fileSystem)
        }
    }

    private mutating func take(_ get: SnapshotGet, _ wanted: Wanted, _ part: inout PartFile?) throws(Interruption) {
        guard let piece = try connected({ () throws(ClientError) in try source.next() }) else { throw .checkpointGone }
        let header = piece.header
        let hash = piece.bytes.withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, 0) }
        guard header.id == get.id, header.file == get.file, header.offset == get.offset, piece.bytes.count == get.byteCount,
            header.checksum == hash
        else { throw .connection(.disconnected(operation: "fetching a checkpoint", reason: "a piece is not what was asked for")) }
        try opened(wanted, &part)
        let file = part!
        try stored { () throws(StorageError) in try file.append(piece.bytes) }
        progress.fetchedByteCount += UInt64(piece.bytes.count)
    }

    private mutating func finishing(_ body: () throws(ObjectFinisher.Failure) -> Void) throws(Interruption) {
        do throws(ObjectFinisher.Failure) {
            try body()
        } catch {
            switch error {
            case .storage(let error): throw .failed(.storage(error))
            case .mismatch(let object, let reason):
                badFileCount += 1
                guard badFileCount <= Self.badFileCountMax else {
                    throw .failed(
                        .damaged("a file of the node arrives damaged, \(badFileCount) times (\(object.name)): \(reason)"))
                }
                // Perhaps the part of an earlier run was not what it seemed: all of the file is fetched again.
                throw .connection(.disconnected(operation: "fetching a checkpoint", reason: reason))
            }
        }
    }
}
