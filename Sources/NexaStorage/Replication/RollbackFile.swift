import CSupport

/// Records that were cut off a log so that it could follow another leader, kept for people: `DIR/rollback/<epoch>-<first>-<last>.nxr`. See
/// docs/formats/rollback.md. A header of 128 bytes, little-endian, and behind it the records as they travel (`ReplicatedRecord`):
///
///       0  8  magic "NXROLL\r\n"
///       8  2  version             10  2  lowest reader version          12  4  length of this header = 128
///      16 16  store uuid, big-endian
///      32  8  first LSN           40  8  last LSN         48  8  epoch of the last record
///      56  8  bytes of records    64  8  chain in front of the first record      72  8  chain behind the last one
///      80  8  created, nanoseconds since 1970
///      88  4  incompatible flags (unknown: refuse)        92  4  compatible flags (unknown: ignore)
///      96 24  zero               120  8  XXH3-64 of bytes 0..<120
///
/// Each record carries its hash, and the chain is made of these hashes: the header is the checksum of the whole file.
package struct RollbackFile: Equatable, Sendable {
    package static let headerByteCount = 128
    static let magic: UInt64 = 0x0A0D_4C4C_4F52_584E
    static let version: UInt16 = 1
    package static let suffix = ".nxr"

    package var storeUUID: StoreUUID
    package var firstLSN: LSN
    package var lastLSN: LSN
    package var epoch: Epoch
    package var recordsByteCount: UInt64
    package var previousChain: UInt64
    package var chain: UInt64
    package var createdNanoseconds: UInt64

    package var recordCount: UInt64 { lastLSN - firstLSN + 1 }
    package var name: String { "\(epoch)-\(firstLSN)-\(lastLSN)\(Self.suffix)" }

    /// The whole header.
    package func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.headerByteCount)
        bytes.withUnsafeMutableBytes { bytes in
            let start = bytes.baseAddress!
            ByteOrder.storeLE(Self.magic, to: start, at: 0)
            ByteOrder.storeLE(Self.version, to: start, at: 8)
            ByteOrder.storeLE(Self.version, to: start, at: 10)
            ByteOrder.storeLE(UInt32(Self.headerByteCount), to: start, at: 12)
            ByteOrder.storeBE(storeUUID.high, to: start, at: 16)
            ByteOrder.storeBE(storeUUID.low, to: start, at: 24)
            for (offset, value) in [
                (32, firstLSN), (40, lastLSN), (48, epoch), (56, recordsByteCount), (64, previousChain), (72, chain),
                (80, createdNanoseconds),
            ] { ByteOrder.storeLE(value, to: start, at: offset) }
            ByteOrder.storeLE(nexa_xxh3(start, 120, 0), to: start, at: 120)
        }
        return bytes
    }

    /// Nil when the bytes are no such header; `unsupportedFormat` when they are one of a newer version. Pure.
    package init?(_ bytes: UnsafeRawBufferPointer, path: String) throws(StorageError) {
        guard bytes.count >= Self.headerByteCount, let start = bytes.baseAddress, ByteOrder.loadLE(start, at: 0) == Self.magic,
            ByteOrder.loadLE(start, at: 120) == nexa_xxh3(start, 120, 0)
        else { return nil }
        guard ByteOrder.loadLE(start, at: 10, as: UInt16.self) <= Self.version,
            ByteOrder.loadLE(start, at: 88, as: UInt32.self) == 0
        else { throw .unsupportedFormat(file: path, reason: "it was written by a newer version") }
        storeUUID = StoreUUID(high: ByteOrder.loadBE(start, at: 16), low: ByteOrder.loadBE(start, at: 24))
        firstLSN = ByteOrder.loadLE(start, at: 32)
        lastLSN = ByteOrder.loadLE(start, at: 40)
        epoch = ByteOrder.loadLE(start, at: 48)
        recordsByteCount = ByteOrder.loadLE(start, at: 56)
        previousChain = ByteOrder.loadLE(start, at: 64)
        chain = ByteOrder.loadLE(start, at: 72)
        createdNanoseconds = ByteOrder.loadLE(start, at: 80)
        guard firstLSN > 0, lastLSN >= firstLSN else { return nil }
    }

    init(
        storeUUID: StoreUUID, firstLSN: LSN, lastLSN: LSN, epoch: Epoch, recordsByteCount: UInt64, previousChain: UInt64,
        chain: UInt64
    ) {
        self.storeUUID = storeUUID
        self.firstLSN = firstLSN
        self.lastLSN = lastLSN
        self.epoch = epoch
        self.recordsByteCount = recordsByteCount
        self.previousChain = previousChain
        self.chain = chain
        createdNanoseconds = wallClockNanoseconds()
    }

    /// Paths of the rollback files of a store, sorted by name.
    package static func paths(in layout: StoreLayout, fileSystem: any FileSystem) throws(StorageError) -> [String] {
        guard fileSystem.exists(layout.rollbackDirectory) else { return [] }
        return try fileSystem.list(layout.rollbackDirectory).filter { $0.hasSuffix(suffix) }
            .map { Path.join(layout.rollbackDirectory, $0) }
    }

    /// Reads a file, checks all of it and passes each record with its expanded payload to `visit`, in LSN order.
    @discardableResult
    package static func read(
        _ path: String, fileSystem: any FileSystem,
        visit: (ReplicatedRecord, UnsafeRawBufferPointer) -> Void = { _, _ in }
    ) throws(StorageError) -> RollbackFile {
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        let header = try readHeader(of: file)
        guard try file.byteCount() == UInt64(headerByteCount) + header.recordsByteCount else {
            throw damage(path, 0, "its length is not the one that its header says")
        }
        let reader = RollbackReader(file: file, header: header)
        try reader.run(visit)
        return header
    }

    private static func readHeader(of file: any File) throws(StorageError) -> RollbackFile {
        var bytes = [UInt8](repeating: 0, count: headerByteCount)
        let count = try bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(StorageError) in try file.read(into: buffer, at: 0) }
        }.get()
        let header = try bytes.withUnsafeBytes { buffer in
            Result { () throws(StorageError) in
                try RollbackFile(UnsafeRawBufferPointer(rebasing: buffer[..<count]), path: file.path)
            }
        }.get()
        guard let header else { throw damage(file.path, 0, "its header cannot be read") }
        return header
    }

    fileprivate static func damage(_ path: String, _ offset: UInt64, _ reason: String) -> StorageError {
        .corruption(
            Corruption(
                file: path, offset: offset, reason: reason,
                remedy: "It is a copy for people; the store does not need it."))
    }
}

