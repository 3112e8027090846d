/// Which nodes of a cluster answer reads.
public enum ReadPreference: String, Sendable, CaseIterable {
    /// The leader alone.
    case primary
    /// The leader, or a follower while there is none.
    case primaryPreferred
    /// A follower alone.
    case secondary
    /// A follower, or the leader while there is none.
    case secondaryPreferred
    /// Whoever answers fastest, give or take `localThreshold`.
    case nearest
}

/// What a read promises, in the words of docs/replication.md.
public enum ReadConcern: String, Sendable, CaseIterable {
    case local, committed, linearizable
}

/// How many nodes have a write on disk before it is acknowledged.
public enum WriteConcern: Sendable, Hashable {
    case nodes(Int)
    case majority
}

/// When a node acknowledges a write.
public enum WriteDurability: String, Sendable, CaseIterable {
    /// When it is on the disk.
    case disk
    /// When the operating system has it.
    case os
}
