// The flag bits of a frame header. Bits 0 to 2 announce a prefix that stands between the header and the payload, in bit order:
//
//     0x0001 REQUEST_ID   u32   the answer carries the same id
//     0x0002 TOKEN        request: nothing; answer: u64 epoch, u64 LSN
//     0x0004 COMPRESSED   u32   raw length; an LZ4 block stands in place of the payload
//     0x0008 MORE         -     another fragment of this message follows
//     0x0010 SLOW_DOWN    -     answers only: the client should send writes more slowly
//     0x0020 SEALED       -     between nodes only: the last 8 bytes of what follows the header are a checksum

/// The 16 flag bits of a frame header.
package struct FrameFlags: OptionSet, Sendable, Hashable {
    package let rawValue: UInt16
    @inlinable package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// No flag. Not the literal `[]`: other modules would build that through generic code, at 900 instructions an answer.
    @inlinable package static var none: FrameFlags { FrameFlags(rawValue: 0) }
    package static let requestID = FrameFlags(rawValue: 0x0001)
    package static let token = FrameFlags(rawValue: 0x0002)
    package static let compressed = FrameFlags(rawValue: 0x0004)
    package static let more = FrameFlags(rawValue: 0x0008)
    package static let slowDown = FrameFlags(rawValue: 0x0010)
    /// Taken by connections between nodes that agreed on it, and by nobody else.
    package static let sealed = FrameFlags(rawValue: 0x0020)

    /// Every bit that version 1 of the protocol gives a meaning to.
    package static let known: FrameFlags = [.requestID, .token, .compressed, .more, .slowDown]
    /// The bits that a request may carry on an ordinary connection; compression additionally has to be negotiated.
    package static let request: FrameFlags = [.requestID, .token, .compressed]
}
