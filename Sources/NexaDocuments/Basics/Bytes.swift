import Glibc

/// Small helpers over raw bytes.

@inline(__always)
func compareBytes(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Int32 {
    memcmp(left, right, count)
}

@inline(__always)
func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard left.count > 0, let leftBase = left.baseAddress, let rightBase = right.baseAddress else { return true }
    return memcmp(leftBase, rightBase, left.count) == 0
}

extension UnsafeRawBufferPointer {
    /// No bytes.
    static var none: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    /// The text that these bytes are known to be, for error messages and names.
    var text: String { String(decoding: self, as: UTF8.self) }
}

/// Growable memory addressed by offsets: what a request needs to keep for a moment, without one allocation per piece.
/// Confined to one thread.
struct ByteArena: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var byteCount = 0

    init(capacity: Int = 1024) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    /// Forgets all bytes, and memory beyond `keeping`.
    mutating func removeAll(keeping: Int = 1 << 20) {
        byteCount = 0
        guard capacity > keeping else { return }
        base.deallocate()
        capacity = 1024
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    /// Appends `count` bytes that the caller writes at once, and answers their offset.
    @inline(__always)
    mutating func append(count: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> Int {
        if capacity - byteCount < count { grow(count) }
        let offset = byteCount
        fill(base + offset)
        byteCount += count
        return offset
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        append(count: bytes.count) { target in
            if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
        }
    }

    /// Bytes at an offset; valid until the arena changes.
    @inline(__always)
    func bytes(at offset: Int, count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + offset, count: count)
    }

    /// Overwrites bytes at an offset.
    @inline(__always)
    func overwrite(at offset: Int, with bytes: UnsafeRawBufferPointer) {
        if let source = bytes.baseAddress { (base + offset).copyMemory(from: source, byteCount: bytes.count) }
    }

    private mutating func grow(_ count: Int) {
        let larger = max(capacity * 2, byteCount + count)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        moved.copyMemory(from: base, byteCount: byteCount)
        base.deallocate()
        base = moved
        capacity = larger
    }
}
