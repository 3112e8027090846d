// A filter of a request, checked and compiled once, then evaluated over the bytes of each document.

import CSupport
import NexaWire

/// Limits that keep a hostile filter from costing more than a fraction of a second.
package struct FilterLimits: Sendable {
    /// Operators, conditions and list members together.
    package var nodeCountMax = 1_000
    package var depthMax = 100
    package var pathSegmentCountMax = 100

    package init() {}
}

/// Bounds on `_id` that every match of a filter lies within: bytes of the key's text. Empty range when `upper` is not above `lower`.
package struct KeyRange: Sendable, Equatable {
    /// Inclusive; nil: from the first key.
    package var lower: [UInt8]?
    /// Exclusive; nil: to the last key.
    package var upper: [UInt8]?

    package init(lower: [UInt8]? = nil, upper: [UInt8]? = nil) {
        self.lower = lower
        self.upper = upper
    }
}

/// A compiled filter: immutable and shareable between threads; evaluation neither allocates nor locks.
package final class CompiledFilter: Sendable {
    /// Whether every document matches (empty filter).
    package let matchesEverything: Bool
    /// Bounds on `_id` that the filter implies; a scan of this key range sees every match.
    package let keyRange: KeyRange

    init(matchesEverything: Bool, keyRange: KeyRange) {
        self.matchesEverything = matchesEverything
        self.keyRange = keyRange
    }

    /// Compiles the MessagePack map `filter` (already validated as payload; nil and no bytes count as the empty filter).
    package static func compile(
        _ filter: UnsafeRawBufferPointer, limits: FilterLimits = FilterLimits()
    ) throws(DocumentError) -> CompiledFilter {
        fatalError("not built yet")
    }

    /// Whether the MessagePack map `document` matches.
    package func matches(_ document: UnsafeRawBufferPointer) -> Bool {
        fatalError("not built yet")
    }
}
