import NexaStorage
import NexaTestKit

/// A log on a disk in memory, with payloads that tests make up.
struct LogFixture {
    static let directory = "/store/wal"
    static let uuid = StoreUUID(high: 0x5555_5555_5555_5555, low: 0x5555_5555_5555_5555)

    let fileSystem: any FileSystem
    var options = LogOptions(segmentByteCount: 16 << 10, starterByteCount: 16 << 10, preparesInBackground: false)

    /// A fresh disk with the log's directory on it.
    static func emptyDisk() throws -> CrashFileSystem {
        let disk = CrashFileSystem()
        try disk.createDirectory("/store")
        try disk.syncDirectory("/")
        try disk.createDirectory(directory)
        try disk.syncDirectory("/store")
        return disk
    }

    static func path(_ segmentID: UInt64) -> String { Path.join(directory, LogFileName.segment(segmentID)) }

    /// One unsealed record.
    static func record(
        _ lsn: LSN, _ payload: [UInt8], epoch: Epoch = 1, type: RecordType = .batch, operationCount: UInt32 = 1
    ) -> [UInt8] {
        var record = [UInt8](repeating: 0xEE, count: RecordHeader.recordByteCount(storedByteCount: payload.count))
        record.withUnsafeMutableBytes { bytes in
            payload.withUnsafeBytes { source in
                for (index, byte) in source.enumerated() { bytes[RecordHeader.byteCount + index] = byte }
                RecordHeader.fill(
                    bytes.baseAddress!, type: type, lsn: lsn, epoch: epoch, operationCount: operationCount,
                    storedByteCount: payload.count, rawByteCount: payload.count, payloadHash: RecordHeader.payloadHash(source))
            }
        }
        return record
    }

    func segments(_ recovered: RecoveredLog? = nil) -> LogSegments {
        LogSegments(
            directory: LogFixture.directory, fileSystem: fileSystem, options: options, segments: recovered?.segments ?? [])
    }

    func start(_ recovered: RecoveredLog? = nil) throws -> LogWriter {
        try LogWriter.start(
            after: recovered?.end ?? .empty, segmentID: recovered?.nextSegmentID ?? 1, storeUUID: LogFixture.uuid,
            segments: segments(recovered))
    }

    /// What can be read back: the log, and its payloads by LSN.
    func recover(_ evidence: DurableEvidence = DurableEvidence(), makesDurable: Bool = true) throws -> Contents {
        var payloads: [LSN: [UInt8]] = [:]
        let log = try LogRecovery.recover(
            directory: LogFixture.directory, fileSystem: fileSystem, storeUUID: LogFixture.uuid, evidence: evidence,
            makesDurable: makesDurable
        ) { record, payload throws(StorageError) in
            payloads[record.header.lsn] = Array(payload)
        }
        return Contents(log: log, payloads: payloads)
    }

    struct Contents {
        var log: RecoveredLog
        var payloads: [LSN: [UInt8]]
    }
}

extension LogWriter {
    /// Appends these payloads behind the log's end, in one call.
    func append(_ payloads: [[UInt8]], epoch: Epoch = 1) throws {
        var bytes = payloads.enumerated().flatMap { LogFixture.record(end.lsn + 1 + LSN($0), $1, epoch: epoch) }
        let durable = syncedLSN
        try bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(StorageError) in try append(buffer, durable: durable) }
        }.get()
    }
}

extension StorageError {
    var corruption: Corruption? {
        if case .corruption(let corruption) = self { return corruption }
        return nil
    }
}

/// Runs `body` and answers its error.
func failure<R>(of body: () throws -> R) -> StorageError? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? StorageError
    }
}
