// Makes objects of files that are here in full, on threads of their own, while the next ones come: one is on its way to the disk while
// another one is checked.
//
//     submit ─► waiting, `waitingCountMax` at most ─► sync ─► check ─► its name          finish, stop: all that was submitted is done
//
// Sendable: what the threads share is guarded by `bell`; a part belongs to one thread at a time.

import NexaStorage

final class ObjectFinisher: Sendable {
    /// What became of a file that is no object now.
    enum Failure: Error {
        /// Its bytes are not what they should be. It is gone.
        case mismatch(BackupObject, reason: String)
        case storage(StorageError)
    }

    private struct Job {
        var part: PartFile
        var object: BackupObject
    }

    private static let threadCount = 2
    private static let waitingCountMax = 2

    private let repository: BackupRepository
    private let bell = NexaCondition()
    // Guarded by `bell`.
    nonisolated(unsafe) private var waiting: [Job] = []
    nonisolated(unsafe) private var busyCount = 0
    nonisolated(unsafe) private var doneCount = 0
    nonisolated(unsafe) private var failure: Failure?
    nonisolated(unsafe) private var isStopped = false
    /// Started last, joined by `stop`.
    nonisolated(unsafe) private var threads: [NexaThread] = []

    init(_ repository: BackupRepository) {
        self.repository = repository
        threads = (0..<Self.threadCount).map { _ in NexaThread(name: "nexa-backup") { [unowned self] in run() } }
    }

    /// Objects that were made.
    var count: Int { bell.withLock { doneCount } }

    /// Takes a part over; waits while too many wait already. Throws what went wrong with an earlier one.
    func submit(_ part: PartFile, _ object: BackupObject) throws(Failure) {
        let failure: Failure? = bell.withLock {
            while waiting.count >= Self.waitingCountMax && self.failure == nil { bell.wait() }
            waiting.append(Job(part: part, object: object))
            bell.broadcast()
            return takeFailure()
        }
        if let failure { throw failure }
    }

    /// Waits until everything is done.
    func finish() throws(Failure) {
        let failure: Failure? = bell.withLock {
            while !waiting.isEmpty || busyCount > 0 { bell.wait() }
            return takeFailure()
        }
        if let failure { throw failure }
    }

    /// Does what is left and ends the threads.
    func stop() {
        bell.withLock {
            isStopped = true
            bell.broadcast()
        }
        for thread in threads { thread.join() }
        threads.removeAll()
    }

    /// Under the lock.
    private func takeFailure() -> Failure? {
        defer { failure = nil }
        return failure
    }

    private func run() {
        while true {
            let job: Job? = bell.withLock {
                while waiting.isEmpty && !isStopped { bell.wait() }
                guard !waiting.isEmpty else { return nil }
                busyCount += 1
                bell.broadcast()
                return waiting.removeFirst()
            }
            guard let job else { return }
            let outcome = perform(job)
            bell.withLock {
                busyCount -= 1
                if let outcome { failure = failure ?? outcome } else { doneCount += 1 }
                bell.broadcast()
            }
        }
    }

    private func perform(_ job: Job) -> Failure? {
        defer { job.part.close() }
        do throws(StorageError) {
            try job.part.sync()
            return try repository.admit(job.object).map { .mismatch(job.object, reason: $0) }
        } catch {
            return .storage(error)
        }
    }
}

/// A file as far as it came. Confined to a thread at a time.
final class PartFile {
    private let file: any File
    private(set) var byteCount: UInt64

    init(_ path: String, at offset: UInt64, _ fileSystem: any FileSystem) throws(StorageError) {
        file = try fileSystem.open(path, fileSystem.exists(path) ? .readWrite : .createNew)
        byteCount = offset
    }

    func append(_ bytes: [UInt8]) throws(StorageError) {
        try bytes.withUnsafeBytes { bytes in Result { () throws(StorageError) in try file.write(bytes, at: byteCount) } }.get()
        byteCount += UInt64(bytes.count)
    }

    func sync() throws(StorageError) { try file.sync() }
    func close() { file.close() }
}
