// The shell around the replication core: it turns sockets, disk and clock into events, and carries effects out. It decides nothing.
//
//     connections ─┐                         ┌─► connections (frames, batches from the log)
//     log, clock  ─┼─► events ─► ReplicaNode ─► effects ─┼─► LogWorker (append, promise, epoch) ─► events
//     requests    ─┘                         └─► ReplicationGate (writes open or closed, committed)
//
// Confined to the replication loop, a thread of its own. Events are taken one after the other; an effect that gives an event at once
// queues it behind, so effects of two events never mix. Reading the log to ship it happens here: the window bounds how much at a time.

import Logging
import NIOCore
import NIOPosix
import NexaDocuments
import NexaReplication
import NexaStorage
import NexaTLS
import NexaWire

final class ReplicationShell {
    let engine: Engine
    let gate: ReplicationGate
    let worker: LogWorker
    let logger: Logger
    let eventLoop: any EventLoop
    let directory: String
    let fileSystem: any FileSystem
    let identity: NodeIdentity
    let counters: ReplicationCounters
    let compression: ReplicationCompression
    let logIn: NodeLogIn?
    let tls: ClientTLS?
    private let ports: [LoopPort]
    private(set) var node: ReplicaNode
    private let coordination: any CoordinationStore
    /// Connections by session; what is not here any more gives no events.
    var connections: [SessionID: ReplicationConnection] = [:]
    var peers: [NodeID: PeerLink] = [:]
    /// Closed, with their last word still on its way.
    var leavingCount = 0
    var tails: [SessionID: LogTail] = [:]
    /// Records of the batch that is being reported.
    var arriving: (records: ByteBuffer, previousChain: UInt64)?
    /// Administrators who wait for a promotion or a switchover to end: as long as there is one, it is under way.
    var waitingForPromotion: [ReplicationConnection] = []
    var waitingForSwitchover: [ReplicationConnection] = []
    var waitingForSlots: [ReplicationConnection] = []
    var waiters = WaiterTable()
    var verifications: [Verification] = []
    /// Where checkpoints are made, read and written: slow work that nothing else waits for.
    let snapshotThread: LogWorker
    let checkpoints: CheckpointShelf
    var waitingForSnapshot: [ReplicationConnection] = []
    /// The connection over which this node takes a snapshot, and the transfer once its manifest is there.
    var pulling: SessionID?
    var pull: SnapshotPull?
    /// How much of what was asked for has not come, and when the last was asked for.
    var snapshotOwed = (count: 0, since: Microseconds(0))
    /// The last manifest's, so that a new connection goes on with it.
    var snapshotID: UInt64?
    /// Called when the log has to be changed while the engine is closed.
    let onRestart: @Sendable (RestartReason) -> Void
    private var events: [NodeEvent] = []
    private var effects: [NodeEffect] = []
    /// An event is being taken; what comes meanwhile waits.
    private(set) var isHandling = false
    private var timer: RepeatedTask?
    /// The role and the promised epoch that STATUS shows.
    private var shownRole: NodeRole?
    private var shownEpoch: Epoch = 0
    private var sessionCount: UInt64 = 0
    private var connectFailureCount = 0
    var loggedByteCount: UInt64 = 0
    private var byteCount: UInt64
    /// Where records are put together to be shipped.
    private(set) var shipBuffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var generation: UInt64 = 0
    let startedAt = ReplicationShell.now()
    var holdsStartFloor = true
    var slotKeeping: SlotKeeping
    var hintedAt: Microseconds = 0
    var hintedLSN: LSN = 0
    var gateChangeCount: UInt64 = 0
    /// When a leadership ended whose writes were parked; nil: none has since they were.
    var handedOverAt: Microseconds?
    private(set) var isStopped = false
    var clusterID: ClusterID
    var promise: Promise
    var promisesUnderWay = 0
    /// A promise is being written: what the upstream sends behind its welcome waits until it is spoken.
    var isPromising: Bool { promisesUnderWay > 0 }

    /// Why a node has to be started again.
    enum RestartReason: Sendable, Equatable {
        /// Cut the log back to `position`, then follow `upstream`.
        case truncate(to: LogPosition, upstream: String?)
        /// A snapshot is ready to be swapped in at the next open.
        case snapshot(upstream: String?)
    }

