// The answer buffer of a connection: raw memory that grows, written at the end and consumed at the front.
//
//     | consumed | readable: byteCount bytes | free |
//     0          head                        tail   capacity
//
// Offsets that callers see count from `head`. Consuming moves `head`; the space comes back when the buffer runs empty or before it
// would grow. Steady traffic therefore allocates nothing. Confined to one thread (an event loop or a pool thread); not Sendable.

/// Growable raw output memory with writers for frames (here) and MessagePack (`OutputBytes+MessagePack.swift`).
package final class OutputBytes {
    /// The four variables stand behind a pointer of their own: as stored properties of a class each access would pay a run-time check
    /// for exclusivity, several per value written (measured: 330 ns against 40 ns for a small answer).
    @usableFromInline
    struct State {
        @usableFromInline var base: UnsafeMutableRawPointer
        @usableFromInline var capacity: Int
        @usableFromInline var head = 0
        @usableFromInline var tail = 0
    }

    @usableFromInline let state: UnsafeMutablePointer<State>

    @inlinable var base: UnsafeMutableRawPointer {
        get { state.pointee.base }
        set { state.pointee.base = newValue }
    }
    @inlinable var capacity: Int {
        get { state.pointee.capacity }
        set { state.pointee.capacity = newValue }
    }
    @inlinable var head: Int {
        get { state.pointee.head }
        set { state.pointee.head = newValue }
    }
    @inlinable var tail: Int {
        get { state.pointee.tail }
        set { state.pointee.tail = newValue }
    }

    package init(capacity: Int = 4096) {
        let capacity = max(64, capacity)
        state = .allocate(capacity: 1)
        state.initialize(to: State(base: .allocate(byteCount: capacity, alignment: 16), capacity: capacity))
    }

    deinit {
        base.deallocate()
        state.deallocate()
    }

    /// Bytes written and not yet consumed.
    @inlinable package var byteCount: Int { tail - head }
    @inlinable package var isEmpty: Bool { tail == head }
    /// Memory held, for limits and metrics.
    package var capacityByteCount: Int { capacity }

    /// The readable bytes; valid during `body` only.
    @inlinable
    package func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try body(UnsafeRawBufferPointer(start: base + head, count: tail - head))
    }

    /// The readable bytes, valid until the next writing call.
    @inlinable package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + head, count: tail - head) }

    // MARK: Room

    /// Makes room for `count` more bytes, so that appending them does not allocate.
    @inlinable
    package func reserve(_ count: Int) {
        if capacity &- tail < count { makeRoom(count) }
    }

    @usableFromInline
    func makeRoom(_ count: Int) {
        precondition(count >= 0)
        let used = tail - head
        if capacity - used >= count && head >= used {
            // The consumed part is at least as large as the rest: moving costs no more than the bytes already sent.
            base.copyMemory(from: base + head, byteCount: used)
        } else {
            let (needed, overflow) = used.addingReportingOverflow(count)
            precondition(!overflow && needed <= Int.max / 2)
            let larger = max(capacity * 2, needed)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
            memory.copyMemory(from: base + head, byteCount: used)
            base.deallocate()
            base = memory
            capacity = larger
        }
        head = 0
        tail = used
    }

    /// Forgets all bytes; with `keepingCapacity` false also gives memory beyond the default back.
    package func removeAll(keepingCapacity: Bool = true) {
        head = 0
        tail = 0
        if !keepingCapacity && capacity > 4096 {
            base.deallocate()
            capacity = 4096
            base = .allocate(byteCount: capacity, alignment: 16)
        }
    }

    /// Consumes `count` bytes at the front (they were sent).
    package func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= byteCount)
        head += count
        if head == tail {
            head = 0
            tail = 0
        }
    }

    /// Cuts the buffer back to `byteCount` readable bytes.
    package func truncate(to byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= self.byteCount)
        tail = head + byteCount
    }

    // MARK: Raw bytes

    @inlinable
    package func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        (base + tail).copyMemory(from: source, byteCount: bytes.count)
        tail &+= bytes.count
    }

    package func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    /// Appends `count` bytes that `fill` writes; `fill` must write all of them.
    @inlinable
    package func append(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        reserve(count)
        fill(UnsafeMutableRawBufferPointer(start: base + tail, count: count))
        tail &+= count
    }

    @inlinable
    package func appendU8(_ value: UInt8) {
        reserve(1)
        base.storeBytes(of: value, toByteOffset: tail, as: UInt8.self)
        tail &+= 1
    }

    /// Appends an integer in network byte order.
    @inlinable
    package func appendBE<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        reserve(MemoryLayout<T>.size)
        base.storeBytes(of: value.bigEndian, toByteOffset: tail, as: T.self)
        tail &+= MemoryLayout<T>.size
    }

    /// Overwrites an integer in network byte order at `offset` from the front.
    package func storeBE<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        precondition(offset >= 0 && offset + MemoryLayout<T>.size <= byteCount)
        base.storeBytes(of: value.bigEndian, toByteOffset: head + offset, as: T.self)
    }

    /// Moves what stands behind `offset` (from the front) back by `count` bytes; the gap's content is what was there.
    package func insertGap(_ count: Int, at offset: Int) {
        precondition(count >= 0 && offset >= 0 && offset <= byteCount)
        reserve(count)
        (base + head + offset + count).copyMemory(from: base + head + offset, byteCount: byteCount - offset)
        tail += count
    }
}
