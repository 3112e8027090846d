// Everything that can happen to a node, as its shell tells it. The core does no I/O and reads no clock: `now` comes with every event.
//
// What the shell owes the core:
//   - effects are carried out in the order given; those on the log go through one queue, in that order;
//   - an event that answers an effect comes after the effect is done, with the generation or session it was given for;
//   - a batch is only reported after each record's hash and the density of its LSNs were checked;
//   - `durable` means: survives a power cut.

import NexaStorage

/// A batch that arrived, its records verified one by one and chained: what is left to decide is whether it belongs here.
package struct BatchArrival: Sendable {
    package var header: BatchHeader
    /// The chain behind its last record, beginning with `header.previousChain`.
    package var lastChain: UInt64
    /// Stored bytes, for lag and window.
    package var byteCount: UInt64
    /// The first record is an EPOCH_START.
    package var beginsEpoch: Bool

    package init(header: BatchHeader, lastChain: UInt64, byteCount: UInt64, beginsEpoch: Bool) {
        self.header = header
        self.lastChain = lastChain
        self.byteCount = byteCount
        self.beginsEpoch = beginsEpoch
    }
}

/// A waiting request, named by the shell.
package struct WaiterID: Hashable, Sendable {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// How many nodes must have a write on disk before it is acknowledged.
package enum WriteConcern: Hashable, Sendable {
    /// This many nodes, the leader among them, voters or not. Says nothing about a later leader.
    case nodes(Int)
    /// The commit point has passed it: every later leader has it.
    case majority
}

/// What the operator vouches for with a promotion.
package enum PromotionForce: Sendable {
    /// Nothing: the new leader opens when a fence quorum has promised and nobody of it is ahead.
    case none
    /// That the old leader will not come back to be believed: opens with the promises at hand. Acknowledged writes may be lost.
    case acceptLoss
}

package enum NodeEvent: Sendable {
    /// Nothing but time. At `nextDeadline` at the latest, and at least every `heartbeatInterval`.
    case tick

    // MARK: The log
    /// Local commits took the log to `end`. Only while the node leads.
    case appended(end: LSN, byteCount: UInt64)
    /// Everything up to `lsn` survives a power cut.
    case durable(LSN, generation: UInt64)
    /// Everything up to `lsn` is in the memtables.
    case applied(LSN, generation: UInt64)
    /// `appendEpochStart` is done: the record is in the log (not necessarily on disk).
    case epochStartAppended(Epoch, lsn: LSN, chain: UInt64)
    /// `sealWrites` is done: no local commit will come any more, and this is where the log ends.
    case writesSealed(end: LSN, chain: UInt64)
    /// The gate is `parked`: no local commit is under way, and this is where the log ends.
    case writesParked(end: LSN)
    /// `persistPromise` is done: it survives a power cut.
    case promisePersisted(Promise)
    /// `truncate` is done and survives a power cut. `chain` is the one at `end`.
    case truncated(end: LSN, chain: UInt64, generation: UInt64)
    /// `installSnapshot` is done: the data was swapped, the log begins behind it, and everything up to `end` is applied and durable. From here
    /// on news of the disk carries `generation`; where the snapshot failed, the old one goes on.
    case snapshotInstalled(SessionID, clusterID: ClusterID, history: EpochHistory, end: LSN, chain: UInt64, generation: UInt64)
    case snapshotFailed(SessionID, reason: String)
    /// This follower was offered a copy with everything up to `through`, and none of the log behind it.
    case snapshotOffered(SessionID, through: LSN)
    /// The oldest record that the log still has.
    case logRetained(oldest: LSN)
    /// `readChain` is done; nil when the log does not reach back so far.
    case chainRead(ChainQuestion, lsn: LSN, chain: UInt64?)
    /// The log cannot be written any more. Nothing is acknowledged from here on.
    case logFailed(reason: String)

    // MARK: Connections
    /// `connectUpstream` has worked.
    case upstreamConnected(SessionID)
    /// A connection has ended, whoever ended it. Nothing is reported for it afterwards.
    case closed(SessionID)
    /// A control message on the upstream connection.
    case upstream(SessionID, ReplicationMessage)
    case batch(SessionID, BatchArrival)
    /// The bytes on the upstream connection are no batch: hash, density or framing is wrong.
    case damagedBatch(SessionID, reason: String)
    /// A control message on a follower's connection. The first one is `hello`.
    case downstream(SessionID, ReplicationMessage)
    /// A ship order was carried out up to `last` with this many stored bytes; `last` is one less than the order's first when nothing was sent.
    case shipped(SessionID, last: LSN, byteCount: UInt64)
    /// A ship order found that the log begins behind what it should send.
    case shipGone(SessionID, oldest: LSN)
    /// A FENCE, FENCED, PROMOTED or SWITCHOVER from a peer. May come late, twice, or never.
    case peer(NodeID, ReplicationMessage)

    // MARK: Clients
    /// A linearizable read wants to know where to read. `visible` is what any reader of this node can have seen by now.
    case awaitReadIndex(WaiterID, visible: LSN, deadline: Microseconds)
    /// A follower asks on behalf of such a read.
    case readIndex(SessionID, ReadIndex, visible: LSN)

    // MARK: People and coordination
    case promote(PromotionForce)
    case switchover(target: NodeID, timeout: Microseconds)
    case slotAdmin(SlotAdmin)
    case coordination(CoordinationEvent)
    /// The process is going to stop: waiters are answered, connections closed.
    case stop
}
