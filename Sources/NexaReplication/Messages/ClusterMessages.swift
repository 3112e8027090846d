// Messages about who leads: FENCE, FENCED, PROMOTED, TOPOLOGY, SWITCHOVER, READ_INDEX. They travel between any two nodes, may be lost, come
// twice or late; each carries the epoch it speaks of, and the receiver compares.

import NexaStorage
import NexaWire

/// 68 FENCE, candidate -> peers: promise me `epoch`.
package struct Fence: Equatable, Sendable {
    package var clusterID: ClusterID
    package var epoch: Epoch
    package var candidate: NodeID
    /// Only asks whether the peer hears a leader; nothing is promised.
    package var isDry: Bool

    package init(clusterID: ClusterID, epoch: Epoch, candidate: NodeID, isDry: Bool = false) {
        self.clusterID = clusterID
        self.epoch = epoch
        self.candidate = candidate
        self.isDry = isDry
    }

    var value: MessagePackValue {
        .fields([
            ("cluster", .cluster(clusterID)), ("epoch", .number(epoch)), ("candidate", .node(candidate)), ("dry", .bool(isDry)),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        clusterID = try fields.cluster("cluster")
        epoch = try fields.uint("epoch")
        candidate = try fields.node("candidate")
        isDry = try fields.flag("dry")
        guard epoch < .tooHigh else { throw .badField("epoch") }
    }
}

/// E8 FENCED, peer -> candidate: granted or not, and what I have.
package struct Fenced: Equatable, Sendable {
    package var node: NodeID
    /// The epoch that was asked for.
    package var epoch: Epoch
    package var isGranted: Bool
    package var isDry: Bool
    package var promised: Epoch
    /// What is durable on the peer.
    package var last: LogPosition
    package var committed: LSN
    /// The leader that the peer hears right now.
    package var leader: NodeID?
    package var leaderEpoch: Epoch
    /// The peer came with an empty disk and has not caught up: only for a founder its promise counts.
    package var isNewcomer: Bool

    package init(
        node: NodeID, epoch: Epoch, isGranted: Bool, isDry: Bool = false, promised: Epoch, last: LogPosition, committed: LSN,
        leader: NodeID? = nil, leaderEpoch: Epoch = 0, isNewcomer: Bool = false
    ) {
        self.node = node
        self.epoch = epoch
        self.isGranted = isGranted
        self.isDry = isDry
        self.promised = promised
        self.last = last
        self.committed = committed
        self.leader = leader
        self.leaderEpoch = leaderEpoch
        self.isNewcomer = isNewcomer
    }

    var value: MessagePackValue {
        .fields([
            ("node", .node(node)), ("epoch", .number(epoch)), ("granted", .bool(isGranted)), ("dry", .bool(isDry)),
            ("promised", .number(promised)), ("last", .position(last)), ("committed", .number(committed)),
            ("leader", leader.map { .node($0) }), ("leader_epoch", .number(leaderEpoch)),
            ("newcomer", .bool(isNewcomer)),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        node = try fields.node("node")
        epoch = try fields.uint("epoch")
        isGranted = try fields.flag("granted")
        isDry = try fields.flag("dry")
        promised = try fields.uint("promised")
        last = try fields.position("last")
        committed = try fields.uint("committed", default: 0)
        leader = try fields.optionalNode("leader")
        leaderEpoch = try fields.uint("leader_epoch", default: 0)
        isNewcomer = try fields.flag("newcomer")
        guard promised < .tooHigh else { throw .badField("promised") }
    }
}

/// 6A PROMOTED, new leader -> peers: follow me.
package struct Promoted: Equatable, Sendable {
    package var clusterID: ClusterID
    package var epoch: Epoch
    package var firstLSN: LSN
    package var leader: NodeID
    package var address: String

    package init(clusterID: ClusterID, epoch: Epoch, firstLSN: LSN, leader: NodeID, address: String) {
        self.clusterID = clusterID
        self.epoch = epoch
        self.firstLSN = firstLSN
        self.leader = leader
        self.address = address
    }

    var value: MessagePackValue {
        .fields([
            ("cluster", .cluster(clusterID)), ("epoch", .number(epoch)), ("first", .number(firstLSN)), ("leader", .node(leader)),
            ("address", .string(address)),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        clusterID = try fields.cluster("cluster")
        epoch = try fields.uint("epoch")
        firstLSN = try fields.uint("first")
        leader = try fields.node("leader")
        address = try fields.text("address", byteCountMax: Member.addressByteCountMax)
        guard epoch < .tooHigh else { throw .badField("epoch") }
    }
}

/// E7 TOPOLOGY, upstream -> follower, after the welcome and when it changes: who is there.
package struct Topology: Equatable, Sendable {
    package var epoch: Epoch
    package var leader: NodeID
    package var leaderAddress: String
    package var version: UInt64
    package var members: [Member]
    package var commitQuorum: Int

    package init(epoch: Epoch, leader: NodeID, leaderAddress: String, version: UInt64, members: [Member], commitQuorum: Int) {
        self.epoch = epoch
        self.leader = leader
        self.leaderAddress = leaderAddress
        self.version = version
        self.members = members
        self.commitQuorum = commitQuorum
    }

    var value: MessagePackValue {
        .fields([
            ("epoch", .number(epoch)), ("leader", .node(leader)), ("leader_address", .string(leaderAddress)),
            ("version", .number(version)),
            (
                "members",
                .array(
                    members.map {
                        .fields([("name", .string($0.name)), ("address", .string($0.address)), ("voter", .bool($0.isVoter))])
                    })
            ), ("commit_quorum", .number(commitQuorum)),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        epoch = try fields.uint("epoch")
        leader = try fields.node("leader")
        leaderAddress = try fields.text("leader_address", byteCountMax: Member.addressByteCountMax)
        version = try fields.uint("version")
        members = []
        for element in try fields.array("members", countMax: ClusterConfiguration.memberCountMax) {
            let row = try ControlFields(element, in: "members")
            members.append(
                Member(
                    name: try row.text("name", byteCountMax: Member.nameByteCountMax),
                    address: try row.text("address", byteCountMax: Member.addressByteCountMax), isVoter: try row.flag("voter")))
        }
        commitQuorum = try fields.int("commit_quorum", default: 1, max: ClusterConfiguration.memberCountMax)
    }
}

/// 6B SWITCHOVER: an administrator asks the leader; the leader, once `target` has everything, hands over with `epoch` and `finalLSN` set.
package struct Switchover: Equatable, Sendable {
    package var target: NodeID
    package var timeout: Microseconds
    package var epoch: Epoch?
    package var finalLSN: LSN?

    package init(target: NodeID, timeout: Microseconds, epoch: Epoch? = nil, finalLSN: LSN? = nil) {
        self.target = target
        self.timeout = timeout
        self.epoch = epoch
        self.finalLSN = finalLSN
    }

    var value: MessagePackValue {
        .fields([
            ("target", .node(target)), ("timeout_us", .number(timeout)), ("epoch", epoch.map { .number($0) }),
            ("final", finalLSN.map { .number($0) }),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        target = try fields.node("target")
        timeout = try fields.uint("timeout_us", default: 3_000_000)
        epoch = try fields.optionalUInt("epoch")
        finalLSN = try fields.optionalUInt("final")
    }
}

/// EB SWITCHOVER progress, leader -> administrator.
package struct SwitchoverProgress: Equatable, Sendable {
    package enum State: String, Sendable {
        case draining
        case handedOver = "handed_over"
        case done, aborted
    }

    package var state: State
    package var lsn: LSN
    package var reason: String

    package init(state: State, lsn: LSN, reason: String = "") {
        self.state = state
        self.lsn = lsn
        self.reason = reason
    }

    var value: MessagePackValue {
        .fields([("state", .string(state.rawValue)), ("lsn", .number(lsn)), ("reason", .string(reason))])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        guard let state = State(rawValue: try fields.text("state")) else { throw .badField("state") }
        self.state = state
        lsn = try fields.uint("lsn")
        reason = try fields.optionalText("reason", byteCountMax: 1024) ?? ""
    }
}

/// 66 READ_INDEX, follower -> upstream: up to where must I have applied before I answer a linearizable read?
package struct ReadIndex: Hashable, Sendable {
    package var id: UInt64
    package var epoch: Epoch

    package init(id: UInt64, epoch: Epoch) {
        self.id = id
        self.epoch = epoch
    }

    var value: MessagePackValue { .fields([("id", .number(id)), ("epoch", .number(epoch))]) }

    init(_ fields: ControlFields) throws(MessageError) {
        id = try fields.uint("id")
        epoch = try fields.uint("epoch")
    }
}

/// E6 READ_INDEX answer: `lsn`, confirmed by a commit quorum after the question came; nil when the node could not confirm it.
package struct ReadIndexReply: Hashable, Sendable {
    package var id: UInt64
    package var epoch: Epoch
    package var lsn: LSN?

    package init(id: UInt64, epoch: Epoch, lsn: LSN?) {
        self.id = id
        self.epoch = epoch
        self.lsn = lsn
    }

    var value: MessagePackValue {
        .fields([("id", .number(id)), ("epoch", .number(epoch)), ("lsn", lsn.map { .number($0) })])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        id = try fields.uint("id")
        epoch = try fields.uint("epoch")
        lsn = try fields.optionalUInt("lsn")
    }
}
