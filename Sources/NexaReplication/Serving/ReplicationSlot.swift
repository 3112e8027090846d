// A slot keeps the log for a follower that is away. It is a debt of the disk, so it has limits by default: bytes and age. A slot beyond
// them is lost: its follower gets a snapshot, and the reason is said. Slots survive a restart of their node (`KeptSlot`); what counts as age
// is the time for which the node ran without the follower, so a node that was down itself gives nobody up for that.
//
//     reserved --(follower behind by more than slotByteCountMax, or away for slotAgeMax)--> lost --(new handshake)--> reserved

import NexaStorage
import NexaWire

/// What an upstream keeps for one follower.
package struct ReplicationSlot: Sendable {
    package static let nameByteCountMax = 64

    package enum State: String, Sendable { case reserved, lost }

    package var name: String
    package var node: NodeID?
    /// The first record that the follower still needs.
    package var restartLSN: LSN
    /// The counter of stored bytes in front of `restartLSN`.
    package var restartByteCount: UInt64
    package var state: State
    /// The follower is connected.
    package var isActive: Bool
    /// When the follower was last there, on this node's clock.
    package var lastSeen: Microseconds
    /// For how long it had been away when this process began.
    package var awayBefore: Microseconds = 0

    /// For how long the follower has been away while this node ran.
    package func away(now: Microseconds) -> Microseconds { isActive ? 0 : awayBefore + (now - min(now, lastSeen)) }

    package init(name: String, node: NodeID?, restartLSN: LSN, restartByteCount: UInt64, now: Microseconds) {
        self.name = name
        self.node = node
        self.restartLSN = restartLSN
        self.restartByteCount = restartByteCount
        state = .reserved
        isActive = false
        lastSeen = now
    }

    /// A slot as tools see it.
    package struct Status: Equatable, Sendable {
        package var name: String
        package var node: NodeID?
        package var state: String
        package var isActive: Bool
        package var restartLSN: LSN
        package var retainedByteCount: UInt64
        /// How much more the log may grow before the slot is lost.
        package var safeByteCount: UInt64
        /// For how long its follower has been away.
        package var away: Microseconds

        package init(
            name: String, node: NodeID?, state: String, isActive: Bool, restartLSN: LSN, retainedByteCount: UInt64,
            safeByteCount: UInt64, away: Microseconds = 0
        ) {
            self.name = name
            self.node = node
            self.state = state
            self.isActive = isActive
            self.restartLSN = restartLSN
            self.retainedByteCount = retainedByteCount
            self.safeByteCount = safeByteCount
            self.away = away
        }

        var value: MessagePackValue {
            .fields([
                ("name", .string(name)), ("node", node.map { .node($0) }), ("state", .string(state)), ("active", .bool(isActive)),
                ("restart", .number(restartLSN)), ("retained_bytes", .number(retainedByteCount)),
                ("safe_bytes", .number(safeByteCount)), ("away_us", .number(away)),
            ])
        }

        init(_ fields: ControlFields) throws(MessageError) {
            name = try fields.text("name", byteCountMax: ReplicationSlot.nameByteCountMax)
            node = try fields.optionalNode("node")
            state = try fields.text("state", byteCountMax: 32)
            isActive = try fields.flag("active")
            restartLSN = try fields.uint("restart")
            retainedByteCount = try fields.uint("retained_bytes")
            safeByteCount = try fields.uint("safe_bytes")
            away = try fields.uint("away_us", default: 0)
        }
    }
}
