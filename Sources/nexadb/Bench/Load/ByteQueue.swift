import Glibc

/// A first-in first-out run of bytes in malloc memory: filled at the end, emptied at the front; grows by doubling and keeps its
/// memory. Not copyable in spirit: exactly one connection owns it and frees it.
///
///     base     start          end       capacity
///     |  done  |  to be done  |  free   |
struct ByteQueue {
    private(set) var base: UnsafeMutableRawPointer
    private(set) var start = 0
    private(set) var end = 0
    private var capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        base = malloc(capacity)!
    }

    func deallocate() { free(base) }

    var count: Int { end - start }
    var freeByteCount: Int { capacity - end }
    var front: UnsafeRawPointer { UnsafeRawPointer(base + start) }

    /// Room for `byteCount` more bytes; the address where they go. Follow with `advanceEnd`.
    mutating func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer {
        if capacity - end < byteCount { makeRoom(byteCount) }
        return base + end
    }

    mutating func advanceEnd(_ byteCount: Int) { end += byteCount }

    mutating func removeFirst(_ byteCount: Int) {
        start += byteCount
        if start == end {
            start = 0
            end = 0
        }
    }

    private mutating func makeRoom(_ byteCount: Int) {
        let used = count
        if start > 0 {
            memmove(base, base + start, used)
            start = 0
            end = used
        }
        while capacity - end < byteCount { capacity *= 2 }
        base = realloc(base, capacity)!
    }
}