    init(
        _ setup: NodeSetup, _ state: DurableState, _ parts: ReplicationParts, worker: LogWorker, snapshotThread: LogWorker,
        ports: [LoopPort],
        eventLoop: any EventLoop,
        onRestart: @escaping @Sendable (RestartReason) -> Void
    ) {
        engine = parts.engine
        gate = parts.gate
        logger = parts.logger
        directory = parts.directory
        fileSystem = parts.fileSystem
        identity = parts.identity
        counters = parts.counters
        compression = parts.compression
        logIn = parts.logIn
        tls = parts.tls
        checkpoints = parts.checkpoints
        self.worker = worker
        self.snapshotThread = snapshotThread
        self.ports = ports
        self.eventLoop = eventLoop
        self.onRestart = onRestart
        coordination = StaticCoordination(configuration: setup.configuration)
        clusterID = state.clusterID
        promise = state.promise
        byteCount = state.byteCount
        slotKeeping = SlotKeeping(slots: state.slots, writtenAt: Self.now())
        node = ReplicaNode(setup, state, now: Self.now())
    }

    deinit { shipBuffer.deallocate() }

    func reserveShipBuffer(_ count: Int) {
        guard shipBuffer.count < count else { return }
        shipBuffer.deallocate()
        shipBuffer = .allocate(byteCount: count, alignment: 16)
    }

    static func now() -> Microseconds { MonotonicTime.nanoseconds() / 1000 }

    /// Looks at the clock this often; deadlines are kept to within it.
    private static let tickMilliseconds: Int64 = 50

    func start() {
        node.start(now: Self.now(), into: &effects)
        carryOut()
        drain()
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(
            initialDelay: .milliseconds(Self.tickMilliseconds), delay: .milliseconds(Self.tickMilliseconds)
        ) { _ in bound.value.tick() }
    }

    func stop() {
        guard !isStopped else { return }
        handle(.stop)
        keepSlotsFinally()
        isStopped = true
        waiters.failAll()
        endVerifications()
        timer?.cancel()
        for connection in connections.values { connection.close(.stop(ReplicationStop(.shutdown))) }
        for link in peers.values { link.close() }
        connections.removeAll()
        peers.removeAll()
        tails.removeAll()
    }

    // MARK: - Events

    func handle(_ event: NodeEvent) {
        guard !isStopped else { return }
        events.append(event)
        drain()
    }

    private func drain() {
        guard !isHandling else { return }
        isHandling = true
        var next = 0
        while next < events.count {
            let event = events[next]
            next += 1
            node.handle(event, now: Self.now(), into: &effects)
            carryOut()
        }
        events.removeAll(keepingCapacity: true)
        countNodes()
        publishHistory()
        isHandling = false
    }

    func wakeLoops() {
        for port in ports { port.logMoved() }
    }

    /// What reads with conditions are held against.
    func publishHistory() {
        let now = Self.now()
        let staleness = node.staleness(now: now)
        gate.publish(
            ReplicationGate.History(
                entries: node.log.history, end: node.log.end, isLeader: node.role == .leader,
                isConfirmed: node.role == .leader && staleness == 0, freshAt: staleness.map { now - min(now, $0) }))
    }

    /// What several nodes have on disk, once somebody wants to know.
    private func countNodes() {
        guard node.role == .leader, gate.needsNodeCounts else { return }
        var isNews = false
        for count in 2...ReplicationGate.nodeCountMax {
            if gate.note(node.durable(onNodes: count), onNodes: count) { isNews = true }
        }
        if isNews { wakeLoops() }
    }

    private func carryOut() {
        publishStanding()
        // Effects never add effects, only events.
        for effect in effects { perform(effect) }
        effects.removeAll(keepingCapacity: true)
    }

    private func tick() {
        guard !isStopped else { return }
        logMoved()
        if let oldest = engine.oldestLogLSN, oldest > node.log.oldestLSN { handle(.logRetained(oldest: oldest)) }
        if Self.now() >= node.nextDeadline { handle(.tick) }
        for link in peers.values { link.tick(now: Self.now()) }
        releaseStartFloor()
        keepCommitHint()
        keepSlots()
        tickPull()
        dismissSilent()
        gate.publish(node.status())
    }

    /// Positions are told now and then, a new role or promise before anybody can hear of it: who was told that a node leads finds it leading.
    private func publishStanding() {
        guard node.role != shownRole || node.promise.epoch != shownEpoch else { return }
        shownRole = node.role
        shownEpoch = node.promise.epoch
        gate.publish(node.status())
    }

    /// The engine's positions have moved.
    func logMoved() {
        guard !isStopped else { return }
        if node.role == .leader || node.role == .fenced {
            let logged = engine.loggedByteCount
            byteCount += logged - loggedByteCount
            loggedByteCount = logged
            let durable = engine.durableLSN
            if durable > node.log.end { handle(.appended(end: durable, byteCount: byteCount)) }
        }
        let applied = engine.appliedLSN
        if applied > node.log.applied { handle(.applied(applied, generation: generation)) }
        let durable = engine.durableLSN
        if durable > node.log.durable { handle(.durable(durable, generation: generation)) }
        if !verifications.isEmpty { stepVerifications() }
    }

