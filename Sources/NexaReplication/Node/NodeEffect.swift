// Everything that a node can want done. The shell carries effects out in the order given.

import NexaStorage

/// What a question for the chain was asked for.
package enum ChainQuestion: Hashable, Sendable {
    /// To decide about this follower's hello.
    case hello(SessionID)
    /// To compare with the upstream's chain at the place to cut to.
    case cut(SessionID)
    /// To compare with a follower's STREAM_START_AT.
    case start(SessionID)
}

/// Read records `first...limit` from the log, at most `byteCountMax` bytes (but at least one record, and never records of two epochs in one
/// batch), and send them as WAL_BATCH frames with `stamp`. Answered by `shipped` or `shipGone`.
package struct ShipOrder: Hashable, Sendable {
    package var first: LSN
    package var limit: LSN
    package var byteCountMax: Int
    package var stamp: FrameStamp
}

/// What became of a wait for a read index.
package enum ReadIndexOutcome: Equatable, Sendable {
    /// Read at this LSN or later, once it is visible here.
    case read(at: LSN)
    case failed(reason: String)
}

/// How fast writes may come in.
package enum FlowVerdict: Hashable, Sendable {
    case open
    /// Each write is to be delayed by this long.
    case slow(Microseconds)
    /// Writes are refused with OVERLOADED.
    case refuse
}

package enum PromotionFailure: Equatable, Sendable {
    case busy
    case notMember
    /// It came with an empty disk and has not caught up yet.
    case newcomer
    /// A peer promised a higher epoch to somebody else.
    case outvoted(promised: Epoch)
    /// This peer founded the cluster, and too few others have caught up with it for anybody else to lead.
    case founderStays(NodeID)
    /// This peer has records that the candidate lacks: promote it instead.
    case behind(NodeID, LogPosition)
    /// A leader is alive.
    case leaderAlive(NodeID, Epoch)
    case noQuorum(promises: Int, needed: Int)
    case refusedByStore(String)
    case logFailed
}

/// What an operator has to hear about.
package enum Alarm: Equatable, Sendable {
    /// Following would cut records that a quorum acknowledged.
    case committedTruncationRefused(peer: NodeID, commonPoint: LSN, committed: LSN)
    /// A follower holds records of this leadership that the leader does not have: a disk lied.
    case followerAheadOfLeader(NodeID, LogPosition)
    /// Equal positions, different content.
    case chainMismatch(NodeID, lsn: LSN)
    case damagedRecord(String)
    case duplicateEpoch(Epoch)
    case slotLost(String, reason: String)
    case logFailed(String)
}

package enum CloseReason: Equatable, Sendable {
    case stop(ReplicationStop)
    case quiet
}

/// What writes are to do.
package enum WriteGate: Equatable, Sendable {
    /// This node leads `epoch`: commit.
    case open(Epoch)
    /// Hold new writes, let those under way finish, and answer `writesParked`; the gate changes soon (switchover).
    case parked
    /// Answer NOT_LEADER with this hint.
    case closed(leader: NodeID?, address: String?, epoch: Epoch)
}

package enum NodeEffect: Sendable {
    // MARK: The log
    /// Append the records of the batch that was just reported. In order with all other log effects.
    case append(SessionID, first: LSN, last: LSN)
    /// Cut the log back to `end`; what is cut goes to a rollback file first. Later news of the disk carries `generation`.
    case truncate(to: LSN, generation: UInt64)
    /// Pull a snapshot over this connection and swap it in.
    case installSnapshot(SessionID, generation: UInt64)
    /// Finish applying, take the log over for local commits, and append an EPOCH_START record. Local commits follow the gate.
    case appendEpochStart(Epoch)
    /// Take no local commits any more, let those under way finish, and say where the log ends.
    case sealWrites
    /// Remember over a crash, together with the log's `commitHint`. The cluster stands beside it because an empty node learns it with its first
    /// promise.
    case persistPromise(Promise, ClusterID)
    /// No record at or behind `lsn` may be recycled.
    case retain(from: LSN)
    case readChain(ChainQuestion, lsn: LSN)

    // MARK: Connections
    case connectUpstream(SessionID, address: String)
    case send(SessionID, ReplicationMessage)
    case ship(SessionID, ShipOrder)
    case close(SessionID, CloseReason)
    /// Best effort: dial if needed, and forget it if that fails.
    case sendPeer(NodeID, ReplicationMessage)

    // MARK: Clients
    case gate(WriteGate)
    case flow(FlowVerdict)
    /// The commit point: reads with read concern `committed` may see up to here, and writes that wait for it are held against it
    /// (`Acknowledgement`).
    case committed(LSN)
    case completeReadIndex(WaiterID, ReadIndexOutcome)

    // MARK: People and coordination
    case promoted(Epoch)
    case promotionFailed(PromotionFailure)
    case switchoverProgress(SwitchoverProgress)
    case slots(SlotAdminReply)
    case coordinate(CoordinationRequest)
    case alarm(Alarm)
    /// For the log of the node and its metrics.
    case note(NodeNote)
}

/// What is worth a line in the log.
package enum NodeNote: Equatable, Sendable {
    case roleChanged(NodeRole, epoch: Epoch)
    case handshake(peer: NodeID, decision: String, reason: String)
    case upstreamLost(reason: String)
    case downstreamLost(NodeID, reason: String)
    case truncating(from: LSN, to: LSN)
    case fenced(by: NodeID, epoch: Epoch)
}

/// What a node is.
package enum NodeRole: String, Sendable {
    case follower, candidate, leader
    /// Was leader, knows of a newer one, and has not yet sealed its log.
    case fenced
    /// Its log cannot be written, or it was stopped; takes part in nothing.
    case failed
}
