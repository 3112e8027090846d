import Glibc
import NexaStorage

/// A disk in memory that can lose power at any moment.
///
/// It promises exactly what `FileSystem` promises and nothing more: after a crash there are the bytes that were synced under the names
/// that were synced, and of everything else a random part. Un-synced bytes survive or vanish in sectors of 512 bytes, un-synced
/// directory operations one by one. Real file systems are kinder, which is why bugs hide on them.
///
/// Thread-safe by one lock. A clone shares memory until it is written to, so a crash costs little whatever the files' sizes.
package final class CrashFileSystem: FileSystem, @unchecked Sendable {
    package static let sectorByteCount = 512

    private struct Directory {
        var entries: [String: CrashNode] = [:]
        /// What a crash right now would certainly leave.
        var synced: [String: CrashNode] = [:]
        /// What happened since, in order.
        var pending: [Change] = []
    }

    private enum Change {
        case set(String, CrashNode)
        case clear(String)
        case rename(from: String, to: String, CrashNode)

        func apply(to entries: inout [String: CrashNode]) {
            switch self {
            case .set(let name, let node): entries[name] = node
            case .clear(let name): entries[name] = nil
            case .rename(let from, let to, let node):
                entries[from] = nil
                entries[to] = node
            }
        }
    }

    private let lock = NexaLock()
    private var directories: [String: Directory] = [:]
    private var locked: Set<String> = []
    private let capacity: UInt64

    /// An empty disk with the directory `/`. `capacity` is what `freeByteCount` counts down from.
    package init(capacity: UInt64 = 1 << 40) {
        self.capacity = capacity
        directories["/"] = Directory()
    }

    // MARK: - The crash

    /// The disk after losing power now: what was synced, and of the rest each sector and each directory operation with the probability
    /// `keepUnsynced`. 0 is the strictest disk, 1 is a killed process on a machine that runs on.
    package func crashClone(keepUnsynced: Double, seed: UInt64) -> CrashFileSystem {
        var generator = SeededGenerator(seed: seed)
        let clone = CrashFileSystem(capacity: capacity)
        lock.withLock {
            var nodes: [ObjectIdentifier: CrashNode] = [:]
            var reachable: [String: Directory] = [:]
            collect("/", &reachable, &nodes, keepUnsynced, &generator)
            clone.directories = reachable
        }
        return clone
    }

    private func collect(
        _ path: String, _ reachable: inout [String: Directory], _ nodes: inout [ObjectIdentifier: CrashNode], _ keep: Double,
        _ generator: inout SeededGenerator
    ) {
        guard let directory = directories[path] else { return }
        var entries = directory.synced
        for change in directory.pending where generator.chance(keep) { change.apply(to: &entries) }
        var result = Directory()
        for (name, node) in entries.sorted(by: { $0.key < $1.key }) {
            if nodes[ObjectIdentifier(node)] == nil {
                nodes[ObjectIdentifier(node)] = node.crashed(keepUnsynced: keep, &generator)
            }
            result.entries[name] = nodes[ObjectIdentifier(node)]
            if node.isDirectory { collect(Path.join(path, name), &reachable, &nodes, keep, &generator) }
        }
        result.synced = result.entries
        reachable[path] = result
    }

    // MARK: - Damage on purpose

    /// The bytes of a file as a reader would see them now.
    package func contents(_ path: String) throws(StorageError) -> [UInt8] { try readAll(path) }

    /// Replaces a file's bytes, synced, whoever has it open; creates it where there is none.
    package func setContents(_ path: String, _ bytes: [UInt8]) throws(StorageError) {
        try lock.withLock { () throws(StorageError) in
            if node(path) == nil { try insert(path, CrashNode(isDirectory: false), "open") }
            let node = try existing(path, "open")
            node.truncate()
            bytes.withUnsafeBytes { node.write($0, at: 0) }
            node.sync()
        }
    }

    // MARK: - FileSystem

    package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
        try lock.withLock { () throws(StorageError) in
            if mode == .createNew {
                let node = CrashNode(isDirectory: false)
                try insert(path, node, "open")
                return CrashFile(path: path, node: node, lock: lock, isWritable: true)
            }
            let node = try existing(path, "open")
            guard !node.isDirectory else { throw .io(operation: "open", path: path, errno: EISDIR) }
            return CrashFile(path: path, node: node, lock: lock, isWritable: mode == .readWrite)
        }
    }

    package func rename(_ from: String, to: String) throws(StorageError) {
        try lock.withLock { () throws(StorageError) in
            let node = try existing(from, "rename")
            precondition(!node.isDirectory, "directories are not renamed")
            let (fromDirectory, toDirectory) = (Path.directory(of: from), Path.directory(of: to))
            guard directories[toDirectory] != nil else { throw .io(operation: "rename", path: to, errno: ENOENT) }
            if fromDirectory == toDirectory {
                change(fromDirectory, .rename(from: Path.name(of: from), to: Path.name(of: to), node))
            } else {
                change(toDirectory, .set(Path.name(of: to), node))
                change(fromDirectory, .clear(Path.name(of: from)))
            }
        }
    }

    package func remove(_ path: String) throws(StorageError) {
        try lock.withLock { () throws(StorageError) in
            guard !(try existing(path, "unlink")).isDirectory else { throw .io(operation: "unlink", path: path, errno: EISDIR) }
            change(Path.directory(of: path), .clear(Path.name(of: path)))
        }
    }

    package func removeDirectory(_ path: String) throws(StorageError) {
        try lock.withLock { () throws(StorageError) in
            guard let directory = directories[path] else { throw .io(operation: "rmdir", path: path, errno: ENOENT) }
            guard directory.entries.isEmpty else { throw .io(operation: "rmdir", path: path, errno: ENOTEMPTY) }
            change(Path.directory(of: path), .clear(Path.name(of: path)))
        }
    }

    package func link(_ existing: String, to: String) throws(StorageError) {
        try lock.withLock { () throws(StorageError) in
            try insert(to, try self.existing(existing, "link"), "link")
        }
    }

    package func createDirectory(_ path: String) throws(StorageError) {
        try lock.withLock { () throws(StorageError) in
            if node(path)?.isDirectory == true || path == "/" { return }
            try insert(path, CrashNode(isDirectory: true), "mkdir")
            directories[path] = Directory()
        }
    }

    package func list(_ directory: String) throws(StorageError) -> [String] {
        try lock.withLock { () throws(StorageError) in
            guard let found = directories[directory] else { throw .io(operation: "opendir", path: directory, errno: ENOENT) }
            return found.entries.keys.sorted()
        }
    }

    package func exists(_ path: String) -> Bool {
        lock.withLock { node(path) != nil || path == "/" }
    }

    package func byteCount(of path: String) throws(StorageError) -> UInt64 {
        try lock.withLock { () throws(StorageError) in UInt64(try existing(path, "stat").byteCount) }
    }

    package func syncDirectory(_ path: String) throws(StorageError) {
        try lock.withLock { () throws(StorageError) in
            guard directories[path] != nil else { throw .io(operation: "fsync", path: path, errno: ENOENT) }
            directories[path]!.synced = directories[path]!.entries
            directories[path]!.pending = []
        }
    }

    package func lockFile(_ path: String) throws(StorageError) -> any FileLock {
        try lock.withLock { () throws(StorageError) in
            if node(path) == nil { try insert(path, CrashNode(isDirectory: false), "open") }
            guard locked.insert(path).inserted else { throw .locked(path: path, holder: getpid()) }
        }
        return CrashFileLock { [weak self] in
            guard let self else { return }
            self.lock.withLock { _ = self.locked.remove(path) }
        }
    }

    package func freeByteCount(_ directory: String) -> UInt64 {
        lock.withLock {
            var seen: Set<ObjectIdentifier> = []
            var used: UInt64 = 0
            for directory in directories.values {
                for node in directory.entries.values where seen.insert(ObjectIdentifier(node)).inserted {
                    used += UInt64(node.byteCount)
                }
            }
            return capacity > used ? capacity - used : 0
        }
    }

    // MARK: - Names

    private func node(_ path: String) -> CrashNode? {
        directories[Path.directory(of: path)]?.entries[Path.name(of: path)]
    }

    private func existing(_ path: String, _ operation: String) throws(StorageError) -> CrashNode {
        guard let node = node(path) else { throw .io(operation: operation, path: path, errno: ENOENT) }
        return node
    }

    private func insert(_ path: String, _ node: CrashNode, _ operation: String) throws(StorageError) {
        guard directories[Path.directory(of: path)] != nil else { throw .io(operation: operation, path: path, errno: ENOENT) }
        guard self.node(path) == nil else { throw .io(operation: operation, path: path, errno: EEXIST) }
        change(Path.directory(of: path), .set(Path.name(of: path), node))
    }

    private func change(_ directory: String, _ change: Change) {
        change.apply(to: &directories[directory]!.entries)
        directories[directory]!.pending.append(change)
    }
}

private final class CrashFileLock: FileLock, @unchecked Sendable {
    private let lock = NexaLock()
    private var onRelease: (() -> Void)?

    init(_ onRelease: @escaping () -> Void) { self.onRelease = onRelease }
    deinit { release() }

    func release() {
        let action = lock.withLock {
            defer { onRelease = nil }
            return onRelease
        }
        action?()
    }
}
