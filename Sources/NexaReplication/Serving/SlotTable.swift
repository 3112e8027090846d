// The slots of an upstream: what they keep, and when they stop keeping it. See `ReplicationSlot`.

import NexaStorage

/// All slots of a node. A handful, so they are searched by walking.
struct SlotTable: Sendable {
    private(set) var slots: [ReplicationSlot] = []

    /// The slot of this name is wanted again, from `lsn` on. False when there are too many.
    mutating func reserve(
        _ name: String, node: NodeID?, from lsn: LSN, byteCount: UInt64, isActive: Bool, now: Microseconds, countMax: Int
    ) -> Bool {
        if let index = index(name) {
            slots[index].node = node ?? slots[index].node
            slots[index].restartLSN = lsn
            slots[index].restartByteCount = byteCount
            slots[index].state = .reserved
            slots[index].isActive = isActive
            slots[index].lastSeen = now
            return true
        }
        guard slots.count < countMax else { return false }
        var slot = ReplicationSlot(name: name, node: node, restartLSN: lsn, restartByteCount: byteCount, now: now)
        slot.isActive = isActive
        slots.append(slot)
        return true
    }

    /// The follower has everything in front of `lsn` on its disk. No allocation.
    mutating func advance(_ name: String, to lsn: LSN, byteCount: UInt64, now: Microseconds) {
        guard let index = index(name), slots[index].state == .reserved else { return }
        slots[index].lastSeen = now
        if lsn > slots[index].restartLSN {
            slots[index].restartLSN = lsn
            slots[index].restartByteCount = byteCount
        }
    }

    mutating func release(_ name: String, now: Microseconds) {
        guard let index = index(name) else { return }
        slots[index].isActive = false
        slots[index].lastSeen = now
    }

    mutating func drop(_ name: String) -> Bool {
        guard let index = index(name), !slots[index].isActive else { return false }
        slots.remove(at: index)
        return true
    }

    /// Gives up what is beyond its limits. Returns the names with the reason.
    mutating func enforce(endByteCount: UInt64, options: ReplicationOptions, now: Microseconds) -> [(
        name: String, reason: String
    )] {
        var lost: [(name: String, reason: String)] = []
        for index in slots.indices where slots[index].state == .reserved {
            let retained = endByteCount - min(endByteCount, slots[index].restartByteCount)
            if retained > options.slotByteCountMax {
                slots[index].state = .lost
                lost.append((slots[index].name, "it holds back \(retained) bytes of the log"))
            } else if !slots[index].isActive && now - min(now, slots[index].lastSeen) > options.slotAgeMax {
                slots[index].state = .lost
                lost.append((slots[index].name, "its follower is away for too long"))
            }
        }
        return lost
    }

    /// The first record that somebody still needs; nil when nobody holds anything back.
    var retainFrom: LSN? { slots.lazy.filter { $0.state == .reserved }.map(\.restartLSN).min() }

    func isLost(_ name: String) -> Bool { index(name).map { slots[$0].state == .lost } ?? false }

    func statuses(endByteCount: UInt64, options: ReplicationOptions) -> [ReplicationSlot.Status] {
        slots.map { slot in
            let retained = slot.state == .lost ? 0 : endByteCount - min(endByteCount, slot.restartByteCount)
            return ReplicationSlot.Status(
                name: slot.name, node: slot.node, state: slot.state.rawValue, isActive: slot.isActive,
                restartLSN: slot.restartLSN,
                retainedByteCount: retained,
                safeByteCount: slot.state == .lost ? 0 : options.slotByteCountMax - min(retained, options.slotByteCountMax))
        }
    }

    private func index(_ name: String) -> Int? { slots.firstIndex { $0.name == name } }
}
