// NODE_STATUS and SLOT_ADMIN: what tools ask. Answers hold values only; text for people is made by the tool.

import NexaStorage
import NexaWire

/// ED NODE_STATUS answer: one node as it sees itself.
package struct NodeStatus: Equatable, Sendable {
    package struct Peer: Equatable, Sendable {
        package var node: NodeID
        package var name: String
        package var state: String
        package var written: LSN
        package var durable: LSN
        package var applied: LSN
        package var lagByteCount: UInt64
        /// How long ago the durable position was the leader's end; 0 when it is.
        package var lag: Microseconds
        package var isVoter: Bool

        package init(
            node: NodeID, name: String, state: String, written: LSN, durable: LSN, applied: LSN, lagByteCount: UInt64,
            lag: Microseconds,
            isVoter: Bool
        ) {
            self.node = node
            self.name = name
            self.state = state
            self.written = written
            self.durable = durable
            self.applied = applied
            self.lagByteCount = lagByteCount
            self.lag = lag
            self.isVoter = isVoter
        }
    }

    package static let peerCountMax = 128

    package var node: NodeID
    package var name: String
    package var role: String
    package var clusterID: ClusterID
    package var promised: Epoch
    package var history: EpochHistory
    package var end: LSN
    package var durable: LSN
    package var applied: LSN
    package var committed: LSN
    package var oldest: LSN
    package var leader: NodeID?
    package var leaderAddress: String?
    /// Upper bound of a follower's staleness; nil when nothing was heard yet.
    package var staleness: Microseconds?
    package var isDegraded: Bool
    package var peers: [Peer]
    package var slots: [ReplicationSlot.Status]

    package init(
        node: NodeID, name: String, role: String, clusterID: ClusterID, promised: Epoch, history: EpochHistory, end: LSN,
        durable: LSN,
        applied: LSN, committed: LSN, oldest: LSN, leader: NodeID?, leaderAddress: String?, staleness: Microseconds?,
        isDegraded: Bool,
        peers: [Peer], slots: [ReplicationSlot.Status]
    ) {
        self.node = node
        self.name = name
        self.role = role
        self.clusterID = clusterID
        self.promised = promised
        self.history = history
        self.end = end
        self.durable = durable
        self.applied = applied
        self.committed = committed
        self.oldest = oldest
        self.leader = leader
        self.leaderAddress = leaderAddress
        self.staleness = staleness
        self.isDegraded = isDegraded
        self.peers = peers
        self.slots = slots
    }

    var value: MessagePackValue {
        .fields([
            ("node", .node(node)), ("name", .string(name)), ("role", .string(role)), ("cluster", .cluster(clusterID)),
            ("promised", .number(promised)), ("epochs", .history(history)), ("end", .number(end)), ("durable", .number(durable)),
            ("applied", .number(applied)), ("committed", .number(committed)), ("oldest", .number(oldest)),
            ("leader", leader.map { .node($0) }), ("leader_address", leaderAddress.map { .string($0) }),
            ("staleness_us", staleness.map { .number($0) }), ("degraded", .bool(isDegraded)),
            ("peers", .array(peers.map(\.value))),
            ("slots", .array(slots.map(\.value))),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        node = try fields.node("node")
        name = try fields.text("name", byteCountMax: Member.nameByteCountMax)
        role = try fields.text("role", byteCountMax: 32)
        clusterID = try fields.cluster("cluster")
        promised = try fields.uint("promised")
        history = try fields.history("epochs")
        end = try fields.uint("end")
        durable = try fields.uint("durable")
        applied = try fields.uint("applied")
        committed = try fields.uint("committed")
        oldest = try fields.uint("oldest")
        leader = try fields.optionalNode("leader")
        leaderAddress = try fields.optionalText("leader_address")
        staleness = try fields.optionalUInt("staleness_us")
        isDegraded = try fields.flag("degraded")
        peers = []
        for element in try fields.array("peers", countMax: NodeStatus.peerCountMax) {
            peers.append(try Peer(ControlFields(element, in: "peers")))
        }
        slots = []
        for element in try fields.array("slots", countMax: NodeStatus.peerCountMax) {
            slots.append(try ReplicationSlot.Status(ControlFields(element, in: "slots")))
        }
    }
}

extension NodeStatus.Peer {
    var value: MessagePackValue {
        .fields([
            ("node", .node(node)), ("name", .string(name)), ("state", .string(state)), ("written", .number(written)),
            ("durable", .number(durable)), ("applied", .number(applied)), ("lag_bytes", .number(lagByteCount)),
            ("lag_us", .number(lag)),
            ("voter", .bool(isVoter)),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        node = try fields.node("node")
        name = try fields.text("name", byteCountMax: Member.nameByteCountMax)
        state = try fields.text("state", byteCountMax: 32)
        written = try fields.uint("written")
        durable = try fields.uint("durable")
        applied = try fields.uint("applied")
        lagByteCount = try fields.uint("lag_bytes")
        lag = try fields.uint("lag_us")
        isVoter = try fields.flag("voter")
    }
}

/// 6E SLOT_ADMIN: list, create or drop a slot.
package struct SlotAdmin: Equatable, Sendable {
    package enum Action: String, Sendable { case list, create, drop }

    package var action: Action
    package var name: String?

    package init(_ action: Action, name: String? = nil) {
        self.action = action
        self.name = name
    }

    var value: MessagePackValue { .fields([("action", .string(action.rawValue)), ("name", name.map { .string($0) })]) }

    init(_ fields: ControlFields) throws(MessageError) {
        guard let action = Action(rawValue: try fields.text("action")) else { throw .badField("action") }
        self.action = action
        name = try fields.optionalText("name", byteCountMax: ReplicationSlot.nameByteCountMax)
        guard action == .list || name?.isEmpty == false else { throw .missing(field: "name") }
    }
}

/// EE SLOT_ADMIN answer.
package struct SlotAdminReply: Equatable, Sendable {
    package var isDone: Bool
    package var slots: [ReplicationSlot.Status]

    package init(isDone: Bool, slots: [ReplicationSlot.Status]) {
        self.isDone = isDone
        self.slots = slots
    }

    var value: MessagePackValue { .fields([("ok", .bool(isDone)), ("slots", .array(slots.map(\.value)))]) }

    init(_ fields: ControlFields) throws(MessageError) {
        isDone = try fields.flag("ok")
        slots = []
        for element in try fields.array("slots", countMax: NodeStatus.peerCountMax) {
            slots.append(try ReplicationSlot.Status(ControlFields(element, in: "slots")))
        }
    }
}
