// Writes that were committed locally and wait for more disks. Ordered by LSN for each kind of concern, so that a moved position answers a
// run at the front. Bounded; a write that finds no room is answered at once.

import NexaStorage

/// Who waits for which LSN.
struct WriteWaiters: Sendable {
    struct Waiter: Sendable {
        let id: WaiterID
        let lsn: LSN
        let deadline: Microseconds
    }

    /// Index 0 waits for the commit point, index n for n nodes.
    private var queues: [[Waiter]] = []
    private var heads: [Int] = []
    private(set) var count = 0
    /// No waiter has an earlier deadline.
    private(set) var earliestDeadline = Microseconds.max

    static let nodeCountMax = 64

    mutating func add(_ id: WaiterID, _ lsn: LSN, queue: Int, deadline: Microseconds) {
        while queues.count <= queue {
            queues.append([])
            heads.append(0)
        }
        count += 1
        earliestDeadline = min(earliestDeadline, deadline)
        let waiter = Waiter(id: id, lsn: lsn, deadline: deadline)
        var place = queues[queue].count
        while place > heads[queue], queues[queue][place - 1].lsn > lsn { place -= 1 }
        queues[queue].insert(waiter, at: place)
    }

    /// The numbers of nodes that somebody waits for (0: the commit point).
    var queueCount: Int { queues.count }
    func isEmpty(_ queue: Int) -> Bool { heads[queue] == queues[queue].count }

    /// Answers everybody in `queue` up to `lsn`.
    mutating func complete(_ queue: Int, upTo lsn: LSN, into effects: inout [NodeEffect]) {
        guard queue < queues.count else { return }
        while heads[queue] < queues[queue].count, queues[queue][heads[queue]].lsn <= lsn {
            effects.append(.completeWrite(queues[queue][heads[queue]].id, .acknowledged))
            heads[queue] += 1
            count -= 1
        }
        if heads[queue] == queues[queue].count {
            queues[queue].removeAll(keepingCapacity: true)
            heads[queue] = 0
        } else if heads[queue] > 1024 && heads[queue] * 2 > queues[queue].count {
            queues[queue].removeSubrange(..<heads[queue])
            heads[queue] = 0
        }
    }

    /// Answers everybody whose time is up: nobody knows what became of the write.
    mutating func expire(now: Microseconds, into effects: inout [NodeEffect]) {
        guard now >= earliestDeadline else { return }
        remove(outcome: .unknown(reason: "the write concern was not reached in time"), into: &effects) { $0.deadline <= now }
    }

    mutating func cancel(_ id: WaiterID) {
        var ignored: [NodeEffect] = []
        remove(outcome: .overloaded, into: &ignored) { $0.id == id }
    }

    mutating func failAll(reason: String, into effects: inout [NodeEffect]) {
        remove(outcome: .unknown(reason: reason), into: &effects) { _ in true }
    }

    private mutating func remove(outcome: WriteOutcome, into effects: inout [NodeEffect], where matches: (Waiter) -> Bool) {
        earliestDeadline = .max
        for queue in queues.indices {
            var kept: [Waiter] = []
            for waiter in queues[queue][heads[queue]...] {
                if matches(waiter) {
                    effects.append(.completeWrite(waiter.id, outcome))
                    count -= 1
                } else {
                    kept.append(waiter)
                    earliestDeadline = min(earliestDeadline, waiter.deadline)
                }
            }
            queues[queue] = kept
            heads[queue] = 0
        }
    }
}
