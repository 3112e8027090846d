// Reads what `WriteBatch` writes. Payloads come from our own batches, from the log and from a leader: the cursor checks
// every length and kind before it touches a byte, whoever wrote them.

/// One operation of a payload; its bytes lie in the payload.
package struct BatchOperation {
    package let kind: OpKind
    package let key: UnsafeRawBufferPointer
    /// The value of a put, the end key of a range delete, empty for a delete.
    package let value: UnsafeRawBufferPointer
    /// What the writer noted for readers of the log; empty: nothing. It is in the log only, never in a memtable or a table.
    package let note: UnsafeRawBufferPointer
}

/// Why a payload is not a batch.
package struct MalformedBatch: Error, Equatable {
    /// Offset of the operation that does not parse.
    package let offset: Int
}

/// Walks the operations of a payload in order.
package struct BatchCursor {
    /// Stands in front of a note where the kind of an operation would.
    static let noteKind: UInt8 = 4

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    package init(_ payload: UnsafeRawBufferPointer) { bytes = payload }

    /// The next operation, nil at the end.
    package mutating func next() throws(MalformedBatch) -> BatchOperation? {
        guard position < bytes.count else { return nil }
        let start = position
        var note = UnsafeRawBufferPointer(start: nil, count: 0)
        if bytes[position] == BatchCursor.noteKind {
            position += 1
            guard let found = slice(), position < bytes.count else { throw MalformedBatch(offset: start) }
            note = found
        }
        guard let kind = OpKind(rawValue: bytes[position]) else { throw MalformedBatch(offset: start) }
        position += 1
        guard let key = slice(), key.count <= WriteBatch.keyByteCountMax else { throw MalformedBatch(offset: start) }
        if kind == .delete {
            return BatchOperation(kind: kind, key: key, value: UnsafeRawBufferPointer(start: nil, count: 0), note: note)
        }
        guard let value = slice(), kind == .put || value.count <= WriteBatch.keyByteCountMax else {
            throw MalformedBatch(offset: start)
        }
        return BatchOperation(kind: kind, key: key, value: value, note: note)
    }

    /// Whether an operation follows.
    package var isAtEnd: Bool { position >= bytes.count }

    private mutating func slice() -> UnsafeRawBufferPointer? {
        guard let length = Varint.decode(bytes, at: &position), length <= UInt64(bytes.count - position) else { return nil }
        let start = position
        position += Int(length)
        return UnsafeRawBufferPointer(rebasing: bytes[start..<position])
    }
}

/// Checks of whole payloads.
enum BatchPayload {
    /// What a batch contains.
    struct Counts {
        var operations = 0
        var rangeDeletes = 0
    }

    /// What a payload contains; nil when it is not a batch.
    static func counts(_ payload: UnsafeRawBufferPointer) -> Counts? {
        var cursor = BatchCursor(payload)
        var counts = Counts()
        do throws(MalformedBatch) {
            while let operation = try cursor.next() {
                counts.operations += 1
                if operation.kind == .rangeDelete { counts.rangeDeletes += 1 }
            }
            return counts
        } catch {
            return nil
        }
    }

    /// A record whose hash is right was written so; that it is a whole batch is checked all the same, whoever wrote it.
    @discardableResult
    static func check(
        _ payload: UnsafeRawBufferPointer, _ record: LogRecord, directory: String
    ) throws(StorageError) -> Counts {
        guard record.header.type == .batch || record.header.type == .ddl else { return Counts() }
        if let counts = counts(payload), counts.operations == Int(record.header.operationCount) { return counts }
        throw .corruption(
            Corruption(
                file: Path.join(directory, LogFileName.segment(record.segmentID)), offset: record.offset,
                lsn: record.header.lsn - 1, reason: "the payload is not the batch that its header announces",
                remedy: "Restore a backup or copy from a replica."))
    }
}
