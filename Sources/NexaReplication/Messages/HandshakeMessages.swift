// REPL_HELLO, REPL_WELCOME, STREAM_START_AT, REPL_STOP: how a follower and its upstream come together.

import NexaStorage
import NexaWire

/// What both sides of a stream may be able to do beyond the least: named in the hello and in the welcome.
package enum ReplicationFeature {
    /// The sender of the hello takes WAL_BATCH frames that are COMPRESSED.
    package static let lz4 = "lz4"
}

/// 60 REPL_HELLO, follower -> upstream: who I am and what I have.
package struct Hello: Equatable, Sendable {
    package enum Want: String, Sendable {
        /// Whatever is the least: stream, truncate, or else a snapshot.
        case stream
        /// A snapshot even where the log would do: the local data is to be replaced.
        case snapshot
    }

    package static let featureCountMax = 16

    package var clusterID: ClusterID
    package var node: NodeID
    package var name: String
    package var address: String
    /// The store formats that this node reads: log records and tables.
    package var formatMin: Int
    package var formatMax: Int
    package var promised: Epoch
    package var history: EpochHistory
    /// The end of the log that the upstream is to continue, and the chain up to there.
    package var last: LogPosition
    package var chain: UInt64
    package var durable: LSN
    /// What this node knows to be committed: cutting below it is refused.
    package var committed: LSN
    package var slot: String
    package var want: Want
    package var features: [String]
    /// The nodes behind this one, this one first: an upstream that finds itself among them refuses.
    package var via: [NodeID]
    /// The length of the longest chain that begins with this node.
    package var depth: Int
    package var windowByteCount: UInt64

    package init(
        clusterID: ClusterID, node: NodeID, name: String, address: String, formatMin: Int = 1, formatMax: Int = 1,
        promised: Epoch,
        history: EpochHistory, last: LogPosition, chain: UInt64, durable: LSN, committed: LSN, slot: String, want: Want = .stream,
        features: [String] = [], via: [NodeID], depth: Int = 1, windowByteCount: UInt64
    ) {
        self.clusterID = clusterID
        self.node = node
        self.name = name
        self.address = address
        self.formatMin = formatMin
        self.formatMax = formatMax
        self.promised = promised
        self.history = history
        self.last = last
        self.chain = chain
        self.durable = durable
        self.committed = committed
        self.slot = slot
        self.want = want
        self.features = features
        self.via = via
        self.depth = depth
        self.windowByteCount = windowByteCount
    }

    var value: MessagePackValue {
        .fields([
            ("cluster", .cluster(clusterID)), ("node", .node(node)), ("name", .string(name)), ("address", .string(address)),
            ("format_min", .number(formatMin)), ("format_max", .number(formatMax)), ("promised", .number(promised)),
            ("epochs", .history(history)), ("last", .position(last)), ("chain", .number(chain)), ("durable", .number(durable)),
            ("committed", .number(committed)), ("slot", .string(slot)), ("want", .string(want.rawValue)),
            ("features", .array(features.map { .string($0) })), ("via", .array(via.map { .node($0) })),
            ("depth", .number(depth)), ("window", .number(windowByteCount)),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        clusterID = try fields.cluster("cluster")
        node = try fields.node("node")
        name = try fields.text("name", byteCountMax: Member.nameByteCountMax)
        address = try fields.text("address", byteCountMax: Member.addressByteCountMax)
        formatMin = try fields.int("format_min", default: 1, max: 1 << 16)
        formatMax = try fields.int("format_max", default: 1, max: 1 << 16)
        promised = try fields.uint("promised")
        history = try fields.history("epochs")
        last = try fields.position("last")
        chain = try fields.uint("chain")
        durable = try fields.uint("durable")
        committed = try fields.uint("committed", default: 0)
        slot = try fields.text("slot", byteCountMax: ReplicationSlot.nameByteCountMax)
        guard let want = Want(rawValue: try fields.optionalText("want") ?? "stream") else { throw .badField("want") }
        self.want = want
        features = []
        for feature in try fields.array("features", countMax: Hello.featureCountMax) {
            guard let text = feature.stringValue, text.utf8.count <= 32 else { throw .badField("features") }
            features.append(text)
        }
        via = try fields.nodes("via", countMax: Ack.downstreamCountMax + 1)
        depth = max(1, try fields.int("depth", default: 1, max: 1 << 16))
        windowByteCount = try fields.uint("window", default: 0)
        guard last.lsn < .max, durable <= last.lsn, committed <= last.lsn else { throw .badField("last") }
    }
}

/// E0 REPL_WELCOME, upstream -> follower: what is to happen.
package struct Welcome: Equatable, Sendable {
    package enum Decision: String, Sendable {
        /// The stream begins at `from`; nothing else is needed.
        case stream
        /// Cut back to `truncateTo`, then ask with STREAM_START_AT.
        case truncate
        /// Pull a snapshot, then ask with STREAM_START_AT.
        case snapshot
        /// Nothing now: try again after `retryAfter`.
        case wait
    }

    package var decision: Decision
    package var reason: String
    package var clusterID: ClusterID
    /// The upstream itself.
    package var node: NodeID
    /// The leadership that the upstream's log belongs to.
    package var epoch: Epoch
    package var leader: NodeID
    package var leaderAddress: String
    package var history: EpochHistory
    package var from: LSN
    package var truncateTo: LSN
    /// The upstream's chain at `from - 1`, where it knows it: the follower compares before it cuts.
    package var chain: UInt64?
    package var end: LSN
    package var committed: LSN
    package var windowByteCount: UInt64
    package var heartbeatInterval: Microseconds
    package var retryAfter: Microseconds
    package var features: [String]
    package var via: [NodeID]

    package init(
        decision: Decision, reason: String = "", clusterID: ClusterID, node: NodeID, epoch: Epoch, leader: NodeID,
        leaderAddress: String = "", history: EpochHistory, from: LSN = 0, truncateTo: LSN = 0, chain: UInt64? = nil, end: LSN = 0,
        committed: LSN = 0, windowByteCount: UInt64 = 0, heartbeatInterval: Microseconds = 0, retryAfter: Microseconds = 0,
        features: [String] = [], via: [NodeID] = []
    ) {
        self.decision = decision
        self.reason = reason
        self.clusterID = clusterID
        self.node = node
        self.epoch = epoch
        self.leader = leader
        self.leaderAddress = leaderAddress
        self.history = history
        self.from = from
        self.truncateTo = truncateTo
        self.chain = chain
        self.end = end
        self.committed = committed
        self.windowByteCount = windowByteCount
        self.heartbeatInterval = heartbeatInterval
        self.retryAfter = retryAfter
        self.features = features
        self.via = via
    }

    var value: MessagePackValue {
        .fields([
            ("decision", .string(decision.rawValue)), ("reason", .string(reason)), ("cluster", .cluster(clusterID)),
            ("node", .node(node)),
            ("epoch", .number(epoch)), ("leader", .node(leader)), ("leader_address", .string(leaderAddress)),
            ("epochs", .history(history)),
            ("from", .number(from)), ("truncate_to", .number(truncateTo)), ("chain", chain.map { .number($0) }),
            ("end", .number(end)),
            ("committed", .number(committed)), ("window", .number(windowByteCount)), ("heartbeat_us", .number(heartbeatInterval)),
            ("retry_after_us", .number(retryAfter)), ("features", .array(features.map { .string($0) })),
            ("via", .array(via.map { .node($0) })),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        guard let decision = Decision(rawValue: try fields.text("decision")) else { throw .badField("decision") }
        self.decision = decision
        reason = try fields.optionalText("reason") ?? ""
        clusterID = try fields.cluster("cluster")
        node = try fields.node("node")
        epoch = try fields.uint("epoch")
        leader = try fields.node("leader")
        leaderAddress = try fields.optionalText("leader_address") ?? ""
        history = try fields.history("epochs")
        from = try fields.uint("from", default: 0)
        truncateTo = try fields.uint("truncate_to", default: 0)
        chain = try fields.optionalUInt("chain")
        end = try fields.uint("end", default: 0)
        committed = try fields.uint("committed", default: 0)
        windowByteCount = try fields.uint("window", default: 0)
        heartbeatInterval = try fields.uint("heartbeat_us", default: 0)
        retryAfter = try fields.uint("retry_after_us", default: 0)
        features = []
        for feature in try fields.array("features", countMax: Hello.featureCountMax) {
            guard let text = feature.stringValue, text.utf8.count <= 32 else { throw .badField("features") }
            features.append(text)
        }
        via = try fields.nodes("via", countMax: ClusterConfiguration.memberCountMax * 4)
        guard decision != .stream || from > 0 else { throw .badField("from") }
    }
}

/// 64 STREAM_START_AT, follower -> upstream: the cut or the snapshot is done, go on from here.
package struct StreamStartAt: Equatable, Sendable {
    package var slot: String
    package var epoch: Epoch
    package var from: LSN
    /// The follower's chain at `from - 1`.
    package var chain: UInt64
    package var windowByteCount: UInt64

    package init(slot: String, epoch: Epoch, from: LSN, chain: UInt64, windowByteCount: UInt64) {
        self.slot = slot
        self.epoch = epoch
        self.from = from
        self.chain = chain
        self.windowByteCount = windowByteCount
    }

    var value: MessagePackValue {
        .fields([
            ("slot", .string(slot)), ("epoch", .number(epoch)), ("from", .number(from)), ("chain", .number(chain)),
            ("window", .number(windowByteCount)),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        slot = try fields.text("slot", byteCountMax: ReplicationSlot.nameByteCountMax)
        epoch = try fields.uint("epoch")
        from = try fields.uint("from")
        chain = try fields.uint("chain")
        windowByteCount = try fields.uint("window", default: 0)
        guard from > 0 else { throw .badField("from") }
    }
}

/// 6F REPL_STOP, either side: the connection ends, and why.
package struct ReplicationStop: Equatable, Sendable {
    package enum Code: String, Sendable, CaseIterable {
        case badCluster = "BAD_CLUSTER"
        case loop = "LOOP"
        case tooDeep = "TOO_DEEP"
        case format = "FORMAT"
        case staleEpoch = "STALE_EPOCH"
        case notLeader = "NOT_LEADER"
        case slotLost = "SLOT_LOST"
        case chainMismatch = "CHAIN_MISMATCH"
        case damagedRecord = "DAMAGED_RECORD"
        case committedTruncation = "COMMITTED_TRUNCATION"
        case aheadOfLeader = "AHEAD_OF_LEADER"
        case duplicateName = "DUPLICATE_NAME"
        case outOfOrder = "OUT_OF_ORDER"
        case tooMany = "TOO_MANY"
        case silent = "SILENT"
        case roleChanged = "ROLE_CHANGED"
        case protocolError = "PROTOCOL"
        case shutdown = "SHUTDOWN"
    }

    package var code: Code
    package var message: String
    package var epoch: Epoch
    package var retryAfter: Microseconds
    package var leader: NodeID?
    package var leaderAddress: String?

    package init(
        _ code: Code, _ message: String = "", epoch: Epoch = 0, retryAfter: Microseconds = 0, leader: NodeID? = nil,
        leaderAddress: String? = nil
    ) {
        self.code = code
        self.message = message
        self.epoch = epoch
        self.retryAfter = retryAfter
        self.leader = leader
        self.leaderAddress = leaderAddress
    }

    var value: MessagePackValue {
        .fields([
            ("code", .string(code.rawValue)), ("message", .string(message)), ("epoch", .number(epoch)),
            ("retry_after_us", .number(retryAfter)), ("leader", leader.map { .node($0) }),
            ("leader_address", leaderAddress.map { .string($0) }),
        ])
    }

    init(_ fields: ControlFields) throws(MessageError) {
        guard let code = Code(rawValue: try fields.text("code")) else { throw .badField("code") }
        self.code = code
        message = try fields.optionalText("message", byteCountMax: 1024) ?? ""
        epoch = try fields.uint("epoch", default: 0)
        retryAfter = try fields.uint("retry_after_us", default: 0)
        leader = try fields.optionalNode("leader")
        leaderAddress = try fields.optionalText("leader_address")
    }
}
