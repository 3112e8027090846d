// The shells: effects of a core become work of its disk, frames on its connections, and answers to clients.

import NexaReplication
import NexaStorage

extension ClusterSimulation {
    /// Carries out what the core of `index` asked for, in order.
    func perform(_ index: Int) {
        let wanted = effects
        for effect in wanted { perform(effect, on: index) }
        guard let core = machines[index].core else { return }
        if core.log.durable > machines[index].disk.synced && rules.contains(.acknowledgesOnlyDurable) {
            judge.violate("n\(index) takes LSN \(core.log.durable) for durable; its disk has \(machines[index].disk.synced)")
        }
    }

    private func perform(_ effect: NodeEffect, on index: Int) {
        if isTraced { note("\(machines[index].name) -> \(ClusterSimulation.brief(effect))") }
        let life = machines[index].life
        switch effect {
        case .append(_, let first, let last): append(first, last, on: index)
        case .truncate(let lsn, let generation): queue(.truncate(to: lsn, generation: generation), on: index)
        case .installSnapshot(let session, let generation):
            queue(.install(session, generation: generation), on: index, slowly: true)
        case .appendEpochStart(let epoch): queue(.epochStart(epoch), on: index)
        case .sealWrites: queue(.seal, on: index)
        case .persistPromise(let promise, let cluster):
            queue(.promise(promise, cluster, committed: machines[index].core!.log.commitHint), on: index)
        case .retain(let lsn): machines[index].retainFrom = lsn
        case .readChain(let question, let lsn): queue(.chain(question, lsn), on: index)
        case .connectUpstream(let session, let address):
            let target = machines.firstIndex { $0.name == address }
            schedule.add(.connect(index, life: life, session, target: target), at: now + latency())
        case .send(let session, let message): send(.message(message), from: index, session)
        case .ship(let session, let order): ship(order, session, from: index)
        case .close(let session, let reason): close(session, reason, on: index)
        case .sendPeer(let peer, let message): sendDatagram(message, from: index, to: peer)
        case .gate(let gate): setGate(gate, of: index)
        case .completeReadIndex(let id, let outcome): completeRead(id, outcome, on: index)
        case .committed(let lsn):
            machines[index].committed = lsn
            if machines[index].core!.role == .leader {
                judge.committed(lsn, by: machines[index].core!.promise.epoch, machines, leader: index)
            } else {
                judge.learnedCommitted(lsn, machines[index].disk, on: index)
            }
        case .promoted:
            report.promotionCount += 1
            believedLeader = index
            disasterEnds(index)
        case .promotionFailed: disasterGoesOn(index)
        case .coordinate(let request):
            guard let answer = StaticCoordination(configuration: configuration).answer(request) else { return }
            schedule.add(.event(index, life: life, .coordination(answer)), at: now + UInt64(random.below(2_000)))
        case .alarm(let alarm):
            switch alarm {
            case .slotLost, .logFailed: break
            default: judge.violate("n\(index) raises an alarm: \(ClusterSimulation.brief(alarm))")
            }
        case .flow, .switchoverProgress, .slots, .note: break
        }
    }

    private func setGate(_ gate: WriteGate, of index: Int) {
        machines[index].gate = gate
        switch gate {
        case .open(let epoch):
            machines[index].isSealed = false
            machines[index].openEpoch = epoch
        case .parked: queue(.park, on: index)
        case .closed: machines[index].leaderships.end(committed: machines[index].committed)
        }
    }

    // MARK: - The log

    /// Puts work behind what the log queue has to do already.
    func queue(_ work: SimulatedWork, on index: Int, slowly: Bool = false) {
        let duration = UInt64(random.below(slowly ? 100_000 : random.chance(0.02) ? 40_000 : 800))
        let time = max(machines[index].queueBusyUntil, now) + duration
        machines[index].queueBusyUntil = time
        schedule.add(.work(index, life: machines[index].life, work), at: time)
    }

