import Glibc

/// A request that waits for its answer.
struct LoadSlot {
    /// When it was sent, or under `--rate` when it should have been.
    var start: UInt64
    var request: LoadRequest
}

/// One connection of the load generator: a descriptor, what is to be sent, what came in, and the requests in flight, first in,
/// first out. Lives in malloc memory of its loop, which frees it.
///
/// Invariant: `waiting` is the number of answers the server owes; it never exceeds `depth`.
struct LoadConnection {
    let descriptor: Int32
    var output = ByteQueue(capacity: 16 * 1024)
    var input = ByteQueue(capacity: 64 * 1024)
    /// Whether the poll descriptor watches for room to write.
    var wantsWrite = false
    private(set) var waiting = 0
    private let depth: Int
    private let slots: UnsafeMutablePointer<LoadSlot>
    private var oldest = 0

    init(descriptor: Int32, depth: Int) {
        self.descriptor = descriptor
        self.depth = depth
        slots = .allocate(capacity: depth)
    }

    func close() {
        Glibc.close(descriptor)
        slots.deallocate()
        output.deallocate()
        input.deallocate()
    }

    var isFull: Bool { waiting == depth }
    var hasWaiting: Bool { waiting > 0 }

    mutating func push(_ slot: LoadSlot) {
        var at = oldest + waiting
        if at >= depth { at -= depth }
        (slots + at).initialize(to: slot)
        waiting += 1
    }

    var first: LoadSlot { slots[oldest] }

    mutating func removeFirst() {
        oldest += 1
        if oldest == depth { oldest = 0 }
        waiting -= 1
    }
}
