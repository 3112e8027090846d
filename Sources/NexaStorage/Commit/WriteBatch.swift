// A batch of writes that becomes visible and durable as one. Its bytes are the payload of the log record, so that a
// document is copied once from the caller into the batch and once from the batch into the log:
//
//     operation := [ 4 | note length varint | note ]            for readers of the log; the engine steps over it
//                  kind u8 (1 put, 2 delete, 3 range delete) | key length varint | key
//                  [ value length varint | value ]              put: the value; range delete: the end key (exclusive)
//
// Within a batch the later operation on a key wins. A range delete hides what earlier batches wrote, never a put of its
// own batch. Invariant: `bytes` is always a whole number of well-formed operations and `count` says how many.

/// A reusable, thread-confined list of writes that `Engine.commit` applies atomically.
package final class WriteBatch {
    /// Longest key that the engine takes.
    package static let keyByteCountMax = 65_535

    /// Operations in the batch.
    package private(set) var count = 0
    /// Bytes of payload so far.
    package private(set) var byteCount = 0
    /// Range deletes among the operations: the commit pipeline keeps them apart from the keys.
    private(set) var rangeDeleteCount = 0
    private var storage: UnsafeMutableRawPointer
    private var capacity: Int
    private var scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    /// An empty batch with room for `reserve` bytes.
    package init(reserve: Int = 1024) {
        capacity = max(reserve, 64)
        storage = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit {
        storage.deallocate()
        scratch.deallocate()
    }

    /// The payload; valid until the batch changes.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: storage, count: byteCount) }

    /// Empties the batch; keeps its memory up to one mebibyte for the next use.
    package func removeAll() {
        count = 0
        byteCount = 0
        rangeDeleteCount = 0
        if capacity > 1 << 20 {
            storage.deallocate()
            capacity = 4096
            storage = .allocate(byteCount: capacity, alignment: 16)
            scratch.deallocate()
            scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
    }

    /// Memory for the compressed form of the payload, kept between commits.
    func compressionScratch(byteCount: Int) -> UnsafeMutableRawBufferPointer {
        if scratch.count < byteCount {
            scratch.deallocate()
            scratch = .allocate(byteCount: max(byteCount, 4096), alignment: 16)
        }
        return UnsafeMutableRawBufferPointer(rebasing: scratch[..<byteCount])
    }

    /// Puts a note in front of the operation that is added next, which must follow: for readers of the log, see `BatchOperation.note`.
    package func note(_ bytes: UnsafeRawBufferPointer) {
        let needed = byteCount + 1 + Varint.byteCountMax + bytes.count
        if needed > capacity { grow(to: needed) }
        storage.storeBytes(of: BatchCursor.noteKind, toByteOffset: byteCount, as: UInt8.self)
        byteCount += 1
        byteCount += Varint.encode(UInt64(bytes.count), to: storage + byteCount)
        UnsafeMutableRawBufferPointer(start: storage + byteCount, count: bytes.count).copyMemory(from: bytes)
        byteCount += bytes.count
    }

    /// Sets `key` to `value`.
    package func put(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        put(key: key, valueByteCount: value.count) { $0.copyMemory(from: value) }
    }

    /// Sets `key` to `valueByteCount` bytes that `fill` writes straight into the log payload: a document is spliced
    /// with one copy. `fill` must write every byte.
    package func put(key: UnsafeRawBufferPointer, valueByteCount: Int, fill: (UnsafeMutableRawBufferPointer) -> Void) {
        begin(.put, key: key, tailByteCount: Varint.byteCountMax + valueByteCount)
        byteCount += Varint.encode(UInt64(valueByteCount), to: storage + byteCount)
        fill(UnsafeMutableRawBufferPointer(start: storage + byteCount, count: valueByteCount))
        byteCount += valueByteCount
    }

    /// Removes `key`.
    package func delete(key: UnsafeRawBufferPointer) {
        begin(.delete, key: key, tailByteCount: 0)
    }

    /// Removes every key in `start ..< end` that an earlier batch wrote.
    package func deleteRange(start: UnsafeRawBufferPointer, end: UnsafeRawBufferPointer) {
        precondition(end.count <= Self.keyByteCountMax, "end key too long")
        begin(.rangeDelete, key: start, tailByteCount: Varint.byteCountMax + end.count)
        byteCount += Varint.encode(UInt64(end.count), to: storage + byteCount)
        UnsafeMutableRawBufferPointer(start: storage + byteCount, count: end.count).copyMemory(from: end)
        byteCount += end.count
        rangeDeleteCount += 1
    }

    private func begin(_ kind: OpKind, key: UnsafeRawBufferPointer, tailByteCount: Int) {
        precondition(key.count <= Self.keyByteCountMax, "key too long")
        let needed = byteCount + 1 + Varint.byteCountMax + key.count + tailByteCount
        if needed > capacity { grow(to: needed) }
        storage.storeBytes(of: kind.rawValue, toByteOffset: byteCount, as: UInt8.self)
        byteCount += 1
        byteCount += Varint.encode(UInt64(key.count), to: storage + byteCount)
        UnsafeMutableRawBufferPointer(start: storage + byteCount, count: key.count).copyMemory(from: key)
        byteCount += key.count
        count += 1
    }

    private func grow(to needed: Int) {
        let larger = max(needed, capacity * 2)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        moved.copyMemory(from: storage, byteCount: byteCount)
        storage.deallocate()
        storage = moved
        capacity = larger
    }
}
