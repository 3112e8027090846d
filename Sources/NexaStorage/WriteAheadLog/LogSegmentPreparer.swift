/// Makes the file of the next segment ready before the log thread needs it: its name is durable, and its bytes are allocated and written
/// once, so that a commit's fdatasync has no metadata to journal. Old segments are renamed and used again, which saves writing zeros:
/// what they still hold cannot pass for records of the new segment, because every checksum is seeded with the segment's id.
///
/// A file is *prepared* until its header block is written; recovery tells the two apart and never reads a prepared one.
/// `@unchecked Sendable`: the condition's lock guards all state.
final class LogSegmentPreparer: @unchecked Sendable {
    /// Old segments that wait for their next use; more are removed.
    static let spareCountMax = 2

    private let directory: String
    private let fileSystem: any FileSystem
    private let options: LogOptions
    private let condition = NexaCondition()
    private var spares: [String] = []
    private var wanted: UInt64?
    private var isBusy = false
    private var ready: (id: UInt64, result: Result<any File, StorageError>)?
    private var isStopped = false
    private var thread: NexaThread?

    init(directory: String, fileSystem: any FileSystem, options: LogOptions) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.options = options
    }

    /// Asks for this segment's file; returns at once.
    func request(_ id: UInt64) {
        guard options.preparesInBackground else { return }
        condition.withLock {
            guard !isStopped else { return }
            wanted = id
            if thread == nil { thread = NexaThread(name: "nexa-log-prep") { [weak self] in self?.run() } }
            condition.broadcast()
        }
    }

    /// The file of this segment, prepared: waits for the thread if it is at it, else does it here. Where the thread failed, too: that may be
    /// long ago, and the disk may have room by now.
    func take(_ id: UInt64) throws(StorageError) -> any File {
        let prepared: Result<any File, StorageError>? = condition.withLock {
            if wanted == id { wanted = nil }
            while isBusy { condition.wait() }
            defer { ready = nil }
            return ready?.id == id ? ready?.result : nil
        }
        if case .success(let file) = prepared { return file }
        return try prepare(id, byteCount: min(options.segmentByteCount, options.starterByteCount))
    }

    /// Takes over a file that the log does not need any more.
    func offer(_ path: String) throws(StorageError) {
        guard fileSystem.exists(path) else { return }
        if try fileSystem.byteCount(of: path) >= UInt64(options.segmentByteCount) {
            let isKept = condition.withLock {
                guard spares.count < LogSegmentPreparer.spareCountMax, !spares.contains(path), !isStopped else { return false }
                spares.append(path)
                return true
            }
            if isKept { return }
        }
        try fileSystem.remove(path)
    }

    /// Ends the thread; a file that it has made stays on disk for the next start.
    func stop() {
        let thread = condition.withLock {
            isStopped = true
            wanted = nil
            condition.broadcast()
            defer { self.thread = nil }
            return self.thread
        }
        thread?.join()
        condition.withLock {
            if case .success(let file) = ready?.result { file.close() }
            ready = nil
        }
    }

    private func run() {
        while true {
            let id: UInt64? = condition.withLock {
                while wanted == nil && !isStopped { condition.wait() }
                defer { wanted = nil }
                isBusy = wanted != nil
                return wanted
            }
            guard let id else { return }
            let result = Result { () throws(StorageError) in try prepare(id, byteCount: options.segmentByteCount) }
            condition.withLock {
                ready = (id, result)
                isBusy = false
                condition.broadcast()
            }
        }
    }

    private func prepare(_ id: UInt64, byteCount: Int) throws(StorageError) -> any File {
        let path = Path.join(directory, LogFileName.segment(id))
        // A crash can leave a prepared file behind; it is as good as a new one.
        if !fileSystem.exists(path), let spare = condition.withLock({ spares.popLast() }) {
            try fileSystem.rename(spare, to: path)
        }
        let file = try fileSystem.open(path, fileSystem.exists(path) ? .readWrite : .createNew)
        do {
            try file.preallocate(UInt64(byteCount))
            try file.sync()
            try fileSystem.syncDirectory(directory)
        } catch {
            file.close()
            throw error
        }
        return file
    }
}
