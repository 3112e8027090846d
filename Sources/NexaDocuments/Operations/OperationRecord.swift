import CSupport
import NexaStorage

/// How remembered operations lie in the engine: as entries of collection 0 behind all others, so that reading the catalog never meets
/// them. docs/formats/operations.md tells the same with a golden vector.
///
///     key                                       value
///     [0 0 0 0] '~'                             [u32 BE newest period][i64 BE when it began, microseconds since 1970]
///     [0 0 0 0] '~' [u32 BE period] [op_id]     [u8 kind][u8 flags][u64 BE fingerprint][i64 BE time of the write][outcome]
///
/// The outcome of a create is the document's key; of an update and a delete there is none; of a batch it is the MessagePack list
/// `[ids, errors]` as the answer has them; changes of the catalog have none. Flag 1: the write was not committed with durability `disk`.
package enum OperationRecord {
    package enum Kind: UInt8 {
        case create = 1
        case update, delete, batch
        case createDatabase, dropDatabase, createCollection, dropCollection
    }

    static let notSynced: UInt8 = 1

    static let prefix: [UInt8] = [0, 0, 0, 0, 0x7E]
    static let keyByteCount = 5 + 4 + OperationID.byteCount
    static let headerByteCount = 1 + 1 + 8 + 8

    /// The start of a period's entries.
    static func start(ofPeriod period: UInt32) -> [UInt8] {
        prefix + withUnsafeBytes(of: period.bigEndian) { Array($0) }
    }

    static func periodValue(_ period: UInt32, began: Int64) -> [UInt8] {
        withUnsafeBytes(of: period.bigEndian) { Array($0) } + withUnsafeBytes(of: began.bigEndian) { Array($0) }
    }

    static func period(_ value: UnsafeRawBufferPointer) -> (period: UInt32, began: Int64)? {
        guard value.count == 12 else { return nil }
        return (
            UInt32(bigEndian: value.loadUnaligned(as: UInt32.self)),
            Int64(bigEndian: value.loadUnaligned(fromByteOffset: 4, as: Int64.self))
        )
    }

    /// Writes the key of an entry, `keyByteCount` bytes.
    static func writeKey(_ id: OperationID, period: UInt32, to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: 0, as: UInt32.self)
        target.storeBytes(of: 0x7E, toByteOffset: 4, as: UInt8.self)
        target.storeBytes(of: period.bigEndian, toByteOffset: 5, as: UInt32.self)
        (target + 9).copyMemory(from: id.bytes.baseAddress!, byteCount: OperationID.byteCount)
    }
}

/// A client's name for one write. Borrows the request's bytes.
package struct OperationID {
    /// A random client id of 16 bytes, then a counter.
    package static let byteCount = 24
    let bytes: UnsafeRawBufferPointer

    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    var hash: UInt64 { nexa_xxh3(bytes.baseAddress, bytes.count, 0) }
}

/// A write that is to be remembered: its name, and what tells whether another request of that name is the same one.
package struct OperationNote {
    let id: OperationID
    let kind: OperationRecord.Kind
    /// Of kind, names, key and what is written: a repeat brings the same bytes.
    let fingerprint: UInt64

    init(
        _ id: OperationID, _ kind: OperationRecord.Kind, names: UInt64, key: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer
    ) {
        self.id = id
        self.kind = kind
        let seed = nexa_xxh3(key.baseAddress, key.count, names &+ UInt64(kind.rawValue))
        fingerprint = nexa_xxh3(body.baseAddress, body.count, seed)
    }

    /// Writes the front of the value, `OperationRecord.headerByteCount` bytes.
    func writeHeader(to target: UnsafeMutableRawPointer, microseconds: Int64, durability: Durability) {
        target.storeBytes(of: kind.rawValue, as: UInt8.self)
        target.storeBytes(of: durability == .disk ? 0 : OperationRecord.notSynced, toByteOffset: 1, as: UInt8.self)
        target.storeBytes(of: fingerprint.bigEndian, toByteOffset: 2, as: UInt64.self)
        target.storeBytes(of: microseconds.bigEndian, toByteOffset: 10, as: Int64.self)
    }
}

/// What is remembered of a write. Borrows the reader's bytes: valid until its next read.
struct RememberedOperation {
    let kind: OperationRecord.Kind
    /// The position of the write: the entry is part of its record.
    let lsn: LSN
    let fingerprint: UInt64
    let microseconds: Int64
    /// Once the write is acknowledged it is on disk.
    let wasSynced: Bool
    let outcome: UnsafeRawBufferPointer

    init?(_ value: StoredValue) {
        let bytes = value.bytes
        guard bytes.count >= OperationRecord.headerByteCount, let kind = OperationRecord.Kind(rawValue: bytes[0]) else {
            return nil
        }
        self.kind = kind
        lsn = value.lsn
        wasSynced = bytes[1] & OperationRecord.notSynced == 0
        fingerprint = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
        microseconds = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 10, as: Int64.self))
        outcome = UnsafeRawBufferPointer(rebasing: bytes[OperationRecord.headerByteCount...])
    }
}
