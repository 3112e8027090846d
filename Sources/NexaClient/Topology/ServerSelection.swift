// Which nodes may serve an operation. Pure: the state comes in as values, chance as a number.

/// What an operation needs.
package enum Need: Sendable, Hashable {
    case write
    case read(ReadPreference)
}

/// A node as selection sees it: connected, and this is known of it.
package struct NodeView: Sendable {
    package var role: ServerHello.Role
    package var latencyNanoseconds: Double?
    package var inFlight: Int

    package init(role: ServerHello.Role, latencyNanoseconds: Double? = nil, inFlight: Int = 0) {
        self.role = role
        self.latencyNanoseconds = latencyNanoseconds
        self.inFlight = inFlight
    }
}

package enum ServerSelection {
    /// The indices of `nodes` that may serve `need`, none of them slower than the fastest by more than `threshold`.
    package static func eligible(_ nodes: [NodeView], for need: Need, threshold: Duration) -> [Int] {
        func all(_ role: ServerHello.Role) -> [Int] { nodes.indices.filter { nodes[$0].role == role } }
        let candidates: [Int]
        switch need {
        case .write, .read(.primary): return all(.primary)
        case .read(.primaryPreferred):
            let primaries = all(.primary)
            if !primaries.isEmpty { return primaries }
            candidates = all(.secondary)
        case .read(.secondary): candidates = all(.secondary)
        case .read(.secondaryPreferred):
            let secondaries = all(.secondary)
            candidates = secondaries.isEmpty ? all(.primary) : secondaries
        case .read(.nearest): candidates = all(.primary) + all(.secondary)
        }
        guard let fastest = candidates.compactMap({ nodes[$0].latencyNanoseconds }).min() else { return candidates }
        let limit = fastest + Double(threshold.nanoseconds)
        return candidates.filter { (nodes[$0].latencyNanoseconds ?? fastest) <= limit }
    }

    /// Of `eligible`, two by chance, and of those the one with less in flight. `random` is any number.
    package static func pick(_ eligible: [Int], _ nodes: [NodeView], random: UInt64) -> Int? {
        guard let first = eligible.first else { return nil }
        guard eligible.count > 1 else { return first }
        let count = UInt64(eligible.count)
        let a = Int(random % count)
        let b = (a + 1 + Int((random / count) % (count - 1))) % eligible.count
        return nodes[eligible[a]].inFlight <= nodes[eligible[b]].inFlight ? eligible[a] : eligible[b]
    }
}

extension Duration {
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000
    }
}
