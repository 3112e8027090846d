// A node on the bench: events in, effects out, time by hand.

import NexaReplication
import NexaStorage

/// One state machine with what it said.
struct Bench {
    var node: ReplicaNode
    var now: Microseconds = 1_000_000
    var effects: [NodeEffect] = []

    static let cluster = ClusterID(high: 7, low: 7)

    init(
        _ name: String, of names: [String], commitQuorum: Int? = nil, follow: String? = nil, state: DurableState? = nil,
        options: ReplicationOptions = ReplicationOptions()
    ) {
        let configuration = ClusterConfiguration(
            members: names.map { Member(name: $0, address: "\($0):1") }, commitQuorum: commitQuorum)
        let setup = NodeSetup(name: name, address: "\(name):1", configuration: configuration, options: options, follow: follow)
        node = ReplicaNode(setup, state ?? DurableState(clusterID: Bench.cluster), now: now)
        node.start(now: now, into: &effects)
    }

    /// What follows from one event.
    @discardableResult
    mutating func tell(_ event: NodeEvent, after microseconds: Microseconds = 1) -> [NodeEffect] {
        now += microseconds
        effects = []
        node.handle(event, now: now, into: &effects)
        return effects
    }

    /// Leads alone of `names`, its EPOCH_START on disk; the others are made to promise.
    static func leader(
        of names: [String], commitQuorum: Int? = nil, options: ReplicationOptions = ReplicationOptions(),
        standing: Standing = .member
    ) -> Bench {
        let state = DurableState(clusterID: Bench.cluster, promise: Promise(epoch: 0, leader: nil, standing: standing))
        var bench = Bench(names[0], of: names, commitQuorum: commitQuorum, state: state, options: options)
        for peer in names.dropFirst() {
            bench.tell(.peer(NodeID(name: peer), .fenced(bench.reply(of: peer, epoch: 0, isGranted: false, isDry: true))))
        }
        bench.tell(.coordination(.acquired(1)))
        bench.tell(.promisePersisted(Promise(epoch: 1, leader: NodeID(name: names[0]), standing: standing)))
        for peer in names.dropFirst() where bench.node.role == .candidate {
            bench.tell(.peer(NodeID(name: peer), .fenced(bench.reply(of: peer, epoch: 1, isGranted: true))))
        }
        bench.tell(.epochStartAppended(1, lsn: 1, chain: 11))
        bench.tell(.durable(1, generation: 0))
        return bench
    }

    func reply(
        of peer: String, epoch: Epoch, isGranted: Bool, isDry: Bool = false, last: LogPosition = LogPosition(epoch: 0, lsn: 0)
    ) -> Fenced {
        Fenced(
            node: NodeID(name: peer), epoch: epoch, isGranted: isGranted, isDry: isDry, promised: epoch, last: last, committed: 0)
    }

    /// A new follower `name` takes the stream from LSN 1.
    mutating func attach(_ name: String, session: UInt64) {
        let id = NodeID(name: name)
        tell(
            .downstream(
                SessionID(session),
                .hello(
                    Hello(
                        clusterID: Bench.cluster, node: id, name: name, address: "\(name):1", promised: 0,
                        history: EpochHistory(),
                        last: LogPosition(epoch: 0, lsn: 0), chain: 0, durable: 0, committed: 0, slot: name, via: [id],
                        windowByteCount: 0))))
    }

    @discardableResult
    mutating func acknowledge(_ session: UInt64, durable: LSN, echo: Microseconds = 0, epoch: Epoch = 1, isNewcomer: Bool = false)
        -> [NodeEffect]
    {
        tell(
            .downstream(
                SessionID(session),
                .ack(
                    Ack(
                        epoch: epoch, written: durable, durable: durable, applied: durable, sentAt: now, echo: echo,
                        isNewcomer: isNewcomer))))
    }
}

extension [NodeEffect] {
    var committed: LSN? { compactMap { if case .committed(let lsn) = $0 { lsn } else { nil } }.last }
    var gates: [WriteGate] { compactMap { if case .gate(let gate) = $0 { gate } else { nil } } }
    var messages: [ReplicationMessage] {
        compactMap {
            switch $0 {
            case .send(_, let message), .sendPeer(_, let message): message
            default: nil
            }
        }
    }
    var acks: [Ack] { messages.compactMap { if case .ack(let ack) = $0 { ack } else { nil } } }
    var dialed: SessionID? { compactMap { if case .connectUpstream(let session, _) = $0 { session } else { nil } }.last }
    var alarms: [Alarm] { compactMap { if case .alarm(let alarm) = $0 { alarm } else { nil } } }
    var failure: PromotionFailure? { compactMap { if case .promotionFailed(let failure) = $0 { failure } else { nil } }.last }
    var ships: [ShipOrder] { compactMap { if case .ship(_, let order) = $0 { order } else { nil } } }
    var stops: [ReplicationStop.Code] { compactMap { if case .close(_, .stop(let stop)) = $0 { stop.code } else { nil } } }
    var readIndexes: [ReadIndexOutcome] {
        compactMap { if case .completeReadIndex(_, let outcome) = $0 { outcome } else { nil } }
    }
}
