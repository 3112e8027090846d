import NexaStorage
import NexaTestKit

/// Tables on a disk in memory.
struct TableFixture {
    static let path = "/7.sst"
    static let fileContext: UInt64 = 0x1122_3344_5566_7788

    let fileSystem = CrashFileSystem()
    let cache: BlockCache

    init(cacheByteCount: Int = 8 << 20) {
        cache = BlockCache(capacity: cacheByteCount, blockByteCount: 1024)
    }

    static var smallBlocks: TableOptions {
        var options = TableOptions()
        options.blockByteCount = 512
        return options
    }

    @discardableResult
    func write(_ model: EntryModel, path: String = path, context: UInt64 = fileContext, options: TableOptions = smallBlocks)
        throws -> TableInfo
    {
        let file = try fileSystem.open(path, .createNew)
        defer { file.close() }
        let writer = try TableWriter(file: file, path: path, fileNumber: 7, fileContext: context, options: options)
        for entry in model.entries { try writer.add(entry) }
        for tombstone in model.tombstones { try writer.addRangeTombstone(tombstone) }
        return try writer.finish()
    }

    func open(_ path: String = path, expecting: TableInfo? = nil) throws -> TableReader {
        try TableReader.open(path: path, fileSystem: fileSystem, cache: cache, expecting: expecting)
    }

    func makeTable(_ model: EntryModel, path: String = path, context: UInt64 = fileContext, options: TableOptions = smallBlocks)
        throws -> TableReader
    {
        try open(path, expecting: try write(model, path: path, context: context, options: options))
    }
}

extension TableWriter {
    func add(_ entry: TestEntry) throws {
        try entry.key.withUnsafeBytes { key in
            try entry.value.withUnsafeBytes { value in try add(key: key, lsn: entry.lsn, kind: entry.kind, value: value) }
        }
    }
}

/// The answer to a look-up, as a value.
enum Lookup: Equatable {
    case value([UInt8], LSN)
    case deleted(LSN)
    case absent
}

extension EntryModel {
    func lookup(_ key: [UInt8], at lsn: LSN) -> Lookup {
        guard let entry = entries.first(where: { $0.lsn <= lsn && $0.key == key }) else { return .absent }
        return entry.kind == .put ? .value(entry.value, entry.lsn) : .deleted(entry.lsn)
    }
}

extension TableReader {
    func lookup(_ key: [UInt8], at lsn: LSN, mayBlock: Bool = true) throws -> Lookup {
        var pin = BlockPin()
        return try key.withUnsafeBytes { bytes in
            switch try get(bytes, hash: filterHash(bytes), at: lsn, pin: &pin, mayBlock: mayBlock) {
            case .value(let value, let lsn): .value(Array(value), lsn)
            case .deleted(let lsn): .deleted(lsn)
            case .absent: .absent
            }
        }
    }
}

extension MemTable {
    func lookup(_ key: [UInt8], at lsn: LSN) -> Lookup {
        key.withUnsafeBytes { bytes in
            switch get(bytes, at: lsn) {
            case .value(let value, let lsn): .value(Array(value), lsn)
            case .deleted(let lsn): .deleted(lsn)
            case .absent: .absent
            }
        }
    }
}
