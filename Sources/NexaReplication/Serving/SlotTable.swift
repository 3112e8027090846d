// The slots of an upstream: what they keep, and when they stop keeping it. See `ReplicationSlot`.

import NexaStorage

/// All slots of a node. A handful, so they are searched by walking.
struct SlotTable: Sendable {
    private(set) var slots: [ReplicationSlot] = []
    private(set) var changeCount: UInt64 = 0

    init() {}

    mutating func restore(_ slot: ReplicationSlot) { slots.append(slot) }

    /// The slot of this name is wanted again, from `lsn` on. False when there are too many.
    mutating func reserve(
        _ name: String, node: NodeID?, from lsn: LSN, byteCount: UInt64, isActive: Bool, now: Microseconds, countMax: Int
    ) -> Bool {
        if let index = index(name) {
            if slots[index].state == .lost || slots[index].restartLSN > lsn { changeCount += 1 }
            slots[index].node = node ?? slots[index].node
            slots[index].restartLSN = lsn
            slots[index].restartByteCount = byteCount
            slots[index].state = .reserved
            slots[index].isActive = isActive
            slots[index].lastSeen = now
            slots[index].awayBefore = 0
            return true
        }
        guard slots.count < countMax else { return false }
        changeCount += 1
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
        changeCount += 1
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
                changeCount += 1
                lost.append((slots[index].name, "it holds back \(retained) bytes of the log"))
            } else if slots[index].away(now: now) > options.slotAgeMax {
                slots[index].state = .lost
                changeCount += 1
                lost.append((slots[index].name, "its follower is away for too long"))
            }
        }
        return lost
    }

    /// Drops the slots of who has not been here for `age` and does not come back: whom `isElsewhere` names.
    mutating func forget(awayFor age: Microseconds, now: Microseconds, isElsewhere: (NodeID) -> Bool) {
        let before = slots.count
        slots.removeAll { slot in
            !slot.isActive && slot.away(now: now) > age && (slot.node.map(isElsewhere) ?? false)
        }
        if slots.count != before { changeCount += 1 }
    }

    /// The first record that somebody still needs; nil when nobody holds anything back.
    var retainFrom: LSN? { slots.lazy.filter { $0.state == .reserved }.map(\.restartLSN).min() }

    func contains(_ name: String) -> Bool { index(name) != nil }

    func statuses(endByteCount: UInt64, options: ReplicationOptions, now: Microseconds) -> [ReplicationSlot.Status] {
        slots.map { slot in
            let retained = slot.state == .lost ? 0 : endByteCount - min(endByteCount, slot.restartByteCount)
            return ReplicationSlot.Status(
                name: slot.name, node: slot.node, state: slot.state.rawValue, isActive: slot.isActive,
                restartLSN: slot.restartLSN,
                retainedByteCount: retained,
                safeByteCount: slot.state == .lost ? 0 : options.slotByteCountMax - min(retained, options.slotByteCountMax),
                away: slot.away(now: now))
        }
    }

    private func index(_ name: String) -> Int? { slots.firstIndex { $0.name == name } }
}
