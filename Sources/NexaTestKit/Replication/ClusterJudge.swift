// What must never happen, checked as it would happen: the judge sees every append, cut, sync, commit, promotion and answer, and keeps the one
// history that there may be.

import NexaReplication
import NexaStorage

/// The invariants of a cluster.
struct ClusterJudge {
    private struct LogPlace: Hashable {
        var epoch: Epoch
        var lsn: LSN
    }

    /// A leadership as it began: the chains of the log that it began with.
    private struct Leadership {
        var epoch: Epoch
        var node: Int
        var chains: [UInt64]
    }

    private let quorum: Int
    private(set) var violations: [String] = []
    private var chainOf: [LogPlace: UInt64] = [:]
    private var leaderOf: [Epoch: Int] = [:]
    private var durableOf: [Epoch: LSN] = [:]
    private var leaderships: [Leadership] = []
    /// The committed log: the chain of record n at n - 1, its epoch, and the leadership that committed it.
    private(set) var committed: [(chain: UInt64, epoch: Epoch, by: Epoch)] = []
    /// How far each leadership's log was, and when.
    private var ends: [Epoch: [(at: Microseconds, end: LSN)]] = [:]

    init(quorum: Int) { self.quorum = quorum }

    var committedLSN: LSN { LSN(committed.count) }

    /// Committed records that no disk had any more when a leader was forced.
    private(set) var burntCount = 0

    mutating func violate(_ what: String) { violations.append(what) }

    /// Log matching: the same epoch at the same LSN means the same record, and the same records in front of it.
    mutating func appended(_ record: SimulatedRecord, at lsn: LSN, on node: Int, byLeader: Bool) {
        let place = LogPlace(epoch: record.epoch, lsn: lsn)
        if let known = chainOf[place] {
            if known != record.chain {
                violate("log matching: \(record.epoch):\(lsn) on n\(node) is not the record that others have there")
            }
            if byLeader { violate("log matching: n\(node) wrote \(record.epoch):\(lsn) a second time") }
        } else {
            if !byLeader { violate("log matching: n\(node) has \(record.epoch):\(lsn), which no leader wrote") }
            chainOf[place] = record.chain
        }
        if !byLeader && lsn > durableOf[record.epoch, default: 0] {
            violate("n\(node) has \(record.epoch):\(lsn), which its leader could still lose")
        }
    }

    /// What a leader's disk has is what its readers may see.
    mutating func synced(_ disk: SimulatedDisk, from: LSN, on node: Int, now: Microseconds) {
        let newest = disk.epoch(at: disk.synced)
        if leaderOf[newest] == node { ends[newest, default: []].append((now, disk.synced)) }
        var lsn = disk.synced
        while lsn > from {
            let epoch = disk.epoch(at: lsn)
            if leaderOf[epoch] == node || leaderOf[epoch] == nil { durableOf[epoch] = max(durableOf[epoch, default: 0], lsn) }
            lsn -= 1
        }
    }

    /// One leader per epoch, and it has everything that was committed before it.
    mutating func beganToLead(_ epoch: Epoch, _ disk: SimulatedDisk, on node: Int) {
        if let other = leaderOf[epoch], other != node { violate("epoch \(epoch) has two leaders, n\(other) and n\(node)") }
        leaderOf[epoch] = node
        let chains = disk.log.dropLast().map(\.chain)
        leaderships.append(Leadership(epoch: epoch, node: node, chains: chains))
        for lsn in stride(from: committed.count, to: 0, by: -1) where committed[lsn - 1].by < epoch {
            if chains.count < lsn || chains[lsn - 1] != committed[lsn - 1].chain {
                violate("n\(node) leads epoch \(epoch) without the committed record \(committed[lsn - 1].epoch):\(lsn)")
            }
            break
        }
    }

    /// A leader says that everything up to `lsn` is committed.
    mutating func committed(_ lsn: LSN, by epoch: Epoch, _ machines: [SimulatedMachine], leader node: Int) {
        let log = machines[node].disk.log
        guard lsn <= LSN(log.count) else { return violate("n\(node) commits LSN \(lsn), which it does not have") }
        let chain = log[Int(lsn) - 1].chain
        let holders = machines.count { $0.disk.synced >= lsn && $0.disk.log[Int(lsn) - 1].chain == chain }
        if holders < quorum {
            violate("n\(node) commits \(log[Int(lsn) - 1].epoch):\(lsn), which \(holders) disks have, not \(quorum)")
        }
        checkCommitted(lsn, chain, on: node)
        while LSN(committed.count) < lsn {
            let record = log[committed.count]
            committed.append((record.chain, record.epoch, epoch))
        }
        for later in leaderships where later.epoch > epoch {
            if later.chains.count < Int(lsn) || later.chains[Int(lsn) - 1] != chain {
                violate(
                    "epoch \(epoch) commits LSN \(lsn), which the later leader n\(later.node) of epoch \(later.epoch) does not have"
                )
            }
        }
    }

