/// A stored value in the making: the server's own fields in front, then runs of bytes from the client's or the old document.
///
///     [ flags ][ map header ][ "_id" key ][ "_created_at" 26 bytes ][ "_updated_at" 26 bytes ][ run ][ run ] ...
///
/// The runs borrow their bytes; `write` copies each once, straight into the log payload. Reused from write to write: neighbours
/// become one run, and the list keeps its memory.
struct DocumentSplice {
    /// The largest stored document: one that a frame of the default size can carry.
    static let documentByteCountMax = 16 << 20

    private var runs: ContiguousArray<UnsafeRawBufferPointer> = []
    private var runByteCount = 0
    private var fieldCount = 0

    mutating func begin() {
        runs.removeAll(keepingCapacity: true)
        runByteCount = 0
        fieldCount = 0
    }

    /// Adds the bytes of `fieldCount` whole entries.
    @inline(__always)
    mutating func append(_ run: UnsafeRawBufferPointer, fieldCount count: Int) {
        fieldCount += count
        guard let start = run.baseAddress, run.count > 0 else { return }
        runByteCount += run.count
        if let last = runs.last, last.baseAddress! + last.count == start {
            runs[runs.count - 1] = UnsafeRawBufferPointer(start: last.baseAddress, count: last.count + run.count)
        } else {
            runs.append(run)
        }
    }

    /// Bytes of the stored value, flags included.
    func valueByteCount(keyByteCount: Int) -> Int {
        1 + StoredLayout.mapHeaderByteCount(fieldCount + 3) + StoredLayout.ownFieldsByteCount(keyByteCount: keyByteCount)
            + runByteCount
    }

    /// Writes the stored value; `target` has exactly `valueByteCount` bytes, the timestamps have 26 each.
    func write(
        to target: UnsafeMutableRawBufferPointer, flags: DocumentFlags, key: UnsafeRawBufferPointer,
        createdAt: UnsafeRawPointer, updatedAt: UnsafeRawPointer
    ) {
        guard let base = target.baseAddress, let keyBase = key.baseAddress else { preconditionFailure("empty value or key") }
        var cursor = base
        cursor.storeBytes(of: flags.rawValue, as: UInt8.self)
        cursor += 1
        cursor += StoredLayout.writeMapHeader(fieldCount + 3, to: cursor)
        cursor += StoredLayout.writeName("_id", to: cursor)
        cursor += StoredLayout.writeStringHeader(key.count, to: cursor)
        cursor.copyMemory(from: keyBase, byteCount: key.count)
        cursor += key.count
        cursor += StoredLayout.writeName("_created_at", to: cursor)
        cursor += StoredLayout.writeTimestamp(createdAt, to: cursor)
        cursor += StoredLayout.writeName("_updated_at", to: cursor)
        cursor += StoredLayout.writeTimestamp(updatedAt, to: cursor)
        for run in runs {
            cursor.copyMemory(from: run.baseAddress!, byteCount: run.count)
            cursor += run.count
        }
        precondition(cursor - base == target.count, "a spliced document has the size that was announced")
    }
}
