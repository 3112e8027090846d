// What a filter says about `_id`, so that a query can scan a range of keys, or read a few, instead of a whole collection.

/// Bounds on `_id` that every match of a filter lies within: bytes of the key's text, in key order.
package struct KeyRange: Sendable, Equatable {
    /// Inclusive; nil: from the first key.
    package private(set) var lower: [UInt8]?
    /// Exclusive; nil: to the last key.
    package private(set) var upper: [UInt8]?
    /// When the filter names the keys themselves (a literal, `$eq`, `$in`): all that can match, sorted, each once.
    package private(set) var exactKeys: [[UInt8]]?

    package init(lower: [UInt8]? = nil, upper: [UInt8]? = nil) {
        self.lower = lower
        self.upper = upper
    }

    /// No key lies within.
    package var isEmpty: Bool {
        if let exactKeys, exactKeys.isEmpty { return true }
        guard let lower, let upper else { return false }
        return !lower.lexicographicallyPrecedes(upper)
    }

    /// Every key lies within.
    package var isUnbounded: Bool { lower == nil && upper == nil && exactKeys == nil }

    package func contains(_ key: [UInt8]) -> Bool {
        if let lower, key.lexicographicallyPrecedes(lower) { return false }
        if let upper, !key.lexicographicallyPrecedes(upper) { return false }
        return true
    }

    /// The first key after `key` in key order.
    static func successor(of key: [UInt8]) -> [UInt8] { key + [0] }

    mutating func require(atLeast key: [UInt8]) {
        if lower.map({ $0.lexicographicallyPrecedes(key) }) ?? true { lower = key }
    }

    mutating func require(below key: [UInt8]) {
        if upper.map({ key.lexicographicallyPrecedes($0) }) ?? true { upper = key }
    }

    mutating func require(oneOf keys: [[UInt8]]) {
        var sorted: [[UInt8]] = []
        for key in keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) where sorted.last != key { sorted.append(key) }
        if let exactKeys {
            let other = Set(exactKeys)
            sorted = sorted.filter { other.contains($0) }
        }
        exactKeys = sorted
    }

    /// Brings bounds and keys together, once all conditions are in: doing it for each would let a filter cost their product.
    mutating func settle() {
        guard let keys = exactKeys?.filter({ contains($0) }) else { return }
        exactKeys = keys
        if let first = keys.first, let last = keys.last {
            lower = first
            upper = KeyRange.successor(of: last)
        }
    }
}
