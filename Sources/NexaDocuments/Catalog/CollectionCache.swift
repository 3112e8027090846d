import CSupport
import NexaStorage

/// Collections that one worker looked up lately, found again by the bytes of their names: no allocation and no lock on a hit.
///
/// Direct-mapped; emptied as a whole when the catalog's version moves. Confined to one thread.
struct CollectionCache {
    private static let slotCount = 64

    private var slots: ContiguousArray<Collection?> = .init(repeating: nil, count: slotCount)
    private var version: UInt64 = 0

    /// The cached collection of that name, unless the catalog has changed since it was stored.
    @inline(__always)
    mutating func find(
        database: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer, version current: UInt64
    ) -> Collection? {
        if current != version {
            for index in slots.indices { slots[index] = nil }
            version = current
            return nil
        }
        guard let collection = slots[Self.slot(database, name)], collection.isNamed(database: database, name: name) else {
            return nil
        }
        return collection
    }

    mutating func store(_ collection: Collection, database: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer) {
        slots[Self.slot(database, name)] = collection
    }

    @inline(__always)
    private static func slot(_ database: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer) -> Int {
        let seed = nexa_xxh3(database.baseAddress, database.count, 0)
        return Int(truncatingIfNeeded: nexa_xxh3(name.baseAddress, name.count, seed)) & (slotCount - 1)
    }
}
