// Who counts. Two numbers decide everything about safety:
//
//     commit quorum q   voters (the leader among them) that have a record on disk before it counts as committed
//     fence quorum  f   voters that promised a new epoch before its leader opens: f = voters - q + 1
//
// Every set of q voters and every set of f voters have one in common: it either acknowledged the record before it promised, and then the
// new leader has seen that record, or it refuses to acknowledge after. With two nodes and q = 2, f is 1: the follower can be promoted
// alone, and the old leader can never commit again.

import NexaStorage

/// A node that the cluster knows by configuration.
package struct Member: Hashable, Sendable {
    package static let nameByteCountMax = 120
    package static let addressByteCountMax = 255

    package var id: NodeID
    package var name: String
    /// HOST:PORT as other nodes reach it.
    package var address: String
    /// Whether its acknowledgements count for the commit point.
    package var isVoter: Bool

    package init(name: String, address: String, isVoter: Bool = true) {
        id = NodeID(name: name)
        self.name = name
        self.address = address
        self.isVoter = isVoter
    }
}

/// The members of a cluster and how many of them make a commit. The same on every node; `version` tells which of two is newer.
package struct ClusterConfiguration: Hashable, Sendable {
    /// Bounded so that counting acknowledgements stays a walk over one cache line or two.
    package static let memberCountMax = 16

    package private(set) var members: [Member]
    package private(set) var commitQuorum: Int
    package var version: UInt64

    /// `commitQuorum` nil means a majority of the voters. Members are kept sorted by id, so that all nodes number them alike.
    package init(members: [Member], commitQuorum: Int? = nil, version: UInt64 = 1) {
        precondition(members.count <= ClusterConfiguration.memberCountMax, "a cluster has at most 16 configured members")
        self.members = members.sorted { $0.id < $1.id }
        let voters = members.count { $0.isVoter }
        precondition(voters > 0, "somebody has to be able to lead")
        precondition(Set(members.map(\.id)).count == members.count, "node names are unique")
        self.commitQuorum = min(max(1, commitQuorum ?? (voters / 2 + 1)), voters)
        self.version = version
    }

    package var voterCount: Int { members.count { $0.isVoter } }
    package var fenceQuorum: Int { voterCount - commitQuorum + 1 }

    package func member(_ id: NodeID) -> Member? { members.first { $0.id == id } }
    package func isVoter(_ id: NodeID) -> Bool { members.contains { $0.id == id && $0.isVoter } }

    /// The smallest epoch above `floor` that belongs to `node`: epochs are dealt out in turn, member by member, so two nodes never take the
    /// same one although nobody hands them out. A coordination store that does hand them out makes this unnecessary.
    package func nextEpoch(after floor: Epoch, for node: NodeID) -> Epoch {
        let stride = Epoch(members.count)
        let turn = Epoch(members.firstIndex { $0.id == node } ?? 0)
        let candidate = (floor + 1) / stride * stride + turn
        return candidate > floor ? candidate : candidate + stride
    }
}
