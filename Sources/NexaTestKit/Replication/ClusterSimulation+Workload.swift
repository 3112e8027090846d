// What the world does to the cluster: clients, nemesis, operator.

import NexaReplication
import NexaStorage

/// A client that remembers what it saw.
struct SimulatedClient: Sendable {
    /// Writes that found the gate open.
    struct Admitted: Sendable {
        var client: Int
        var node: Int
        var leadership: UInt64
        var count: Int
    }

    /// A write that is in the log and not answered yet.
    struct Write: Sendable {
        var client: Int
        var position: LogPosition
        var concern: WriteConcern
        var leadership: UInt64
        var deadline: Microseconds
    }

    /// The newest position that an answer gave.
    var token: LogPosition?
}

extension ClusterSimulation {
    // MARK: - Clients

    func stepClients() {
        schedule.add(.client, at: now + UInt64(random.below(isHealed ? 60_000 : 30_000)))
        let client = random.below(clients.count)
        if random.chance(0.6) || isHealed { write(client) }
        if random.chance(0.5) { read(client) }
        if random.chance(0.15) { askReadIndex() }
    }

    private func write(_ client: Int) {
        // Anybody who believes to lead takes writes: there may be two of them.
        let leaders = machines.indices.filter { isOpen(machines[$0].gate) && machines[$0].core != nil }
        guard !leaders.isEmpty else { return }
        let index = leaders[random.below(leaders.count)]
        let admitted = SimulatedClient.Admitted(
            client: client, node: index, leadership: machines[index].leaderships.current, count: 1 + random.below(4))
        guard random.chance(0.3) else { return execute(admitted) }
        // The gate may close on a write that is on its way through it.
        let delay = UInt64(random.below(random.chance(0.2) ? 20_000 : 500))
        schedule.add(.write(admitted, life: machines[index].life), at: now + delay)
    }

    func execute(_ admitted: SimulatedClient.Admitted) {
        let index = admitted.node
        for _ in 0..<admitted.count {
            guard let position = commit(on: index) else { return }
            report.writeCount += 1
            if isHealed { lastWrite = position }
            let disk = machines[index].disk
            if random.chance(0.7) {
                deliver(.appended(end: disk.end, byteCount: disk.end * SimulatedDisk.recordByteCount), to: index)
            }
            let concern: WriteConcern = random.chance(0.6) ? .majority : .nodes(1 + random.below(3))
            machines[index].waiting.append(
                SimulatedClient.Write(
                    client: admitted.client, position: position, concern: concern, leadership: admitted.leadership,
                    deadline: clock(index) + UInt64(random.below(400_000))))
        }
    }

    /// Answers the writes of which the machine knows what has become of them, as its connections would.
    func settleWrites(of index: Int) {
        guard !machines[index].waiting.isEmpty, machines[index].core != nil else { return }
        let now = clock(index)
        var onNodes: [LSN?] = [nil, nil, nil, nil]
        let waiting = machines[index].waiting
        machines[index].waiting.removeAll(keepingCapacity: true)
        for write in waiting {
            let reached: LSN
            switch write.concern {
            case .majority: reached = machines[index].committed
            case .nodes(let count):
                onNodes[count] = onNodes[count] ?? machines[index].core!.durable(onNodes: count)
                reached = onNodes[count]!
            }
            let leaderships = machines[index].leaderships
            let current = rules.contains(.acknowledgesWithinLeadership) ? leaderships.current : write.leadership
            let verdict = Acknowledgement(
                of: write.position.lsn, in: write.leadership, for: write.concern, reached: reached, current: current,
                atEnd: leaderships.committed(in:))
            switch verdict {
            case .acknowledged: acknowledge(write, on: index)
            case .unknown: report.unknownCount += 1
            case .wait where now >= write.deadline: report.unknownCount += 1
            case .wait: machines[index].waiting.append(write)
            }
        }
    }

    private func acknowledge(_ write: SimulatedClient.Write, on index: Int) {
        report.acknowledgedCount += 1
        if write.concern == .majority { judge.acknowledgedByMajority(write.position) }
        if machines[index].disk.synced < write.position.lsn {
            judge.violate("\(write.position) was acknowledged before it was on a disk")
        }
        let token = clients[write.client].token
        if token == nil || write.position.lsn > token!.lsn { clients[write.client].token = write.position }
    }

    private func read(_ client: Int) {
        let index = random.below(machines.count)
        guard let core = machines[index].core, core.role != .failed else { return }
        report.readCount += 1
        let disk = machines[index].disk
        // The engine's view: what is applied and synced, which the core may not have heard of yet.
        let visible = min(core.log.applied, disk.synced)
        let committedOnly = random.chance(0.5)
        let token = clients[client].token
        let request = ReadRequest(concern: committedOnly ? .committed : .local, after: token)
        if let staleness = core.staleness(now: clock(index)), core.role == .follower, core.log.verifiedEpoch > 0 {
            let age = min(clock(index), staleness)
            if now > age { judge.claimsFreshness(core.log.verifiedEpoch, moment: now - age, visible: visible, on: index) }
        }
        switch ReadGate.decide(request, core.readView(visible: visible, now: clock(index))) {
        case .read(let position):
            judge.read(position, after: token, committedOnly: committedOnly, disk, on: index)
            clients[client].token = position
        case .tokenLost:
            report.lostTokenCount += 1
            judge.saidLost(token!, on: index)
            clients[client].token = nil
        case .wait, .stale: break
        }
    }

