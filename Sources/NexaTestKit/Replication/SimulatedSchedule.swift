// What is to happen, in the order of virtual time. Equal times keep the order of planning, so a seed always plays the same.

import NexaReplication
import NexaStorage

/// A frame on a simulated connection.
enum SimulatedFrame: Sendable {
    case message(ReplicationMessage)
    case batch(BatchHeader, [SimulatedRecord])
}

/// Work of a machine's log queue.
enum SimulatedWork: Sendable {
    case sync(upTo: LSN, generation: UInt64)
    case apply(upTo: LSN, generation: UInt64)
    case promise(Promise, ClusterID, committed: LSN)
    case truncate(to: LSN, generation: UInt64)
    case epochStart(Epoch)
    case seal
    case park
    case install(SessionID, generation: UInt64)
    case chain(ChainQuestion, LSN)
}

enum SimulatedHappening: Sendable {
    case tick(Int, life: Int)
    case event(Int, life: Int, NodeEvent)
    case work(Int, life: Int, SimulatedWork)
    case datagram(from: Int, to: Int, ReplicationMessage)
    case connect(Int, life: Int, SessionID, target: Int?)
    case frame(connection: Int, toServer: Bool, SimulatedFrame)
    case hangUp(connection: Int, toServer: Bool)
    case client
    case write(SimulatedClient.Admitted, life: Int)
    case trouble
    case operate
    case disaster
    case restart(Int)
}

/// A binary heap of times over a slab of happenings.
struct SimulatedSchedule {
    private struct Entry {
        var at: Microseconds
        var order: UInt64
        var slot: Int32
    }

    private var heap: [Entry] = []
    private var slab: [SimulatedHappening] = []
    private var free: [Int32] = []
    private var count: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var nextTime: Microseconds? { heap.first?.at }

    mutating func add(_ what: SimulatedHappening, at time: Microseconds) {
        let slot: Int32
        if let reused = free.popLast() {
            slot = reused
            slab[Int(slot)] = what
        } else {
            slot = Int32(slab.count)
            slab.append(what)
        }
        count += 1
        heap.append(Entry(at: time, order: count, slot: slot))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard precedes(child, parent) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func next() -> (at: Microseconds, what: SimulatedHappening)? {
        guard let first = heap.first else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            if 2 * parent + 1 < heap.count, precedes(2 * parent + 1, least) { least = 2 * parent + 1 }
            if 2 * parent + 2 < heap.count, precedes(2 * parent + 2, least) { least = 2 * parent + 2 }
            if least == parent { break }
            heap.swapAt(parent, least)
            parent = least
        }
        free.append(first.slot)
        return (first.at, slab[Int(first.slot)])
    }

    private func precedes(_ a: Int, _ b: Int) -> Bool {
        heap[a].at == heap[b].at ? heap[a].order < heap[b].order : heap[a].at < heap[b].at
    }
}