    private func append(_ first: LSN, _ last: LSN, on index: Int) {
        let before = machines[index].disk.end
        if first != before + 1 { return judge.violate("n\(index) appends LSN \(first) behind LSN \(before)") }
        for record in machines[index].arriving {
            machines[index].disk.append(epoch: record.epoch, hash: record.hash, beginsEpoch: record.beginsEpoch)
            let lsn = machines[index].disk.end
            judge.appended(machines[index].disk.log[Int(lsn) - 1], at: lsn, on: index, byLeader: false)
        }
        if machines[index].disk.end != last {
            judge.violate("n\(index) was to append up to \(last) and has \(machines[index].disk.end)")
        }
        machines[index].arriving = []
        sync(index)
        queue(.apply(upTo: last, generation: machines[index].generation), on: index)
    }

    /// A group sync begins unless one is under way: it will cover what was appended when it began.
    func sync(_ index: Int) {
        guard !machines[index].isSyncing, machines[index].disk.end > machines[index].disk.synced else { return }
        machines[index].isSyncing = true
        let work = SimulatedWork.sync(upTo: machines[index].disk.end, generation: machines[index].generation)
        let duration = 100 + UInt64(random.below(random.chance(0.03) ? 50_000 : 1_500))
        schedule.add(.work(index, life: machines[index].life, work), at: now + duration)
    }

    func carryOut(_ work: SimulatedWork, on index: Int) {
        guard machines[index].core != nil else { return }
        switch work {
        case .sync(let lsn, let generation):
            machines[index].isSyncing = false
            if generation == machines[index].generation {
                let before = machines[index].disk.synced
                machines[index].disk.synced = max(before, lsn)
                judge.synced(machines[index].disk, from: before, on: index, now: now)
            }
            // Also the news of a log that was cut meanwhile: the core has to tell them apart.
            deliver(.durable(lsn, generation: generation), to: index)
            sync(index)
        case .apply(let lsn, let generation): deliver(.applied(lsn, generation: generation), to: index)
        case .promise(let promise, let cluster, let committed):
            machines[index].disk.promise = promise
            machines[index].disk.commitHint = committed
            machines[index].disk.clusterID = cluster
            deliver(.promisePersisted(promise), to: index)
        case .truncate(let lsn, let generation):
            report.truncationCount += 1
            judge.cut(machines[index].disk, to: lsn, on: index)
            machines[index].disk.cut(to: lsn)
            machines[index].disk.synced = lsn
            machines[index].generation = generation
            machines[index].isSyncing = false
            deliver(
                .truncated(end: lsn, chain: machines[index].disk.chain(at: lsn)!, generation: generation), to: index)
        case .epochStart(let epoch): appendEpochStart(epoch, on: index)
        case .seal:
            machines[index].isSealed = true
            let disk = machines[index].disk
            deliver(.writesSealed(end: disk.end, chain: disk.chain(at: disk.end)!), to: index)
        case .park:
            machines[index].isSealed = true
            deliver(.writesParked(end: machines[index].disk.end), to: index)
        case .install(let session, let generation): install(session, generation, on: index)
        case .chain(let question, let lsn):
            deliver(.chainRead(question, lsn: lsn, chain: machines[index].disk.chain(at: lsn)), to: index)
        }
    }

    private func appendEpochStart(_ epoch: Epoch, on index: Int) {
        machines[index].disk.append(epoch: epoch, hash: random.next(), beginsEpoch: true)
        let disk = machines[index].disk
        if isForced(index) { judge.burned(what: machines.map(\.disk), leader: disk) }
        judge.beganToLead(epoch, disk, on: index)
        judge.appended(disk.log[disk.log.count - 1], at: disk.end, on: index, byLeader: true)
        deliver(.epochStartAppended(epoch, lsn: disk.end, chain: disk.chain(at: disk.end)!), to: index)
        sync(index)
        queue(.apply(upTo: disk.end, generation: machines[index].generation), on: index)
    }

