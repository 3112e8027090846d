// Every limit of replication with its default and reason. Times are microseconds on the node's own clock.

/// How patient and how generous a node is.
package struct ReplicationOptions: Sendable {
    /// An upstream with nothing to send says so this often; followers measure their staleness by it.
    package var heartbeatInterval: Microseconds = 500_000
    /// A peer that was not heard for this long is gone: its connection is closed.
    package var deadAfter: Microseconds = 5_000_000
    /// A follower that cuts its log or takes a snapshot speaks when a piece is on its disk, and may be checking files in between; after this
    /// long nobody would find the snapshot any more.
    package var preparingSilenceMax: Microseconds = 900_000_000
    /// A follower that is alive but has not written anything of what is on its way for this long begins anew. Long enough for the largest record
    /// on a slow line.
    package var stuckAfter: Microseconds = 120_000_000
    /// Before a lost or refused upstream is dialled again.
    package var reconnectDelay: Microseconds = 200_000
    /// Stored bytes that may be on their way to one follower. One record always may, however large.
    package var windowByteCount: UInt64 = 4 << 20
    /// Bytes that one ship order may take before the log is left to the other followers.
    package var shipByteCountMax = 512 << 10
    /// Connections that may follow this node at the same time.
    package var downstreamCountMax = 64
    /// Longest chain of followers behind a leader.
    package var chainDepthMax = 4
    /// A slot that holds back more of the log than this is given up.
    package var slotByteCountMax: UInt64 = 10 << 30
    /// A slot whose follower was away for longer than this is given up.
    package var slotAgeMax: Microseconds = 24 * 3_600_000_000
    /// A node that does not lead any more forgets the slots of members after this time: they follow the new leader.
    package var formerSlotAgeMax: Microseconds = 600_000_000
    package var slotCountMax = 64
    /// Waiting reads; beyond it they are told that no position can be confirmed.
    package var waiterCountMax = 100_000
    /// How long a node that comes up without an upstream waits for everybody to say whether there is a leader.
    package var askTimeout: Microseconds = 1_000_000
    /// How long a candidate asks its peers before it gives up, and how often it repeats the question.
    package var fenceTimeout: Microseconds = 5_000_000
    package var fenceRetry: Microseconds = 200_000
    /// The longest time that writes may be parked for a switchover.
    package var switchoverTimeoutMax: Microseconds = 60_000_000
    /// Lag of the slowest follower that the commit point needs: writes are slowed from the first value on and refused at the second.
    package var flowSoftByteCount: UInt64 = 32 << 20
    package var flowHardByteCount: UInt64 = 256 << 20
    package var flowSoftAge: Microseconds = 1_000_000
    package var flowHardAge: Microseconds = 5_000_000
    /// The longest delay that flow control asks of one write.
    package var flowDelayMax: Microseconds = 100_000

    package init() {}
}
