/// What lies in a log directory, before any record is read.
struct LogContents {
    struct BegunSegment {
        var id: UInt64
        var header: LogFileHeader
        var byteCount: UInt64
    }

    /// How much of a file without a header is searched for records.
    private static let probeByteCount: UInt64 = 1 << 20

    /// With a whole header, by id.
    var begun: [BegunSegment] = []
    /// Files without a header of their own and without a record: made ready for use, or being recycled.
    var prepared: [(id: UInt64, byteCount: UInt64)] = []
    /// Below the manifest's lowest segment.
    var obsolete: [UInt64] = []

    var highestID: UInt64 { max(begun.last?.id ?? 0, prepared.last?.id ?? 0) }

    /// Of a segment's file, begun or not; nil when there is none.
    func fileByteCount(_ id: UInt64) -> UInt64? {
        begun.first { $0.id == id }?.byteCount ?? prepared.first { $0.id == id }?.byteCount
    }

    /// Reads the header of every segment from `walLow` on. A segment whose header is damaged or foreign is left out with `leavesOutDamage`,
    /// and an error otherwise.
    static func read(
        directory: String, fileSystem: any FileSystem, walLow: UInt64, storeUUID: StoreUUID, leavesOutDamage: Bool = false
    ) throws(StorageError) -> LogContents {
        var contents = LogContents()
        for name in try fileSystem.list(directory) {
            guard let id = LogFileName.segmentID(name) else { continue }
            if id < walLow {
                contents.obsolete.append(id)
                continue
            }
            let path = Path.join(directory, name)
            let file = try fileSystem.open(path, .read)
            defer { file.close() }
            switch try LogFileHeader.read(from: file, kind: .segment, fileID: id) {
            case .header(let header):
                guard header.storeUUID == storeUUID else {
                    if leavesOutDamage { continue }
                    throw damage(path, "it belongs to store \(header.storeUUID), this one is \(storeUUID)")
                }
                contents.begun.append(BegunSegment(id: id, header: header, byteCount: try file.byteCount()))
            case .unsupported(let reason):
                throw .unsupportedFormat(file: path, reason: reason)
            case .invalid(let reason):
                let byteCount = try file.byteCount()
                // Records lie densely from the first block on: a begun segment shows itself early.
                let start = UInt64(LogFileHeader.blockByteCount)
                let scanner = LogScanner(
                    file: file, fileID: id, from: start, limit: min(byteCount, start + LogContents.probeByteCount))
                let remains = try scanner.remains(from: start)
                if remains.headerCount > 0 && leavesOutDamage { continue }
                guard remains.headerCount == 0 else { throw damage(path, "\(reason), and there are records behind it") }
                contents.prepared.append((id, byteCount))
            }
        }
        return contents
    }

    private static func damage(_ path: String, _ reason: String) -> StorageError {
        .corruption(Corruption(file: path, offset: 0, reason: reason, remedy: LogRecovery.remedy(Path.directory(of: path))))
    }
}
