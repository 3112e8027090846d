// A machine of the simulator: a disk that keeps what was synced and some of the rest, and the shell around the core, as small as it can be.
// Bytes do not exist here; a record is its epoch, its content (a number that no other record has) and the chain up to it.

import NexaReplication
import NexaStorage

/// A record of the model log.
struct SimulatedRecord: Equatable, Sendable {
    var epoch: Epoch
    var hash: UInt64
    var chain: UInt64
    var beginsEpoch: Bool
}

/// What survives a crash.
struct SimulatedDisk: Sendable {
    /// Record n is at index n - 1.
    var log: [SimulatedRecord] = []
    /// Records in front of it cannot be read any more.
    var oldest: LSN = 1
    /// Everything up to here survives.
    var synced: LSN = 0
    var promise = Promise(epoch: 0, leader: nil)
    var clusterID: ClusterID
    var commitHint: LSN = 0
    var slots: [KeptSlot] = []

    var end: LSN { LSN(log.count) }

    func chain(at lsn: LSN) -> UInt64? {
        guard lsn <= end, lsn + 1 >= oldest else { return nil }
        return lsn == 0 ? LogChain.start : log[Int(lsn) - 1].chain
    }

    func epoch(at lsn: LSN) -> Epoch { lsn == 0 || lsn > end ? 0 : log[Int(lsn) - 1].epoch }

    var history: EpochHistory {
        var history = EpochHistory()
        for (index, record) in log.enumerated() where record.epoch > history.lastEpoch {
            history.begin(record.epoch, at: LSN(index) + 1)
        }
        return history
    }

    mutating func append(epoch: Epoch, hash: UInt64, beginsEpoch: Bool) {
        let chain = LogChain.advanced(log.last?.chain ?? LogChain.start, by: hash)
        log.append(SimulatedRecord(epoch: epoch, hash: hash, chain: chain, beginsEpoch: beginsEpoch))
    }

    mutating func cut(to lsn: LSN) {
        log.removeSubrange(Int(lsn)...)
        synced = min(synced, lsn)
    }

    var state: DurableState {
        var state = DurableState(
            clusterID: clusterID, promise: promise, history: history, end: end, chain: log.last?.chain ?? LogChain.start,
            oldestLSN: oldest, commitHint: min(commitHint, end), byteCount: end * SimulatedDisk.recordByteCount)
        state.slots = slots.map { slot in
            var slot = slot
            slot.retainedByteCount = (end + 1 - min(end + 1, slot.restartLSN)) * SimulatedDisk.recordByteCount
            return slot
        }
        return state
    }

    static let recordByteCount: UInt64 = 100
}

/// One node of the simulated cluster. A class, as a machine is looked at in every step and none is ever copied.
final class SimulatedMachine {
    let name: String
    let id: NodeID
    var disk: SimulatedDisk
    /// nil while the machine is down.
    var core: ReplicaNode?
    /// Counts the lives of the machine: what was under way in an earlier one never arrives.
    var life = 0
    var gate = WriteGate.closed(leader: nil, address: nil, epoch: 0)
    /// Local commits are refused. A write that was let in before the gate closed still gets into the log until then.
    var isSealed = true
    /// Of the leadership that the log was last opened for.
    var openEpoch: Epoch = 0
    var leaderships = LeadershipLedger()
    /// The commit point, as far as this machine's connections know.
    var committed: LSN = 0
    /// Writes whose answers wait for other disks.
    var waiting: [SimulatedClient.Write] = []
    var retainFrom: LSN = .max
    /// The log queue works in order: nothing is done before this time.
    var queueBusyUntil: Microseconds = 0
    var isSyncing = false
    var generation: UInt64 = 0
    /// Its clock runs ahead of the simulator's by this much.
    var clockOffset: Microseconds = 0
    /// The connection of each session of this life.
    var connections: [SessionID: Int] = [:]
    var nextServerSession: UInt64 = 1
    /// The batch that the core is being asked about.
    var arriving: [SimulatedRecord] = []

    init(name: String, id: NodeID, disk: SimulatedDisk) {
        self.name = name
        self.id = id
        self.disk = disk
    }
}
