// What of a slot survives a restart of its node. The place may lag behind what the follower had: then a little more of the log is kept than is
// needed, until the follower is there again.

import NexaStorage

/// A slot on disk.
package struct KeptSlot: Hashable, Sendable {
    package var name: String
    package var node: NodeID?
    package var restartLSN: LSN
    package var isLost: Bool
    /// For how long its follower was away while the node ran.
    package var away: Microseconds
    /// Bytes of log from `restartLSN` on: found anew at each start, never written.
    package var retainedByteCount: UInt64 = 0

    package init(name: String, node: NodeID?, restartLSN: LSN, isLost: Bool, away: Microseconds) {
        self.name = name
        self.node = node
        self.restartLSN = restartLSN
        self.isLost = isLost
        self.away = away
    }
}

extension SlotTable {
    /// The slots of an earlier run. Where the log does not reach back to a place any more, it is kept from where it begins.
    init(_ kept: [KeptSlot], endByteCount: UInt64, oldestLSN: LSN, now: Microseconds) {
        self.init()
        for entry in kept {
            var slot = ReplicationSlot(
                name: entry.name, node: entry.node, restartLSN: max(entry.restartLSN, oldestLSN),
                restartByteCount: endByteCount - min(endByteCount, entry.retainedByteCount), now: now)
            slot.state = entry.isLost ? .lost : .reserved
            slot.awayBefore = entry.away
            restore(slot)
        }
    }

    func kept(now: Microseconds) -> [KeptSlot] {
        slots.map { slot in
            KeptSlot(
                name: slot.name, node: slot.node, restartLSN: slot.restartLSN, isLost: slot.state == .lost,
                away: slot.away(now: now))
        }
    }
}

extension ReplicaNode {
    /// What the shell keeps over a restart.
    package func keptSlots(now: Microseconds) -> [KeptSlot] { slots.kept(now: now) }
    /// Rises when a slot comes, goes, is lost or is reserved again: to be written soon.
    package var slotChangeCount: UInt64 { slots.changeCount }
}
