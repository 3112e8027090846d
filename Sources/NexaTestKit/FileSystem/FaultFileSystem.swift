import NexaStorage

/// Wraps another file system and breaks calls by rule; counts all of them; tells a hook before each one, so that a test can crash
/// between any two. Thread-safe by one lock, which is not held during the call itself.
package final class FaultFileSystem: FileSystem, @unchecked Sendable {
    package typealias Hook = @Sendable (_ operation: FileOperation, _ path: String, _ callNumber: Int) -> Void

    private let base: any FileSystem
    private let lock = NexaLock()
    private var rules: [(rule: FaultRule, seen: Int)]
    private var counts: [FileOperation: Int] = [:]
    private var callCount = 0
    private var hitCount = 0
    private var hook: Hook?

    package init(_ base: any FileSystem, rules: [FaultRule] = [], hook: Hook? = nil) {
        self.base = base
        self.rules = rules.map { ($0, 0) }
        self.hook = hook
    }

    package func add(_ rule: FaultRule) { lock.withLock { rules.append((rule, 0)) } }
    package func removeRules() { lock.withLock { rules = [] } }
    package func setHook(_ hook: Hook?) { lock.withLock { self.hook = hook } }

    /// Calls so far.
    package func count(of operation: FileOperation) -> Int { lock.withLock { counts[operation] ?? 0 } }
    package var totalCallCount: Int { lock.withLock { callCount } }
    /// Calls that a rule changed.
    package var faultCount: Int { lock.withLock { hitCount } }

    /// Counts a call and answers what shall happen to it.
    func effect(on operation: FileOperation, _ path: String) -> FaultRule.Effect? {
        let (effect, number, hook): (FaultRule.Effect?, Int, Hook?) = lock.withLock {
            callCount += 1
            counts[operation, default: 0] += 1
            var effect: FaultRule.Effect?
            for index in rules.indices where rules[index].rule.matches(operation, path) {
                rules[index].seen += 1
                let (rule, seen) = rules[index]
                if effect == nil && seen >= rule.nth && seen - rule.nth < rule.count { effect = rule.effect }
            }
            if effect != nil { hitCount += 1 }
            return (effect, callCount, self.hook)
        }
        hook?(operation, path, number)
        return effect
    }

    /// For calls without bytes: true when the call shall be left out.
    private func isDropped(_ operation: FileOperation, _ path: String) throws(StorageError) -> Bool {
        switch effect(on: operation, path) {
        case nil, .flip: return false
        case .drop: return true
        case .fail(let number), .short(_, let number): throw .io(operation: operation.rawValue, path: path, errno: number)
        }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
        _ = try isDropped(.open, path)
        return FaultFile(try base.open(path, mode), fileSystem: self)
    }

    package func rename(_ from: String, to: String) throws(StorageError) {
        if try !isDropped(.rename, to) { try base.rename(from, to: to) }
    }

    package func removeDirectory(_ path: String) throws(StorageError) {
        if try !isDropped(.remove, path) { try base.removeDirectory(path) }
    }

    package func remove(_ path: String) throws(StorageError) {
        if try !isDropped(.remove, path) { try base.remove(path) }
    }

    package func link(_ existing: String, to: String) throws(StorageError) {
        if try !isDropped(.link, to) { try base.link(existing, to: to) }
    }

    package func createDirectory(_ path: String) throws(StorageError) {
        if try !isDropped(.createDirectory, path) { try base.createDirectory(path) }
    }

    package func list(_ directory: String) throws(StorageError) -> [String] {
        _ = try isDropped(.list, directory)
        return try base.list(directory)
    }

    package func syncDirectory(_ path: String) throws(StorageError) {
        if try !isDropped(.syncDirectory, path) { try base.syncDirectory(path) }
    }

    package func lockFile(_ path: String) throws(StorageError) -> any FileLock {
        _ = try isDropped(.lock, path)
        return try base.lockFile(path)
    }

    package func exists(_ path: String) -> Bool { base.exists(path) }
    package func byteCount(of path: String) throws(StorageError) -> UInt64 { try base.byteCount(of: path) }
    package func freeByteCount(_ directory: String) -> UInt64 { base.freeByteCount(directory) }
}

/// An open file behind the rules of a `FaultFileSystem`.
private final class FaultFile: File {
    let path: String
    private let base: any File
    private let fileSystem: FaultFileSystem

    init(_ base: any File, fileSystem: FaultFileSystem) {
        self.base = base
        self.fileSystem = fileSystem
        path = base.path
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        switch fileSystem.effect(on: .read, path) {
        case .fail(let number): throw .io(operation: "pread", path: path, errno: number)
        case .short(let byteCount, _):
            return try base.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(byteCount)), at: offset)
        case .drop: return 0
        case .flip(let byte, let mask):
            let count = try base.read(into: buffer, at: offset)
            if count > 0 { buffer[byte % count] ^= mask }
            return count
        case nil: return try base.read(into: buffer, at: offset)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError) {
        switch fileSystem.effect(on: .write, path) {
        case .fail(let number): throw .io(operation: "pwrite", path: path, errno: number)
        case .short(let byteCount, let number):
            try base.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(byteCount)), at: offset)
            throw .io(operation: "pwrite", path: path, errno: number)
        case .drop: return
        case .flip(let byte, let mask):
            var copy = Array(bytes)
            if !copy.isEmpty { copy[byte % copy.count] ^= mask }
            try copy.withUnsafeBytes { buffer in Result { () throws(StorageError) in try base.write(buffer, at: offset) } }.get()
        case nil: try base.write(bytes, at: offset)
        }
    }

    func sync() throws(StorageError) {
        if try !isDropped(.sync, "fdatasync") { try base.sync() }
    }

    func preallocate(_ byteCount: UInt64) throws(StorageError) {
        if try !isDropped(.preallocate, "fallocate") { try base.preallocate(byteCount) }
    }

    func byteCount() throws(StorageError) -> UInt64 { try base.byteCount() }
    func close() { base.close() }

    private func isDropped(_ operation: FileOperation, _ name: String) throws(StorageError) -> Bool {
        switch fileSystem.effect(on: operation, path) {
        case nil, .flip: return false
        case .drop: return true
        case .fail(let number), .short(_, let number): throw .io(operation: name, path: path, errno: number)
        }
    }
}