    // MARK: - Effects

    private func perform(_ effect: NodeEffect) {
        switch effect {
        case .append(_, _, _):
            guard let arriving else { preconditionFailure("an append without its batch") }
            self.arriving = nil
            byteCount += UInt64(arriving.records.readableBytes)
            worker.submit(.append(arriving.records, previousChain: arriving.previousChain))
        case .truncate(let lsn, _):
            logger.notice("the log is cut back", metadata: ["to": "\(lsn)"])
            onRestart(.truncate(to: node.log.history.position(at: lsn), upstream: upstreamForRestart))
        case .installSnapshot(let session, _): beginSnapshot(session)
        case .appendEpochStart(let epoch): beginEpoch(epoch)
        case .sealWrites: sealWrites { .writesSealed(end: $0, chain: $1) }
        case .persistPromise(let promise, let cluster): persist(promise, cluster)
        case .retain(let lsn): retain(lsn)
        case .readChain(let question, let lsn):
            let chain = try? engine.chain(at: lsn)
            handle(.chainRead(question, lsn: lsn, chain: chain ?? nil))

        case .connectUpstream(let session, let address): connectUpstream(session, address)
        case .send(let session, let message): connections[session]?.send(message)
        case .ship(let session, let order): ship(session, order)
        case .close(let session, let reason): close(session, reason)
        case .sendPeer(let peer, let message): sendPeer(peer, message)

        case .gate(let state): setGate(state)
        case .flow(let verdict): setFlow(verdict)
        case .committed(let lsn):
            gate.note(committed: lsn)
            wakeLoops()
        case .completeReadIndex(let id, let outcome): waiters.complete(id, outcome)

        case .promoted: promoted()
        case .promotionFailed(let failure): promotionFailed(failure)
        case .switchoverProgress(let progress): switchoverProgress(progress)
        case .slots(let reply): answerSlots(reply)
        case .coordinate(let request):
            let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
            coordination.submit(request) { event in
                if eventLoop.inEventLoop {
                    bound.value.handle(.coordination(event))
                } else {
                    eventLoop.execute { bound.value.handle(.coordination(event)) }
                }
            }
        case .alarm(let alarm): raise(alarm)
        case .note(let note): log(note)
        }
    }

    // MARK: People

    private func raise(_ alarm: Alarm) {
        counters.alarmed()
        if case .logFailed = alarm { return logger.critical("replication stopped", metadata: ["alarm": "\(alarm)"]) }
        logger.error("replication alarm", metadata: ["alarm": "\(alarm)"])
    }

    private func log(_ note: NodeNote) {
        switch note {
        case .roleChanged(let role, let epoch):
            logger.notice("role", metadata: ["role": "\(role.rawValue)", "epoch": "\(epoch)"])
        case .handshake(let peer, let decision, let reason):
            if let how = ReplicationCounters.Resync(decision: decision, reason: reason) { counters.resynced(how) }
            logger.info(
                "handshake", metadata: ["peer": "\(name(of: peer))", "decision": "\(decision)", "reason": "\(reason)"])
        case .upstreamLost(let reason): logger.info("upstream lost", metadata: ["reason": "\(reason)"])
        case .downstreamLost(let peer, let reason):
            logger.info("follower lost", metadata: ["peer": "\(name(of: peer))", "reason": "\(reason)"])
        case .truncating(let from, let to): logger.notice("truncating", metadata: ["from": "\(from)", "to": "\(to)"])
        case .fenced(let peer, let epoch):
            counters.fenced()
            logger.notice("fenced", metadata: ["by": "\(name(of: peer))", "epoch": "\(epoch)"])
        }
    }

    func name(of peer: NodeID) -> String {
        node.setup.configuration.member(peer)?.name ?? connections.values.first { $0.peer == peer }?.peerName ?? "\(peer)"
    }

    // MARK: Names of sessions

    func nextSession() -> SessionID {
        sessionCount += 1
        return SessionID(sessionCount)
    }

    /// How long to wait before an upstream is dialled: at once the first time, then longer and longer, with a random share, so that the
    /// followers of a leader that comes back do not all arrive together.
    func dialDelay() -> TimeAmount {
        guard connectFailureCount > 0 else { return .zero }
        let most = min(1_500, 50 << min(connectFailureCount, 5))
        return .milliseconds(Int64.random(in: 0...Int64(most)))
    }

    func noteDial(succeeded: Bool) { connectFailureCount = succeeded ? 0 : connectFailureCount + 1 }
}
