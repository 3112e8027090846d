import NexaStorage
import NexaWire

/// How the catalog lies in the engine: as entries of collection 0, which no user can name.
///
///     key                                   value
///     [0 0 0 0] 'n'                         [u32 BE id of the next collection]
///     [0 0 0 0] 'd' [name]                  MessagePack map {created_at: microseconds}
///     [0 0 0 0] 'c' [u32 BE id]             MessagePack map {database, name, created_at, dimensions?}
///     [0 0 0 0] 'u' [name]                  MessagePack map {role, password, created_at, password_changed_at?, key?, key_prefix?, databases?}
///
/// What is remembered of operations lies behind these entries (`OperationRecord`).
/// Ids start at 1 and are never reused: 'n' moves in the batch that creates a collection and never back.
/// Unknown fields of the maps are ignored by a reader, so that later versions may add some.
enum CatalogRecord {
    enum Kind: UInt8 {
        case nextID = 0x6E
        case database = 0x64
        case collection = 0x63
        case user = 0x75
    }

    static let prefixByteCount = 5
    static let upperBound = OperationRecord.prefix
    static let lowerBound: [UInt8] = [0, 0, 0, 0]

    static func key(_ kind: Kind, _ rest: some Sequence<UInt8>) -> [UInt8] {
        [0, 0, 0, 0, kind.rawValue] + rest
    }

    static func bytes(of id: UInt32) -> [UInt8] { withUnsafeBytes(of: id.bigEndian) { Array($0) } }

    static func id(_ bytes: UnsafeRawBufferPointer) -> UInt32? {
        guard bytes.count == 4 else { return nil }
        return UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
    }

    static func databaseValue(createdAt: Int64) -> [UInt8] {
        MessagePackValue.map([.init("created_at", .int(createdAt))]).encoded()
    }

    static func collectionValue(database: String, name: String, dimensions: Int?, createdAt: Int64) -> [UInt8] {
        var entries: [MessagePackValue.Entry] = [
            .init("database", .string(database)), .init("name", .string(name)), .init("created_at", .int(createdAt)),
        ]
        if let dimensions { entries.append(.init("dimensions", .int(Int64(dimensions)))) }
        return MessagePackValue.map(entries).encoded()
    }
}
