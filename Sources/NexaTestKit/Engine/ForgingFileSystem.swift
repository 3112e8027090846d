import CSupport
import NexaStorage

/// What the disk would look like to an engine that does not check checksums: log records whose payload was torn read as whole, because
/// their hashes are made to fit while they are read. Everything else passes through.
package final class ForgingFileSystem: FileSystem, Sendable {
    private let base: CrashFileSystem

    package init(_ base: CrashFileSystem) { self.base = base }

    package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
        let file = try base.open(path, mode)
        guard mode != .createNew, let id = LogFileName.segmentID(Path.name(of: path)) else { return file }
        return ForgingFile(file, bytes: Self.forged(try base.contents(path), fileID: id))
    }

    /// Walks the records as their headers say, and makes the hash of each payload fit.
    private static func forged(_ original: [UInt8], fileID: UInt64) -> [UInt8] {
        var bytes = original
        bytes.withUnsafeMutableBytes { buffer in
            var offset = LogFileHeader.blockByteCount
            while offset + RecordHeader.byteCount <= buffer.count {
                let record = buffer.baseAddress! + offset
                let header = RecordHeader(loading: record)
                let end = offset + header.recordByteCount
                guard header.rawType != 0, end <= buffer.count, end > offset else { return }
                let payload = UnsafeRawBufferPointer(start: record + RecordHeader.byteCount, count: Int(header.storedByteCount))
                let hash = nexa_xxh3(record + 24, 32, RecordHeader.payloadHash(payload))
                if hash != header.recordHash {
                    ByteOrder.storeLE(hash, to: record, at: 16)
                    let seed = (fileID &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(offset)
                    ByteOrder.storeLE(nexa_xxh3(record + 8, RecordHeader.byteCount - 8, seed), to: record, at: 0)
                }
                offset = end
            }
        }
        return bytes
    }

    package func rename(_ from: String, to: String) throws(StorageError) { try base.rename(from, to: to) }
    package func remove(_ path: String) throws(StorageError) { try base.remove(path) }
    package func removeDirectory(_ path: String) throws(StorageError) { try base.removeDirectory(path) }
    package func link(_ existing: String, to: String) throws(StorageError) { try base.link(existing, to: to) }
    package func createDirectory(_ path: String) throws(StorageError) { try base.createDirectory(path) }
    package func list(_ directory: String) throws(StorageError) -> [String] { try base.list(directory) }
    package func exists(_ path: String) -> Bool { base.exists(path) }
    package func byteCount(of path: String) throws(StorageError) -> UInt64 { try base.byteCount(of: path) }
    package func syncDirectory(_ path: String) throws(StorageError) { try base.syncDirectory(path) }
    package func lockFile(_ path: String) throws(StorageError) -> any FileLock { try base.lockFile(path) }
    package func freeByteCount(_ directory: String) -> UInt64 { base.freeByteCount(directory) }
}

/// A file whose existing bytes read as forged; what is written now is real.
private final class ForgingFile: File, @unchecked Sendable {
    private let base: any File
    private var bytes: [UInt8]

    init(_ base: any File, bytes: [UInt8]) {
        self.base = base
        self.bytes = bytes
    }

    var path: String { base.path }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) -> Int {
        guard offset < UInt64(bytes.count) else { return 0 }
        let count = min(buffer.count, bytes.count - Int(offset))
        bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + count])) }
        return count
    }

    func write(_ new: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError) {
        try base.write(new, at: offset)
        let end = Int(offset) + new.count
        if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
        bytes.replaceSubrange(Int(offset)..<end, with: new)
    }

    func sync() throws(StorageError) { try base.sync() }
    func preallocate(_ byteCount: UInt64) throws(StorageError) {
        try base.preallocate(byteCount)
        if UInt64(bytes.count) < byteCount { bytes += [UInt8](repeating: 0, count: Int(byteCount) - bytes.count) }
    }
    func byteCount() throws(StorageError) -> UInt64 { try base.byteCount() }
    func close() { base.close() }
}
