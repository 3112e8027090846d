// One seed of the replication test: three to five nodes, each the real state machine around a model disk, on a network that drops, delays,
// duplicates, reorders across connections and is cut one way; machines crash and restart at any step; clients write and read with tokens;
// somebody promotes and switches over at random. After the trouble everything is healed, and the cluster has to come to rest.
//
//     0 ----------- trouble ----------- healAt --- converges within `patience`
//
// The judge (`ClusterJudge`) watches every step. The same seed plays the same game; a failing one is played again with a trace.

import NexaReplication
import NexaStorage

/// A simulated cluster and its fate.
package final class ClusterSimulation {
    /// What a run did, for the reader of a test's output.
    package struct Report: Sendable {
        package var seedCount = 0
        package var stepCount = 0
        package var writeCount = 0
        package var acknowledgedCount = 0
        package var unknownCount = 0
        package var readCount = 0
        package var crashCount = 0
        package var promotionCount = 0
        package var switchoverCount = 0
        package var truncationCount = 0
        package var snapshotCount = 0
        package var lostTokenCount = 0
        package var committedCount = 0
        /// Leaderships that an operator forced, and committed records that were lost with the disks that burnt.
        package var forcedCount = 0
        package var burntCount = 0
        /// What must never happen, with the seed in front.
        package var violations: [String] = []

        package init() {}

        package static func += (total: inout Report, part: Report) {
            total.seedCount += part.seedCount
            total.stepCount += part.stepCount
            total.writeCount += part.writeCount
            total.acknowledgedCount += part.acknowledgedCount
            total.unknownCount += part.unknownCount
            total.readCount += part.readCount
            total.crashCount += part.crashCount
            total.promotionCount += part.promotionCount
            total.switchoverCount += part.switchoverCount
            total.truncationCount += part.truncationCount
            total.snapshotCount += part.snapshotCount
            total.lostTokenCount += part.lostTokenCount
            total.committedCount += part.committedCount
            total.forcedCount += part.forcedCount
            total.burntCount += part.burntCount
            total.violations += part.violations
        }
    }

    struct Connection {
        var client: Int
        var server: Int
        var clientSession: SessionID
        var serverSession: SessionID
        var clientOpen = true
        var serverOpen = true
        /// No frame overtakes another one of its direction.
        var lastToServer: Microseconds = 0
        var lastToClient: Microseconds = 0
        /// A frame was lost: on a real connection nothing comes through behind it.
        var toServerIsDead = false
        var toClientIsDead = false
    }

    static let healAt: Microseconds = 3_000_000
    static let patience: Microseconds = 6_000_000

    let seed: UInt64
    let rules: SafetyRules
    var random: SeededGenerator
    var schedule = SimulatedSchedule()
    var now: Microseconds = 0
    var machines: [SimulatedMachine] = []
    var connections: [Connection] = []
    /// cut[a][b]: nothing goes from a to b.
    var cut: [[Bool]] = []
    var judge: ClusterJudge
    var report = Report()
    var configuration: ClusterConfiguration
    var isHealed = false
    var lossPercent = 0
    /// Some seeds change leaders all the time: what goes wrong between leaderships needs three of them in a row.
    let isStorm: Bool
    /// And some let two nodes lead in turn, each with just the peers that it needs and only for a moment: what a leader left behind half
    /// shipped is what the next but one meets.
    let isDuel: Bool
    var disaster: SimulatedDisaster
    var clients: [SimulatedClient]
    var pendingReads: [WaiterID: LSN] = [:]
    var nextWaiter: UInt64 = 1
    var effects: [NodeEffect] = []
    /// Where the operator believes the leader to be.
    var believedLeader = 0
    /// The write that has to be committed everywhere for the run to end.
    var lastWrite: LogPosition?
    let isTraced: Bool
    var trace: [String] = []

    package init(seed: UInt64, rules: SafetyRules = .all, isTraced: Bool = false) {
        self.seed = seed
        self.rules = rules
        self.isTraced = isTraced
        var random = SeededGenerator(seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678)
        let count = [3, 3, 3, 5, 2, 4][random.below(6)]
        var members: [Member] = []
        for index in 0..<count {
            members.append(Member(name: "n\(index)", address: "n\(index)", isVoter: index < 3 || !random.chance(0.3)))
        }
        configuration = ClusterConfiguration(members: members)
        judge = ClusterJudge(quorum: configuration.commitQuorum)
        clients = (0..<3).map { _ in SimulatedClient() }
        cut = Array(repeating: Array(repeating: false, count: count), count: count)
        lossPercent = random.below(4) == 0 ? 0 : random.below(15)
        isStorm = random.chance(0.35)
        isDuel = !isStorm && random.chance(0.25)
        disaster = SimulatedDisaster(count: count)
        self.random = random
        let cluster = ClusterID(high: 1, low: 1)
        for index in 0..<count {
            let machine = SimulatedMachine(
                name: "n\(index)", id: NodeID(name: "n\(index)"), disk: SimulatedDisk(clusterID: index == 0 ? cluster : .none))
            if index == 0 { machine.disk.promise.standing = .founder }
            machines.append(machine)
        }
    }

    /// Plays one seed to its end.
    package static func run(seed: UInt64, rules: SafetyRules = .all, isTraced: Bool = false) -> Report {
        let simulation = ClusterSimulation(seed: seed, rules: rules, isTraced: isTraced)
        simulation.play()
        return simulation.report
    }

    /// Plays a failing seed again and tells its last steps.
    package static func story(seed: UInt64, rules: SafetyRules = .all, lineCount: Int = 120) -> String {
        let simulation = ClusterSimulation(seed: seed, rules: rules, isTraced: true)
        simulation.play()
        return (simulation.trace.suffix(lineCount) + simulation.report.violations.prefix(3)).joined(separator: "\n")
    }

    private func play() {
        report.seedCount = 1
        for index in machines.indices {
            machines[index].clockOffset = UInt64(random.below(1_000_000))
            start(index, follow: index == 0 ? nil : upstreamOf(index))
        }
        schedule.add(.client, at: 50_000)
        schedule.add(.trouble, at: 100_000)
        schedule.add(.operate, at: 200_000)
        // Drawn apart: the other seeds keep the games that they had before there were disasters.
        var fate = SeededGenerator(seed: ~seed)
        if !isDuel && fate.chance(0.1) { schedule.add(.disaster, at: 400_000 + UInt64(fate.below(2_000_000))) }
        while let (time, what) = schedule.next() {
            now = max(now, time)
            if !isHealed && now >= ClusterSimulation.healAt { heal() }
            report.stepCount += 1
            happen(what)
            if !judge.violations.isEmpty { break }
            if isHealed {
                if hasConverged { break }
                if now > ClusterSimulation.healAt + ClusterSimulation.patience {
                    judge.violate("no rest after healing: \(machines.map(describe).joined(separator: "; "))")
                    break
                }
            }
        }
        report.committedCount = Int(judge.committedLSN)
        report.burntCount = judge.burntCount
        report.violations = judge.violations.map { "seed \(seed): \($0)" }
    }

    /// Mostly the believed leader; sometimes another follower, so that chains come up.
    func upstreamOf(_ index: Int) -> String {
        if random.chance(0.2) {
            let other = random.below(machines.count)
            if other != index { return machines[other].name }
        }
        return machines[believedLeader == index ? (index + 1) % machines.count : believedLeader].name
    }

    private func happen(_ what: SimulatedHappening) {
        switch what {
        case .tick(let index, let life):
            guard machines[index].life == life, machines[index].core != nil else { return }
            deliver(.tick, to: index)
            scheduleTick(index)
        case .event(let index, let life, let event):
            guard machines[index].life == life else { return }
            deliver(event, to: index)
        case .work(let index, let life, let work):
            guard machines[index].life == life else { return }
            carryOut(work, on: index)
        case .datagram(let from, let to, let message): receive(message, from: from, to: to)
        case .connect(let index, let life, let session, let target): connect(index, life, session, to: target)
        case .frame(let connection, let toServer, let frame): receive(frame, on: connection, toServer: toServer)
        case .hangUp(let connection, let toServer): hangUp(connection, toServer: toServer)
        case .client: stepClients()
        case .write(let admitted, let life):
            guard machines[admitted.node].life == life else { return }
            execute(admitted)
        case .trouble: makeTrouble()
        case .operate: operate()
        case .disaster: strike()
        case .restart(let index): if machines[index].core == nil && !disaster.isHeld[index] { restart(index) }
        }
    }

    // MARK: - Life and death

    func start(_ index: Int, follow: String?) {
        var setup = NodeSetup(
            name: machines[index].name, address: machines[index].name, configuration: configuration,
            options: options, follow: follow)
        setup.rules = rules
        machines[index].life += 1
        machines[index].connections = [:]
        machines[index].isSyncing = false
        machines[index].queueBusyUntil = now
        machines[index].generation = 0
        machines[index].retainFrom = .max
        machines[index].gate = .closed(leader: nil, address: nil, epoch: 0)
        machines[index].isSealed = true
        machines[index].leaderships = LeadershipLedger()
        machines[index].committed = 0
        machines[index].core = ReplicaNode(setup, machines[index].disk.state, now: clock(index))
        note("\(machines[index].name) starts, follows \(follow ?? "nobody")")
        effects.removeAll(keepingCapacity: true)
        machines[index].core!.start(now: clock(index), into: &effects)
        perform(index)
        scheduleTick(index)
    }

    func crash(_ index: Int) {
        guard let core = machines[index].core else { return }
        report.crashCount += 1
        note("\(machines[index].name) crashes")
        machines[index].core = nil
        machines[index].life += 1
        if random.chance(0.5) { machines[index].disk.commitHint = core.log.commitHint }
        // The file of slots is written now and then: this one and an older one are as good as each other.
        machines[index].disk.slots = core.keptSlots(now: clock(index))
        // What was not synced survives by chance, from the front.
        let disk = machines[index].disk
        let unsynced = Int(disk.end - disk.synced)
        let kept = disk.synced + LSN(unsynced == 0 ? 0 : random.below(unsynced + 1))
        machines[index].disk.cut(to: kept)
        let before = disk.synced
        machines[index].disk.synced = kept
        judge.synced(machines[index].disk, from: before, on: index, now: now)
        report.unknownCount += machines[index].waiting.count
        machines[index].waiting = []
        for connection in connections.indices {
            if connections[connection].client == index && connections[connection].clientOpen {
                connections[connection].clientOpen = false
                if connections[connection].serverOpen {
                    schedule.add(.hangUp(connection: connection, toServer: true), at: now + latency())
                }
            }
            if connections[connection].server == index && connections[connection].serverOpen {
                connections[connection].serverOpen = false
                if connections[connection].clientOpen {
                    schedule.add(.hangUp(connection: connection, toServer: false), at: now + latency())
                }
            }
        }
    }

    func restart(_ index: Int) {
        // A node that led comes up to lead again; others follow whom their file names, which may be out of date.
        let follow = believedLeader == index || random.chance(0.15) ? nil : upstreamOf(index)
        start(index, follow: follow)
    }

    private func heal() {
        isHealed = true
        note("healed")
        lossPercent = 0
        for a in cut.indices { for b in cut.indices { cut[a][b] = false } }
        for index in machines.indices where machines[index].core == nil && !disaster.isHeld[index] { restart(index) }
    }

    /// Everybody has what the leader has, and a write of the time after healing is committed everywhere.
    private var hasConverged: Bool {
        guard let leader = machines.firstIndex(where: { $0.core?.role == .leader && isOpen($0.gate) }), let lastWrite else {
            return false
        }
        let end = machines[leader].disk.end
        guard lastWrite.epoch == machines[leader].core!.promise.epoch, machines[leader].core!.log.committed >= lastWrite.lsn
        else { return false }
        return machines.allSatisfy {
            $0.core != nil && $0.disk.end == end && $0.disk.synced == end && $0.disk.log.last == machines[leader].disk.log.last
                && $0.core!.log.committed >= lastWrite.lsn && ($0.core!.role == .leader) == ($0.id == machines[leader].id)
        }
    }

    func isOpen(_ gate: WriteGate) -> Bool { if case .open = gate { true } else { false } }

    func clock(_ index: Int) -> Microseconds { now + machines[index].clockOffset }

    func latency() -> Microseconds { 50 + UInt64(random.below(random.chance(0.02) ? 60_000 : 900)) }

    // MARK: - Driving the core

    func deliver(_ event: NodeEvent, to index: Int) {
        guard machines[index].core != nil else { return }
        if isTraced { note("\(machines[index].name) <- \(ClusterSimulation.brief(event))") }
        effects.removeAll(keepingCapacity: true)
        machines[index].core!.handle(event, now: clock(index), into: &effects)
        perform(index)
        settleWrites(of: index)
    }

    private func scheduleTick(_ index: Int) {
        guard let core = machines[index].core else { return }
        let due = core.nextDeadline - min(core.nextDeadline, clock(index))
        schedule.add(.tick(index, life: machines[index].life), at: now + max(1_000, due) + UInt64(random.below(3_000)))
    }

    /// Small times, so that a run of virtual seconds sees every timeout; in a duel also small windows, so that a turn ends in mid-catch-up.
    private var options: ReplicationOptions {
        var options = ReplicationOptions()
        options.heartbeatInterval = 60_000
        options.deadAfter = 300_000
        options.stuckAfter = 600_000
        options.reconnectDelay = 20_000
        options.askTimeout = 100_000
        options.fenceTimeout = 250_000
        options.fenceRetry = 30_000
        options.windowByteCount = isDuel ? 200 : 1_000
        options.shipByteCountMax = isDuel ? 200 : 800
        options.slotByteCountMax = 4_000
        return options
    }

    // MARK: - Telling

    func note(_ text: @autoclosure () -> String) {
        guard isTraced else { return }
        trace.append("\(now) \(text())")
        if trace.count > 40_000 { trace.removeFirst(20_000) }
    }

    static func brief(_ event: Any) -> String {
        String(String(describing: event).replacing("NexaReplication.", with: "").replacing("NexaStorage.", with: "").prefix(260))
    }

    private func describe(_ machine: SimulatedMachine) -> String {
        guard let core = machine.core else { return "\(machine.name) down" }
        return
            "\(machine.name) \(core.role.rawValue) promised \(core.promise.epoch) end \(machine.disk.epoch(at: machine.disk.end)):\(machine.disk.end) synced \(machine.disk.synced) committed \(core.log.committed) \(core.situation)"
    }
}
