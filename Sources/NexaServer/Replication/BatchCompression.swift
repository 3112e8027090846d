// LZ4 on the way of WAL_BATCH frames. What the follower checks and keeps - each record's hash, the chain, its log - is over the records as
// they were stored, so compression is a matter of one hop and of nothing else. The window counts stored bytes, too.
//
//     the follower's hello says `lz4`  and  this node's `replication-compression` wants it for that follower  =>  frames may be COMPRESSED
//
// A frame is sent compressed when that makes it smaller by an eighth. What a peer claims is judged before memory is taken
// (`FrameParser`): at most the largest frame, and not more than 255 times what is there.

import NexaReplication
import NexaWire

/// Whether batches are compressed for a follower.
package enum ReplicationCompression: String, Sendable {
    /// For followers on other machines: loopback has more bytes to give than the processor has time.
    case auto
    case on, off

    /// `address` is the follower's IP address as the socket tells it; nil: unknown.
    package func applies(to address: String?) -> Bool {
        switch self {
        case .on: true
        case .off: false
        case .auto: !(address.map { ServerConfiguration.isLoopback($0) || $0.hasPrefix("::ffff:127.") } ?? false)
        }
    }
}

extension OutputBytes {
    /// Frames with fewer bytes of payload than this are not worth a try.
    package static let batchCompressionThreshold = 512

    /// Appends one WAL_BATCH and returns how many bytes of the wire it takes.
    package func writeBatchFrame(_ header: BatchHeader, records: UnsafeRawBufferPointer, isCompressed: Bool) -> Int {
        let before = byteCount
        let mark = beginFrame(.walBatch)
        header.encode(into: self)
        writeBin(records)
        if isCompressed {
            endFrameCompressed(mark, threshold: OutputBytes.batchCompressionThreshold)
        } else {
            endFrame(mark)
        }
        return byteCount - before
    }
}
