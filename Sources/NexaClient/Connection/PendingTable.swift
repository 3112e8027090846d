// The requests of one connection that wait for their answers.
//
//     id of a request (u32)   | generation: 12 bits | slot: 20 bits |
//
// Invariant: an answer reaches the request it belongs to or nobody. A request that was given up (cancelled, out of time) leaves a
// tombstone in its slot, which takes the answer when it comes; only then is the slot free again, under a new generation. Without
// request ids, on connections of older servers, the order of sending stands in for the id, and tombstones keep that order true.

/// Who waits, by slot. Pure: no clock, no I/O. Confined to the event loop of its connection.
package struct PendingTable<Waiter> {
    package typealias Ticket = UInt64

    private struct Slot {
        var generation: UInt32 = 0
        var isTaken = false
        /// Nil while taken: a tombstone.
        var waiter: Waiter?
        var ticket: Ticket = 0
        var deadline: UInt64 = .max
    }

    /// To whom an answer belongs.
    package enum Owner {
        case waiter(Waiter, id: UInt32)
        /// Given up: drop the answer.
        case nobody(id: UInt32)
        /// No request has this id: the other side is wrong.
        case unknown
    }

    private static var slotBits: UInt32 { 20 }
    package static var slotCountMax: Int { 1 << Int(slotBits) }

    private var slots: [Slot] = []
    private var free: [UInt32] = []
    /// Ids in the order of sending, where answers come in that order.
    private var order: [UInt32]?
    private var orderHead = 0
    /// Slots that are taken, tombstones included.
    package private(set) var count = 0
    package private(set) var tombstoneCount = 0
    /// The earliest deadline there may be; `.max`: none.
    package private(set) var earliestDeadline: UInt64 = .max

    package init(isOrdered: Bool) { order = isOrdered ? [] : nil }

    /// Takes a slot. There must be room: `count < slotCountMax`.
    package mutating func insert(_ waiter: Waiter, ticket: Ticket, deadline: UInt64) -> UInt32 {
        let index: UInt32
        if let reused = free.popLast() {
            index = reused
        } else {
            precondition(slots.count < Self.slotCountMax, "more requests in flight than ids")
            index = UInt32(slots.count)
            slots.append(Slot())
        }
        slots[Int(index)].isTaken = true
        slots[Int(index)].waiter = waiter
        slots[Int(index)].ticket = ticket
        slots[Int(index)].deadline = deadline
        earliestDeadline = min(earliestDeadline, deadline)
        count += 1
        let id = slots[Int(index)].generation << Self.slotBits | index
        order?.append(id)
        return id
    }

    /// Whose answer this is. Nil for `id`: the oldest request's. The slot stays taken until `release`.
    package func owner(of id: UInt32?) -> Owner {
        guard let id = id ?? oldest, let index = index(of: id) else { return .unknown }
        guard let waiter = slots[index].waiter else { return .nobody(id: id) }
        return .waiter(waiter, id: id)
    }

    private var oldest: UInt32? {
        guard let order, orderHead < order.count else { return nil }
        return order[orderHead]
    }

    /// The last frame of the answer has come.
    package mutating func release(_ id: UInt32) {
        guard let index = index(of: id) else { return }
        if slots[index].waiter == nil { tombstoneCount -= 1 }
        slots[index].isTaken = false
        slots[index].waiter = nil
        slots[index].generation = (slots[index].generation + 1) & 0xFFF
        free.append(UInt32(index))
        count -= 1
        if order != nil {
            orderHead += 1
            if orderHead > 1024, orderHead * 2 > order!.count {
                order!.removeFirst(orderHead)
                orderHead = 0
            }
        }
    }

    private func index(of id: UInt32) -> Int? {
        let index = Int(id & (1 << Self.slotBits - 1))
        guard index < slots.count, slots[index].isTaken, slots[index].generation == id >> Self.slotBits else { return nil }
        return index
    }

    /// Gives up the request with `ticket`: its slot becomes a tombstone. Linear in the number of slots; giving up is rare.
    package mutating func giveUp(_ ticket: Ticket) -> (waiter: Waiter, id: UInt32)? {
        guard let index = slots.firstIndex(where: { $0.isTaken && $0.ticket == ticket && $0.waiter != nil }) else { return nil }
        return bury(index)
    }

    /// Gives up every request whose deadline is at or before `now`.
    package mutating func expire(_ now: UInt64) -> [(waiter: Waiter, id: UInt32)] {
        guard earliestDeadline <= now else { return [] }
        var expired: [(waiter: Waiter, id: UInt32)] = []
        earliestDeadline = .max
        for index in slots.indices where slots[index].isTaken && slots[index].waiter != nil {
            if slots[index].deadline <= now {
                if let buried = bury(index) { expired.append(buried) }
            } else {
                earliestDeadline = min(earliestDeadline, slots[index].deadline)
            }
        }
        return expired
    }

    private mutating func bury(_ index: Int) -> (waiter: Waiter, id: UInt32)? {
        guard let waiter = slots[index].waiter else { return nil }
        slots[index].waiter = nil
        tombstoneCount += 1
        return (waiter, slots[index].generation << Self.slotBits | UInt32(index))
    }

    /// The connection is gone: everybody who still waits.
    package mutating func removeAll() -> [Waiter] {
        let waiters = slots.compactMap { $0.isTaken ? $0.waiter : nil }
        self = PendingTable(isOrdered: order != nil)
        return waiters
    }
}
