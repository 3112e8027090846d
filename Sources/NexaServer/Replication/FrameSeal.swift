// A checksum behind every frame that one node sends another. What TCP has is weak, and ends at the next device that takes a stream apart. Records
// have hashes of their own; but a bit that flips in an acknowledgement or in a commit point would be believed, and a write that is on one
// disk counted for two.
//
//     header, flags with SEALED, length with the seal │ prefixes, payload │ XXH3-64 of all in front of it, big-endian
//
// Agreed on in CONNECT: `seals: true` from both sides; from the next frame on, each has a seal, or the connection ends. Administrators' tools
// do not ask for it.

import CSupport
import NIOCore
import NexaWire

package enum FrameSeal {
    package static let byteCount = 8

    /// Appends the frames in `frames`, whole ones, each with its seal.
    package static func write(_ frames: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) {
        var rest = frames
        while let header = rest.count >= FrameHeader.byteCount ? FrameHeader(rest) : nil {
            let count = FrameHeader.byteCount + Int(header.payloadByteCount)
            precondition(count <= rest.count, "frames are sealed whole")
            let start = buffer.writerIndex
            buffer.writeBytes(UnsafeRawBufferPointer(rebasing: rest[..<count]))
            buffer.setInteger(header.flags.union(.sealed).rawValue, at: start + 6)
            buffer.setInteger(header.payloadByteCount + UInt32(byteCount), at: start + 8)
            buffer.writeInteger(buffer.withUnsafeReadableBytes { sum($0.suffix(count)) })
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        precondition(rest.isEmpty, "frames are sealed whole")
    }

    /// The frame without its seal; nil when it has none, or not the right one. `bytes` begin with the frame.
    package static func open(_ frame: Frame, in bytes: UnsafeRawBufferPointer) -> Frame? {
        guard frame.header.flags.contains(.sealed), frame.payload.count >= byteCount else { return nil }
        let end = frame.byteCount - byteCount
        let seal = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: end, as: UInt64.self))
        guard seal == sum(bytes[..<end]) else { return nil }
        var frame = frame
        frame.payload = UnsafeRawBufferPointer(rebasing: frame.payload.dropLast(byteCount))
        return frame
    }

    private static func sum(_ bytes: Slice<UnsafeRawBufferPointer>) -> UInt64 {
        nexa_xxh3(UnsafeRawBufferPointer(rebasing: bytes).baseAddress, bytes.count, 0)
    }
}
