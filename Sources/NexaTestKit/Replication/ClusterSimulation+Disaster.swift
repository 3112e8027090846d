// The day on which so many machines burn that nobody can be promoted any more, and an operator vouches for that: `nexadb promote --accept-loss`.
//
//     strike ---------> burning: what is left is up, nobody leads ---------> forced ---------> over
//     disks are gone    the newest voter is promoted by force                it leads          the burnt machines join it, empty
//
// What the burnt disks alone had is lost, and that is all: everything else is promised as on any other day, the tokens of what was
// lost included. The operator keeps to the runbook: a burnt machine stays away until somebody leads, and whoever of the non-voters has more than
// the voter that will lead is set up anew.

import NexaReplication
import NexaStorage

/// How far the disaster of a run is.
struct SimulatedDisaster: Sendable {
    enum Stage: Sendable { case none, burning, over }

    var stage = Stage.none
    /// Machines that are not to come up.
    var isHeld: [Bool]
    /// The node that was told to lead, and its life then.
    var chosen: (index: Int, life: Int)?
    /// No frame of a burnt machine is on its way any more.
    var settledAt: Microseconds = 0

    init(count: Int) { isHeld = Array(repeating: false, count: count) }
}

extension ClusterSimulation {
    static let settleTime: Microseconds = 150_000

    /// Burns whoever leads or stands up, and others, until neither a fence quorum nor a commit quorum is left.
    func strike() {
        let voters = machines.indices.filter { configuration.isVoter(machines[$0].id) }
        let spared = min(configuration.fenceQuorum, configuration.commitQuorum) - 1
        let calm = voters.filter { machines[$0].core?.role == .follower }
        guard !isHealed, disaster.stage == .none, spared > 0 else { return }
        guard calm.count >= spared else { return schedule.add(.disaster, at: now + 50_000) }
        let first = random.below(calm.count)
        let survivors = (0..<spared).map { calm[(first + $0) % calm.count] }
        // Where only strangers are left there is no cluster that anybody could vouch for.
        guard survivors.contains(where: belongs) else { return schedule.add(.disaster, at: now + 50_000) }
        note("disaster: \(survivors.map { machines[$0].name }) are left of the voters")
        disaster.stage = .burning
        disaster.settledAt = now + ClusterSimulation.settleTime
        for index in voters where !survivors.contains(index) { burn(index) }
    }

    /// A node that has met the cluster: a stranger cannot be promoted, not even by force.
    private func belongs(_ index: Int) -> Bool { machines[index].disk.clusterID != .none }

    /// The machine is gone, and its disk with it.
    private func burn(_ index: Int) {
        note("\(machines[index].name) burns")
        crash(index)
        machines[index].disk = SimulatedDisk(clusterID: .none)
        disaster.isHeld[index] = true
    }

    /// What the operator does while nobody can be promoted.
    func recover() {
        schedule.add(.operate, at: now + 50_000 + UInt64(random.below(100_000)))
        if let chosen = disaster.chosen {
            // Died before it led: begin again.
            if machines[chosen.index].life != chosen.life || machines[chosen.index].core == nil { disaster.chosen = nil }
            return
        }
        let left = machines.indices.filter { !disaster.isHeld[$0] }
        let voters = left.filter { configuration.isVoter(machines[$0].id) }
        // Who led before stands up again and again by itself; that is no hindrance.
        guard now >= disaster.settledAt, voters.allSatisfy({ [.follower, .candidate].contains(machines[$0].core?.role) })
        else { return }
        let candidates = voters.filter(belongs)
        guard let best = candidates.max(by: { machines[$0].core!.log.durablePosition < machines[$1].core!.log.durablePosition })
        else { return }
        for index in left where !voters.contains(index) && !isPrefix(machines[index].disk, of: machines[best].disk) {
            burn(index)
        }
        note("the operator forces n\(best)")
        disaster.chosen = (best, machines[best].life)
        deliver(.promote(.acceptLoss), to: best)
    }

    private func isPrefix(_ a: SimulatedDisk, of b: SimulatedDisk) -> Bool {
        a.end <= b.end && (a.end == 0 || a.log[Int(a.end) - 1] == b.log[Int(a.end) - 1])
    }

    /// Whether `index` leads because somebody vouched for it.
    func isForced(_ index: Int) -> Bool { disaster.stage == .burning && disaster.chosen?.index == index }

    /// The forced leader leads: the others may come, with empty disks.
    func disasterEnds(_ leader: Int) {
        guard isForced(leader) else { return }
        report.forcedCount += 1
        disaster.stage = .over
        disaster.chosen = nil
        for index in machines.indices where disaster.isHeld[index] {
            disaster.isHeld[index] = false
            start(index, follow: machines[leader].name)
        }
    }

    /// The forced candidate gave up.
    func disasterGoesOn(_ index: Int) {
        if isForced(index) { disaster.chosen = nil }
    }
}
