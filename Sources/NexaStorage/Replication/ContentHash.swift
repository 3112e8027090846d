import CSupport

/// What a range of keys holds at one LSN, in three numbers: equal on two nodes when they hold the same, whatever their tables look like.
/// Sum and exclusive or of a hash of each entry, so that ranges can be hashed in parts and in any order.
package struct ContentHash: Hashable, Sendable {
    package var entryCount: UInt64 = 0
    package var sum: UInt64 = 0
    package var exclusiveOr: UInt64 = 0

    package init() {}

    /// Takes an entry in: XXH3-64 of the value, seeded with XXH3-64 of the key.
    package mutating func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        let hash = nexa_xxh3(value.baseAddress, value.count, nexa_xxh3(key.baseAddress, key.count, 0))
        entryCount += 1
        sum &+= hash
        exclusiveOr ^= hash
    }

    package static func += (total: inout ContentHash, part: ContentHash) {
        total.entryCount += part.entryCount
        total.sum &+= part.sum
        total.exclusiveOr ^= part.exclusiveOr
    }
}

extension ContentHash: CustomStringConvertible {
    package var description: String { "\(entryCount) \(Hex.string(sum)) \(Hex.string(exclusiveOr))" }
}
