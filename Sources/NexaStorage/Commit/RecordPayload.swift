// The payload of a log record as it is stored, made outside every lock.

import CSupport

/// What a record of a batch will contain.
struct RecordPayload {
    /// Payloads from this size on are worth the try.
    static let compressionByteCountMin = 512

    let stored: UnsafeRawBufferPointer
    let codec: RecordCodec
    let hash: UInt64

    /// Compresses where that saves an eighth or more, into memory of the batch: valid as long as the batch is not changed.
    init(_ batch: WriteBatch, compresses: Bool) {
        let bytes = batch.bytes
        if compresses, bytes.count >= Self.compressionByteCountMin {
            let scratch = batch.compressionScratch(byteCount: bytes.count - bytes.count / 8)
            let count = nexa_lz4_compress(bytes.baseAddress, bytes.count, scratch.baseAddress, scratch.count)
            if count > 0 {
                stored = UnsafeRawBufferPointer(rebasing: scratch[..<count])
                codec = .lz4
                hash = RecordHeader.payloadHash(stored)
                return
            }
        }
        stored = bytes
        codec = .raw
        hash = RecordHeader.payloadHash(bytes)
    }
}
