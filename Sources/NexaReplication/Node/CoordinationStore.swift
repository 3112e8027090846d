// The seam to a service that hands out leaderships. Safety does not depend on it: promises of voters do that. A store adds uniqueness of
// epochs over configuration changes, and the knowledge that a leader is gone, so that a follower may stand up by itself.

import NexaStorage

/// What a node asks of the store.
package enum CoordinationRequest: Hashable, Sendable {
    /// A leadership with an epoch above `floor`, in the name of `node`.
    case acquire(NodeID, floor: Epoch)
    /// A leadership that was acquired and did not come about.
    case release(NodeID, Epoch)
}

/// What the store says.
package enum CoordinationEvent: Hashable, Sendable {
    case acquired(Epoch)
    case refused(String)
    /// The leadership of this epoch is over: another holds it, or its lease ran out.
    case lost(Epoch)
    /// Nobody holds the leadership: a follower may stand up.
    case vacant
}

/// A coordination store as the shell drives it: answers may come later, from any thread, through `deliver`.
package protocol CoordinationStore: Sendable {
    func submit(_ request: CoordinationRequest, deliver: @escaping @Sendable (CoordinationEvent) -> Void)
}

/// No service at all: epochs are dealt out in turn by the configuration, and nobody stands up unasked. What `nexadb promote` works with.
package struct StaticCoordination: CoordinationStore {
    private let configuration: ClusterConfiguration

    package init(configuration: ClusterConfiguration) { self.configuration = configuration }

    package func answer(_ request: CoordinationRequest) -> CoordinationEvent? {
        guard case .acquire(let node, let floor) = request else { return nil }
        guard configuration.isVoter(node) else { return .refused("not a voter of this cluster") }
        return .acquired(configuration.nextEpoch(after: floor, for: node))
    }

    /// Answers before it returns.
    package func submit(_ request: CoordinationRequest, deliver: @escaping @Sendable (CoordinationEvent) -> Void) {
        if let event = answer(request) { deliver(event) }
    }
}
