/// A reusable copy of some bytes: grows, never shrinks, costs one copy a use.
struct ByteBuffer: ~Copyable {
    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var count = 0

    init() {}

    deinit { memory.deallocate() }

    /// Valid until the next `set`.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory.baseAddress, count: count) }

    /// Must not be given its own bytes.
    mutating func set(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count > memory.count {
            memory.deallocate()
            memory = .allocate(byteCount: max(bytes.count, 64) * 2, alignment: 16)
        }
        count = bytes.count
        if let base = bytes.baseAddress, count > 0 { memory.baseAddress!.copyMemory(from: base, byteCount: count) }
    }
}

extension [UInt8] {
    /// The bytes, for a body that throws storage errors.
    @inline(__always)
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws(StorageError) -> R) throws(StorageError) -> R {
        try withUnsafeBytes { bytes in Result { () throws(StorageError) in try body(bytes) } }.get()
    }
}