    private func askReadIndex() {
        let index = random.below(machines.count)
        guard let core = machines[index].core else { return }
        let id = WaiterID(nextWaiter)
        nextWaiter += 1
        pendingReads[id] = judge.committedLSN
        let visible = min(core.log.applied, machines[index].disk.synced)
        deliver(.awaitReadIndex(id, visible: visible, deadline: clock(index) + 200_000), to: index)
    }

    func completeRead(_ id: WaiterID, _ outcome: ReadIndexOutcome, on index: Int) {
        guard let committed = pendingReads.removeValue(forKey: id) else { return judge.violate("a read was answered twice") }
        guard case .read(let lsn) = outcome else { return }
        if lsn < committed {
            judge.violate("n\(index) would answer a linearizable read at \(lsn); \(committed) was committed before it asked")
        }
    }

    // MARK: - Trouble

    func makeTrouble() {
        guard !isHealed else { return }
        schedule.add(.trouble, at: now + UInt64(random.below(200_000)))
        let index = random.below(machines.count)
        switch random.below(isDuel ? 3 : 10) {
        case 0, 1:
            crash(index)
            schedule.add(.restart(index), at: now + UInt64(random.below(400_000)))
        case 2:
            // The log is given up as far as the core allows it, and the manifest with it.
            recycle(index)
        case 3, 4:
            let other = random.below(machines.count)
            guard other != index else { return }
            note("cut n\(index) -> n\(other)")
            cut[index][other] = true
            if random.chance(0.5) { cut[other][index] = true }
        case 5, 6:
            note("cuts heal")
            for a in cut.indices { for b in cut.indices where random.chance(0.7) { cut[a][b] = false } }
        case 7:
            for other in machines.indices where other != index {
                cut[index][other] = true
                if random.chance(0.7) { cut[other][index] = true }
            }
            note("isolate n\(index)")
        case 8: if !connections.isEmpty { breakConnection(connections.count - 1 - random.below(min(6, connections.count))) }
        default: lossPercent = random.below(30)
        }
    }

    private func recycle(_ index: Int) {
        guard machines[index].core != nil else { return }
        let limit = min(machines[index].retainFrom, machines[index].disk.synced + 1)
        guard limit > machines[index].disk.oldest else { return }
        let span = Int(limit - machines[index].disk.oldest)
        machines[index].disk.oldest += LSN(random.below(span + 1))
        note("\(machines[index].name) recycles its log up to \(machines[index].disk.oldest)")
        deliver(.logRetained(oldest: machines[index].disk.oldest), to: index)
    }

    // MARK: - The operator

    /// Promotes and switches over, sensibly or not; after healing, sensibly.
    func operate() {
        if disaster.stage == .burning { return recover() }
        if isDuel && !isHealed { return duel() }
        schedule.add(.operate, at: now + (isHealed ? 300_000 : UInt64(random.below(isStorm ? 200_000 : 600_000))))
        let open = machines.indices.filter { isOpen(machines[$0].gate) && machines[$0].core?.role == .leader }
        if isHealed {
            guard open.isEmpty else { return }
            // Who led before stands up again and again by itself; that is no hindrance.
            guard !machines.contains(where: { $0.core.map { $0.role == .candidate && !$0.standsUpByItself } == true }) else {
                return
            }
            promoteBest()
            return
        }
        if isStorm && random.chance(0.6) {
            deliver(.promote(.none), to: random.below(min(3, machines.count)))
            return
        }
        switch random.below(4) {
        case 0: deliver(.promote(.none), to: random.below(machines.count))
        case 1, 2: if open.isEmpty { promoteBest() }
        default:
            guard let leader = open.first else { return }
            report.switchoverCount += 1
            let target = machines[random.below(machines.count)].id
            deliver(.switchover(target: target, timeout: 200_000), to: leader)
        }
    }

    /// One of the first two nodes leads with as few others as it needs, until the next turn.
    private func duel() {
        schedule.add(.operate, at: now + 4_000 + UInt64(random.below(random.chance(0.5) ? 30_000 : 150_000)))
        let leader = random.below(2)
        guard machines[leader].core != nil else { return }
        for a in cut.indices { for b in cut.indices { cut[a][b] = true } }
        var helpers = machines.indices.filter { $0 != leader && configuration.isVoter(machines[$0].id) }
        while helpers.count > configuration.fenceQuorum - 1 { helpers.remove(at: random.below(helpers.count)) }
        for helper in helpers {
            cut[leader][helper] = false
            cut[helper][leader] = false
        }
        note("a turn of n\(leader) with \(helpers)")
        deliver(.promote(.none), to: leader)
    }

    /// The member with the newest position, as `nexadb cluster status` shows it. Where too many of the others burnt and have not caught up,
    /// it is forced, as on the day when they burnt.
    private func promoteBest() {
        let members = machines.indices.filter {
            configuration.isVoter(machines[$0].id) && machines[$0].core.map { $0.promise.standing != .newcomer } == true
        }
        let up = members.filter { machines[$0].core.map { $0.role == .follower || $0.standsUpByItself } == true }
        let isForced = disaster.stage == .over && isHealed && members.count < configuration.fenceQuorum
        guard let best = up.max(by: { machines[$0].core!.log.durablePosition < machines[$1].core!.log.durablePosition }) else {
            return
        }
        note("the operator \(isForced ? "forces" : "promotes") n\(best)")
        deliver(.promote(isForced ? .acceptLoss : .none), to: best)
    }
}