    /// A local commit of a leader, or of one that has not sealed its log yet.
    func commit(on index: Int) -> LogPosition? {
        guard !machines[index].isSealed, machines[index].core != nil else { return nil }
        let epoch = machines[index].openEpoch
        machines[index].disk.append(epoch: epoch, hash: random.next(), beginsEpoch: false)
        let disk = machines[index].disk
        judge.appended(disk.log[disk.log.count - 1], at: disk.end, on: index, byLeader: true)
        sync(index)
        queue(.apply(upTo: disk.end, generation: machines[index].generation), on: index)
        return LogPosition(epoch: epoch, lsn: disk.end)
    }

    private func install(_ session: SessionID, _ generation: UInt64, on index: Int) {
        guard let number = machines[index].connections[session], connections[number].clientOpen, connections[number].serverOpen,
            machines[connections[number].server].core != nil, !isCut(connections[number].server, index), !random.chance(0.1)
        else {
            return deliver(.snapshotFailed(session, reason: "the connection broke"), to: index)
        }
        let source = machines[connections[number].server].disk
        report.snapshotCount += 1
        judge.cut(machines[index].disk, to: commonEnd(machines[index].disk, source), on: index)
        machines[index].disk.log = Array(source.log.prefix(Int(source.synced)))
        machines[index].disk.synced = source.synced
        machines[index].disk.oldest = source.synced + 1
        machines[index].disk.clusterID = source.clusterID
        machines[index].generation = generation
        machines[index].isSyncing = false
        let disk = machines[index].disk
        deliver(
            .snapshotInstalled(
                session, clusterID: disk.clusterID, history: disk.history, end: disk.end, chain: disk.chain(at: disk.end)!,
                generation: generation), to: index)
    }

    private func commonEnd(_ a: SimulatedDisk, _ b: SimulatedDisk) -> LSN {
        var lsn = min(a.end, b.synced)
        while lsn > 0, a.log[Int(lsn) - 1].chain != b.log[Int(lsn) - 1].chain { lsn -= 1 }
        return lsn
    }

    // MARK: - Shipping

    private func ship(_ order: ShipOrder, _ session: SessionID, from index: Int) {
        let disk = machines[index].disk
        let life = machines[index].life
        guard order.first >= disk.oldest else {
            schedule.add(.event(index, life: life, .shipGone(session, oldest: disk.oldest)), at: now + 10)
            return
        }
        let countMax = max(1, order.byteCountMax / Int(SimulatedDisk.recordByteCount))
        var next = order.first
        var sent = 0
        while next <= min(order.limit, disk.end), sent < countMax {
            let epoch = disk.epoch(at: next)
            var last = next
            let room = min(countMax - sent, 1 + random.below(6))
            while last < min(order.limit, disk.end), Int(last - next) + 1 < room, disk.epoch(at: last + 1) == epoch { last += 1 }
            let records = Array(disk.log[Int(next) - 1..<Int(last)])
            let header = BatchHeader(
                stamp: order.stamp, recordEpoch: epoch, first: next, last: last, previousChain: disk.chain(at: next - 1) ?? 0)
            sent += records.count
            next = last + 1
            // A shell with a hole in it: the stream goes on behind a batch that was never sent. Rare, and always to be noticed.
            if !isHealed && random.chance(0.002) { continue }
            send(.batch(header, records), from: index, session)
        }
        schedule.add(
            .event(index, life: life, .shipped(session, last: next - 1, byteCount: UInt64(sent) * SimulatedDisk.recordByteCount)),
            at: now + UInt64(random.below(300)))
    }

    /// A batch on its way into the core: verified as a shell would.
    func arrive(_ header: BatchHeader, _ records: [SimulatedRecord], _ session: SessionID, on index: Int) {
        var chain = header.previousChain
        for record in records { chain = LogChain.advanced(chain, by: record.hash) }
        machines[index].arriving = records
        deliver(
            .batch(
                session,
                BatchArrival(
                    header: header, lastChain: chain, byteCount: UInt64(records.count) * SimulatedDisk.recordByteCount,
                    beginsEpoch: records[0].beginsEpoch)), to: index)
    }
}
