// Decompression of COMPRESSED payloads. The claimed size was judged by `FrameParser` before any memory is taken; here the block must
// yield exactly that size, so an answer can never hold memory that no client sent.

import CSupport

/// Reusable scratch memory for inflated payloads. One per event loop; not Sendable.
package final class FrameInflater {
    private var scratch: UnsafeMutableRawBufferPointer
    /// Scratch memory above this is given back after use.
    private let keptByteCountMax: Int

    package init(keptByteCountMax: Int = 1 << 20) {
        self.keptByteCountMax = keptByteCountMax
        scratch = .allocate(byteCount: 0, alignment: 16)
    }

    deinit { scratch.deallocate() }

    /// The payload of `frame`, inflated when it is compressed. Valid until the next call.
    package func payload(of frame: Frame) throws(WireError) -> UnsafeRawBufferPointer {
        guard let count = frame.inflatedByteCount else { return frame.payload }
        if scratch.count < count || (scratch.count > keptByteCountMax && count <= keptByteCountMax) {
            scratch.deallocate()
            scratch = .allocate(byteCount: count, alignment: 16)
        }
        guard
            nexa_lz4_decompress(frame.payload.baseAddress, frame.payload.count, scratch.baseAddress, count)
        else {
            throw WireError(.badFrame, "Compressed payload: not an LZ4 block of \(count) bytes")
        }
        return UnsafeRawBufferPointer(rebasing: scratch[..<count])
    }
}

extension OutputBytes {
    /// Ends the frame that began at `mark` with its payload compressed, when it is at least `threshold` bytes long and shrinks by an
    /// eighth or more; otherwise as it is. Only for peers that negotiated `lz4`.
    package func endFrameCompressed(_ mark: FrameMark, threshold: Int = 1024) {
        let raw = payloadByteCount(since: mark)
        if raw >= threshold {
            let room = raw - raw / 8
            reserve(room + 4)
            let payload = base + head + mark.payloadOffset
            let block = nexa_lz4_compress(payload, raw, base + tail, room)
            if block > 0 {
                (payload + 4).copyMemory(from: base + tail, byteCount: block)
                payload.storeBytes(of: UInt32(raw).bigEndian, as: UInt32.self)
                truncate(to: mark.payloadOffset + 4 + block)
                let flags = FrameFlags(rawValue: loadBE(UInt16.self, at: mark.offset + 6)).union(.compressed)
                storeBE(flags.rawValue, at: mark.offset + 6)
            }
        }
        endFrame(mark)
    }

    private func loadBE<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int) -> T {
        T(bigEndian: base.loadUnaligned(fromByteOffset: head + offset, as: T.self))
    }
}
