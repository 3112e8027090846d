// Who is who. Names are for people and configuration files; what travels in every hot frame and stands in comparisons is eight bytes.

import CSupport

/// A node of a cluster. Derived from the node's name, so that a configuration that lists names means the same on every node without asking;
/// two nodes of one name in one cluster are refused at the handshake.
package struct NodeID: Hashable, Comparable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// XXH3-64 of the name's UTF-8 bytes.
    package init(name: String) {
        var name = name
        rawValue = name.withUTF8 { nexa_xxh3($0.baseAddress, $0.count, 0) }
    }

    package static func < (left: NodeID, right: NodeID) -> Bool { left.rawValue < right.rawValue }
}

extension NodeID: CustomStringConvertible {
    package var description: String { "node-" + String(rawValue, radix: 16) }
}

/// Which logs may meet at all. Made once with the first leader's store, copied by every follower, never changed.
package struct ClusterID: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A follower that has no data yet belongs to no cluster; its first upstream gives it one.
    package static let none = ClusterID(high: 0, low: 0)
}

/// One connection, named by the node that uses the name; never used again in the life of a process. Everything that is told about a
/// connection carries it, so nothing of an old connection is ever taken for news of the present one.
package struct SessionID: Hashable, Sendable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// Microseconds on this node's own monotonic clock. Two nodes' values are never compared.
package typealias Microseconds = UInt64
