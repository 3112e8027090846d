import CSupport
import NexaStorage
import Synchronization

/// One collection: an identity that never changes and is never reused, and two facts that change once.
///
/// The id prefixes every key of the collection in the engine:
///
///     [ u32 BE collection id ][ key of the document, 1 to 1,024 bytes ]
///
/// Invariant: a drop commits and sets `isDropped` under all key latches, and writers look at it under a latch,
/// so that no document can be written behind the range delete (see `Catalog.drop`).
package final class Collection: Sendable {
    package static let prefixByteCount = 4

    package let id: UInt32
    package let database: String
    package let name: String
    /// Microseconds since 1970.
    package let createdAt: Int64
    /// Bytes of the database's name, then of the collection's.
    private let nameBytes: [UInt8]
    private let databaseByteCount: Int
    /// Of the names: the same for every collection that has ever had them.
    let nameHash: UInt64
    /// 0: none declared yet.
    private let dimensions: Atomic<Int>
    private let dropped = Atomic<Bool>(false)

    init(id: UInt32, database: String, name: String, vectorDimensions: Int?, createdAt: Int64) {
        self.id = id
        self.database = database
        self.name = name
        self.createdAt = createdAt
        nameBytes = Array(database.utf8) + Array(name.utf8)
        databaseByteCount = database.utf8.count
        nameHash = Self.nameHash(database: database, name: name)
        dimensions = Atomic(vectorDimensions ?? 0)
    }

    /// What is left of a collection of these names that was dropped: nothing is written or read through it.
    package static func dropped(database: String, name: String) -> Collection {
        let collection = Collection(id: 0, database: database, name: name, vectorDimensions: nil, createdAt: 0)
        collection.setDropped()
        return collection
    }

    static func nameHash(database: String, name: String) -> UInt64 {
        [database, name].reduce(0) { seed, text in
            Array(text.utf8).withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, seed) }
        }
    }

    /// Dimensions that every vector of the collection must have; nil until declared or until the first vector is stored.
    package var vectorDimensions: Int? {
        let value = dimensions.load(ordering: .acquiring)
        return value == 0 ? nil : value
    }

    /// Whether the collection was dropped. A handle outlives its collection; nothing can be written through it then.
    package var isDropped: Bool { dropped.load(ordering: .acquiring) }

    @inline(__always)
    func isNamed(database: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer) -> Bool {
        guard database.count == databaseByteCount, database.count + name.count == nameBytes.count else { return false }
        return nameBytes.withUnsafeBytes { bytes in
            areEqual(UnsafeRawBufferPointer(rebasing: bytes[..<database.count]), database)
                && areEqual(UnsafeRawBufferPointer(rebasing: bytes[database.count...]), name)
        }
    }

    func setVectorDimensions(_ count: Int) {
        precondition(count > 0)
        dimensions.store(count, ordering: .releasing)
    }

    func setDropped() { dropped.store(true, ordering: .releasing) }

    /// Writes the four bytes in front of every key.
    @inline(__always)
    func writePrefix(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: id.bigEndian, as: UInt32.self)
    }

    /// The collection's whole key space in the engine: its prefix, and the prefix of the next id.
    var keySpace: (lower: [UInt8], upper: [UInt8]) {
        (Self.prefix(id), Self.prefix(id + 1))
    }

    private static func prefix(_ id: UInt32) -> [UInt8] {
        withUnsafeBytes(of: id.bigEndian) { Array($0) }
    }
}
