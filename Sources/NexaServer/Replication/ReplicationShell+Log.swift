// What the core wants done to the log, to its promises and to writes: work for the log's thread, in the order of the effects, and the news
// that come back.

import Logging
import NIOCore
import NexaReplication
import NexaStorage

extension ReplicationShell {
    // MARK: The log

    func beginEpoch(_ epoch: Epoch) {
        let engine = engine
        let name = Array(node.setup.name.utf8.prefix(EpochStartRecord.nodeIDByteCountMax))
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        worker.submit(
            .call {
                let event: NodeEvent
                do {
                    let lsn = try engine.beginEpoch(epoch, nodeID: name)
                    event = .epochStartAppended(epoch, lsn: lsn, chain: try engine.chain(at: lsn) ?? 0)
                } catch {
                    event = .logFailed(reason: "epoch \(epoch) cannot begin: \(error)")
                }
                eventLoop.execute {
                    bound.value.handle(event)
                    bound.value.logMoved()
                }
            })
        loggedByteCount = engine.loggedByteCount
    }

    /// No local commit any more; `event` gets where the log ends.
    func sealWrites(_ event: @escaping @Sendable (LSN, UInt64) -> NodeEvent) {
        let engine = engine
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        worker.submit(
            .call {
                let news: NodeEvent
                do {
                    try engine.follow()
                    let point = engine.durablePoint
                    news = event(point.lsn, point.chain)
                } catch {
                    news = .logFailed(reason: "the log cannot be sealed: \(error)")
                }
                eventLoop.execute {
                    bound.value.logMoved()
                    bound.value.handle(news)
                }
            })
    }

    /// Whom to ask first after a restart of this node.
    var upstreamForRestart: String? { node.leader?.address }

    /// Slots are known only when their followers come: until all members are here, or have had their time, nothing is given up.
    func retain(_ lsn: LSN) {
        if lsn == .max {
            engine.dropRetention(RetentionNames.slots)
        } else {
            engine.setRetention(RetentionNames.slots, oldestNeededLSN: lsn)
        }
    }

    func releaseStartFloor() {
        guard holdsStartFloor else { return }
        let streaming = connections.values.count { $0.side == .downstream && $0.isFollower }
        guard streaming + 1 >= max(2, node.setup.configuration.members.count) || Self.now() > startedAt + Self.startFloorLifetime
        else { return }
        holdsStartFloor = false
        engine.dropRetention(RetentionNames.start)
    }

    /// Longer than any follower takes to come back after a restart of its upstream.
    private static let startFloorLifetime: Microseconds = 600_000_000

    private var coordinationState: CoordinationState {
        var state = CoordinationState()
        state.promise = promise
        state.clusterID = clusterID
        state.committed = node.log.commitHint
        return state
    }

    /// How often the commit point is written down; it only has to lag little, never to run ahead.
    private static let commitHintInterval: Microseconds = 5_000_000

    /// Keeps the commit point over a crash, as far as it goes: below it nothing is ever cut.
    func keepCommitHint() {
        guard Self.now() - hintedAt > Self.commitHintInterval, node.log.committed > hintedLSN else { return }
        hintedAt = Self.now()
        hintedLSN = node.log.committed
        let (state, directory, fileSystem) = (coordinationState, directory, fileSystem)
        worker.submit(.call { try? CoordinationFile.store(state, directory: directory, fileSystem: fileSystem) })
    }

    func persist(_ promise: Promise, _ cluster: ClusterID) {
        self.promise = promise
        if cluster != .none { clusterID = cluster }
        promisesUnderWay += 1
        let state = coordinationState
        let (directory, fileSystem) = (directory, fileSystem)
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        worker.submit(
            .call { [state] in
                let news: NodeEvent
                do {
                    try CoordinationFile.store(state, directory: directory, fileSystem: fileSystem)
                    news = .promisePersisted(promise)
                } catch {
                    news = .logFailed(reason: "a promise cannot be written: \(error)")
                }
                eventLoop.execute { bound.value.promiseWritten(news) }
            })
    }

    func promiseWritten(_ news: NodeEvent) {
        promisesUnderWay -= 1
        handle(news)
        for connection in connections.values where connection.side == .upstream { connection.readOn() }
    }

    // MARK: Requests

    func setGate(_ state: WriteGate) {
        gateChangeCount += 1
        switch state {
        case .open(let epoch): open(epoch)
        case .parked:
            handedOverAt = nil
            gate.park()
            sealWrites { end, _ in .writesParked(end: end) }
        case .closed(let leader, let address, let epoch):
            let known = leader == node.setup.id ? nil : address
            var keepsParked = gate.isParked && known == nil && node.role != .failed
            if keepsParked {
                handedOverAt = handedOverAt ?? Self.now()
                keepsParked = Self.now() - handedOverAt! < Self.handoverGrace
            }
            gate.close(leader: known, epoch: epoch, keepsParked: keepsParked)
            // Won, and lost before writes were taken. A candidate's promotion is under way.
            if node.role != .candidate { refusePromotions("its leadership ended before it began") }
            if keepsParked { releaseLater() }
            publishHistory()
            wakeLoops()
        }
    }

    /// What waits for a hand-over learns who leads next, or after a while that nobody knows.
    private func releaseLater() {
        let (bound, change) = (NIOLoopBound(self, eventLoop: eventLoop), gateChangeCount)
        eventLoop.scheduleTask(in: .microseconds(Int64(Self.handoverGrace))) {
            let shell = bound.value
            guard shell.gateChangeCount == change, !shell.isStopped else { return }
            shell.gate.close(leader: nil, epoch: shell.node.promise.epoch, keepsParked: false)
            shell.wakeLoops()
        }
    }

    private static let handoverGrace: Microseconds = 8_000_000

    /// Opens for writes behind whatever the log's thread still has to do, unless the gate has changed again by then.
    func open(_ epoch: Epoch) {
        let engine = engine
        let (eventLoop, bound, change) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop), gateChangeCount)
        worker.submit(
            .call {
                engine.resumeLeading()
                eventLoop.execute {
                    guard bound.value.gateChangeCount == change else { return }
                    bound.value.gate.open(epoch, address: bound.value.node.setup.address)
                    bound.value.opened(epoch)
                    bound.value.wakeLoops()
                }
            })
    }

    /// Writes are held up while the followers that a commit needs lag, and refused while they are too far behind.
    func setFlow(_ verdict: FlowVerdict) {
        let stage = gate.flowStage
        gate.setFlow(verdict)
        if gate.flowStage != stage { logger.notice("flow control", metadata: ["verdict": "\(verdict)"]) }
    }
}