    /// A follower takes everything up to `lsn` for committed.
    mutating func learnedCommitted(_ lsn: LSN, _ disk: SimulatedDisk, on node: Int) {
        guard lsn <= committedLSN else { return violate("n\(node) takes LSN \(lsn) for committed; \(committedLSN) is") }
        guard lsn > 0, lsn <= disk.end else { return }
        checkCommitted(lsn, disk.log[Int(lsn) - 1].chain, on: node)
    }

    private mutating func checkCommitted(_ lsn: LSN, _ chain: UInt64, on node: Int) {
        if lsn > 0, lsn <= committedLSN, committed[Int(lsn) - 1].chain != chain {
            violate("n\(node) has another record at the committed LSN \(lsn)")
        }
    }

    /// A committed record is never cut by a node that has promised the epoch in which it was committed, or a later one: all that a quorum
    /// consists of. Who has heard of no such epoch may still follow a leader who began without the record, as a later one brings it again.
    mutating func cut(_ disk: SimulatedDisk, to lsn: LSN, on node: Int) {
        guard lsn < committedLSN, lsn < disk.end, disk.promise.epoch >= committed[Int(lsn)].by else { return }
        if disk.log[Int(lsn)].chain == committed[Int(lsn)].chain {
            violate("n\(node) cuts back to LSN \(lsn), below the committed record \(committed[Int(lsn)].epoch):\(lsn + 1)")
        }
    }

    /// Somebody vouched for a leader with the log `leader`: what it lacks is lost, and of epochs that no disk knows nobody can tell.
    mutating func burned(what disks: [SimulatedDisk], leader: SimulatedDisk) {
        let common = zip(committed, leader.log).prefix { $0.chain == $1.chain }.count
        burntCount += committed.count - common
        committed.removeSubrange(common...)
        let known = Set(disks.flatMap { $0.log.map(\.epoch) })
        chainOf = chainOf.filter { known.contains($0.key.epoch) }
        leaderOf = leaderOf.filter { known.contains($0.key) }
        durableOf = durableOf.filter { known.contains($0.key) }
        ends = ends.filter { known.contains($0.key) }
        leaderships.removeAll { !known.contains($0.epoch) }
    }

    mutating func acknowledgedByMajority(_ position: LogPosition) {
        guard position.lsn <= committedLSN, committed[Int(position.lsn) - 1].epoch == position.epoch else {
            return violate("\(position) was acknowledged to a majority write and is not committed")
        }
    }

    /// A read with a token gives what the token named, and nothing older.
    mutating func read(_ answer: LogPosition, after token: LogPosition?, committedOnly: Bool, _ disk: SimulatedDisk, on node: Int)
    {
        if answer.lsn > disk.synced { violate("n\(node) shows LSN \(answer.lsn), its disk has \(disk.synced)") }
        if answer.lsn > 0, disk.epoch(at: answer.lsn) != answer.epoch {
            violate("n\(node) gives the token \(answer) for another record")
        }
        if committedOnly { learnedCommitted(answer.lsn, disk, on: node) }
        guard let token else { return }
        if answer.lsn < token.lsn { violate("n\(node) answers \(answer) to a reader who had seen \(token)") }
        if disk.epoch(at: token.lsn) != token.epoch { violate("n\(node) answers a reader of \(token) from a log without it") }
    }

    mutating func saidLost(_ token: LogPosition, on node: Int) {
        if token.lsn <= committedLSN, committed[Int(token.lsn) - 1].epoch == token.epoch {
            violate("n\(node) calls the committed \(token) lost")
        }
    }

    /// A node that follows `epoch` says that it shows everything that its leader had at `moment`.
    mutating func claimsFreshness(_ epoch: Epoch, moment: Microseconds, visible: LSN, on node: Int) {
        guard let last = ends[epoch]?.last(where: { $0.at < moment }), last.end > visible else { return }
        violate(
            "n\(node) claims to be no older than \(moment) us and shows \(visible); the leader of epoch \(epoch) had \(last.end)")
    }
}
