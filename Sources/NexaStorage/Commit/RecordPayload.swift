// The payload of a log record as it is stored, made outside every lock.

/// What a record of a batch will contain.
struct RecordPayload {
    let stored: UnsafeRawBufferPointer
    let codec: RecordCodec
    let hash: UInt64

    /// Valid as long as the batch is not changed.
    init(_ batch: WriteBatch, compresses: Bool) {
        let bytes = batch.bytes
        stored = bytes
        codec = .raw
        hash = RecordHeader.payloadHash(bytes)
    }
}