/// Walks the records of a file, one in memory at a time.
private final class RollbackReader {
    private let file: any File
    private let header: RollbackFile
    private let expander = PayloadExpander()
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)

    init(file: any File, header: RollbackFile) {
        self.file = file
        self.header = header
    }

    deinit { memory.deallocate() }

    func run(_ visit: (ReplicatedRecord, UnsafeRawBufferPointer) -> Void) throws(StorageError) {
        var offset = UInt64(RollbackFile.headerByteCount)
        let end = offset + header.recordsByteCount
        var (lsn, chain) = (header.firstLSN - 1, header.previousChain)
        while offset < end {
            let record = try record(at: offset, end: end)
            guard record.header.lsn == lsn + 1, let payload = expander.expand(record.stored, record.header) else {
                throw RollbackFile.damage(file.path, offset, "the record behind LSN \(lsn) is not the next one")
            }
            lsn = record.header.lsn
            chain = LogChain.advanced(chain, by: record.header.recordHash)
            visit(record, payload)
            offset += UInt64(record.bytes.count)
        }
        guard lsn == header.lastLSN, chain == header.chain else {
            throw RollbackFile.damage(file.path, offset, "its records are not those that its header names")
        }
    }

    private func record(at offset: UInt64, end: UInt64) throws(StorageError) -> ReplicatedRecord {
        var byteCount = ReplicatedRecord.headerByteCount
        try load(byteCount, at: offset, end: end)
        let stored = RecordHeader(loadingPortable: memory.baseAddress!).storedByteCount
        guard stored <= RecordHeader.storedByteCountMax else {
            throw RollbackFile.damage(file.path, offset, "a length is beyond the limit")
        }
        byteCount += Int(stored)
        try load(byteCount, at: offset, end: end)
        var cursor = ReplicatedRecordCursor(UnsafeRawBufferPointer(rebasing: memory[..<byteCount]))
        guard let record = try? cursor.next() else { throw RollbackFile.damage(file.path, offset, "the record is damaged") }
        return record
    }

    private func load(_ byteCount: Int, at offset: UInt64, end: UInt64) throws(StorageError) {
        guard UInt64(byteCount) <= end - offset else { throw RollbackFile.damage(file.path, offset, "the record is cut off") }
        if memory.count < byteCount {
            memory.deallocate()
            memory = .allocate(byteCount: byteCount, alignment: 8)
        }
        let found = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: memory[..<byteCount]), at: offset)
        guard found == byteCount else { throw RollbackFile.damage(file.path, offset, "the file is shorter than it was") }
    }
}

/// Writes a rollback file under a temporary name; it counts, durably, when `finish` returns.
final class RollbackWriter {
    private static let bufferByteCount = 1 << 20
    private let layout: StoreLayout
    private let fileSystem: any FileSystem
    private let file: any File
    private let path: String
    private var offset = UInt64(RollbackFile.headerByteCount)
    private var buffer: [UInt8] = []

    init(layout: StoreLayout, fileSystem: any FileSystem) throws(StorageError) {
        self.layout = layout
        self.fileSystem = fileSystem
        try fileSystem.createDirectory(layout.rollbackDirectory)
        try fileSystem.syncDirectory(layout.directory)
        path = Path.join(layout.rollbackDirectory, "cut.tmp")
        if fileSystem.exists(path) { try fileSystem.remove(path) }
        file = try fileSystem.open(path, .createNew)
    }

    deinit { file.close() }

    func append(_ record: UnsafeRawBufferPointer) throws(StorageError) {
        buffer += record
        if buffer.count >= Self.bufferByteCount { try write() }
    }

    /// The bytes of records so far.
    var byteCount: UInt64 { offset + UInt64(buffer.count) - UInt64(RollbackFile.headerByteCount) }

    /// Answers the file's path.
    func finish(_ header: RollbackFile) throws(StorageError) -> String {
        try write()
        try header.encoded().withUnsafeBytes { bytes in
            Result { () throws(StorageError) in try file.write(bytes, at: 0) }
        }.get()
        try file.sync()
        let final = Path.join(layout.rollbackDirectory, header.name)
        try fileSystem.rename(path, to: final)
        try fileSystem.syncDirectory(layout.rollbackDirectory)
        return final
    }

    /// Gives the file up.
    func abandon() {
        file.close()
        try? fileSystem.remove(path)
    }

    private func write() throws(StorageError) {
        try buffer.withUnsafeBytes { bytes in
            Result { () throws(StorageError) in try file.write(bytes, at: offset) }
        }.get()
        offset += UInt64(buffer.count)
        buffer.removeAll(keepingCapacity: true)
    }
}
