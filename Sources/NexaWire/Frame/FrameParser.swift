// From bytes of a stream to frames, without I/O and without copying. The caller owns the bytes: it hands in all that it has from the
// beginning of a frame on, and drops what a step says was used.
//
//     bytes so far ──▶ step ──▶ needMoreBytes(n)   fewer than n bytes are there: read on
//                            ├▶ frame(f)           one whole frame; drop f.byteCount, go on
//                            ├▶ rejected(r)        one whole frame that must not be served; answer, drop r.byteCount, go on
//                            └▶ failed(error)      the stream is lost: answer once, close
//
// Everything that can be judged from the header is judged when the header is there: a length above the limit fails before a byte of
// the payload is waited for, and nothing is ever reserved for it.

/// One whole frame, borrowed from the caller's bytes.
package struct Frame {
    package var header: FrameHeader
    /// The id that the answer has to carry, when the frame has one.
    package var requestID: UInt32?
    /// The position in an answer with TOKEN.
    package var token: PositionToken?
    /// Byte count of the payload after decompression, when COMPRESSED is set: `payload` is then an LZ4 block (`FrameInflater`).
    package var inflatedByteCount: Int?
    /// What follows header and prefixes. Empty counts as an empty map.
    package var payload: UnsafeRawBufferPointer
    /// Header, prefixes and payload: what to drop from the input.
    package var byteCount: Int

    package var type: MessageType? { MessageType(rawValue: header.type) }
}

/// A frame that is whole but not served: the connection stays usable.
package struct FrameRejection {
    package var header: FrameHeader
    package var requestID: UInt32?
    package var error: WireError
    package var byteCount: Int
}

/// What a look at the bytes gave.
package enum FrameStep {
    case needMoreBytes(Int)
    case frame(Frame)
    case rejected(FrameRejection)
    case failed(WireError)
}

/// Splits a byte stream into frames.
package struct FrameParser: Sendable {
    /// Largest announced length (everything after the header).
    package var payloadByteCountMax: Int
    /// Flag bits that this peer may use; others are answered UNSUPPORTED.
    package var acceptedFlags: FrameFlags

    package init(payloadByteCountMax: Int = 16 << 20, acceptedFlags: FrameFlags = .request) {
        self.payloadByteCountMax = payloadByteCountMax
        self.acceptedFlags = acceptedFlags
    }

    /// Looks for a frame at the front of `bytes`. Constant time; keeps no reference to `bytes` beyond the returned frame.
    package func step(_ bytes: UnsafeRawBufferPointer) -> FrameStep {
        guard bytes.count >= FrameHeader.byteCount else {
            return FrameParser.couldBeMagic(bytes) ? .needMoreBytes(FrameHeader.byteCount) : .failed(FrameParser.badMagic)
        }
        guard let header = FrameHeader(bytes) else { return .failed(FrameParser.badMagic) }
        guard header.version == FrameHeader.currentVersion else {
            return .failed(
                WireError(
                    .badFrame, "Unsupported protocol version: \(header.version) (this server speaks version 1)",
                    details: [.init("supported", [1])]))
        }
        let length = Int(header.payloadByteCount)
        guard length <= payloadByteCountMax else {
            return .failed(
                WireError(
                    .tooLarge, "Frame too large: \(length) bytes announced, the limit is \(payloadByteCountMax) (max_frame)",
                    details: [.init("limit", .int(Int64(payloadByteCountMax)))]))
        }
        let byteCount = FrameHeader.byteCount + length
        guard bytes.count >= byteCount else { return .needMoreBytes(byteCount) }
        return whole(header, UnsafeRawBufferPointer(rebasing: bytes[FrameHeader.byteCount..<byteCount]), byteCount)
    }

    /// A frame of which all bytes are there: `body` is everything after the header.
    private func whole(_ header: FrameHeader, _ body: UnsafeRawBufferPointer, _ byteCount: Int) -> FrameStep {
        var frame = Frame(header: header, payload: body, byteCount: byteCount)
        if header.flags.isEmpty { return .frame(frame) }
        var offset = 0
        if header.flags.contains(.requestID) {
            guard body.count >= 4 else { return .failed(FrameParser.shortPrefix) }
            frame.requestID = UInt32(bigEndian: body.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
            offset = 4
        }
        let refused = header.flags.subtracting(acceptedFlags)
        guard refused.isEmpty else {
            let bits = String(refused.rawValue, radix: 16)
            return .rejected(
                FrameRejection(
                    header: header, requestID: frame.requestID,
                    error: WireError(.unsupported, "Flags 0x\(bits) are unknown or were not negotiated"), byteCount: byteCount))
        }
        if header.flags.contains(.token), header.type >= 0x80 {
            guard body.count - offset >= PositionToken.byteCount else { return .failed(FrameParser.shortPrefix) }
            frame.token = PositionToken(
                epoch: UInt64(bigEndian: body.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
                lsn: UInt64(bigEndian: body.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
            offset += PositionToken.byteCount
        }
        if header.flags.contains(.compressed) {
            guard body.count - offset >= 4 else { return .failed(FrameParser.shortPrefix) }
            let raw = Int(UInt32(bigEndian: body.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            offset += 4
            if let error = refusal(inflated: raw, block: body.count - offset) { return .failed(error) }
            frame.inflatedByteCount = raw
        }
        frame.payload = UnsafeRawBufferPointer(rebasing: body[offset...])
        return .frame(frame)
    }

    /// Why a block of `block` bytes that claims to inflate to `raw` bytes must not be tried. LZ4 cannot expand more than 255-fold, so a
    /// larger claim is a lie that can be seen before any memory is taken.
    private func refusal(inflated raw: Int, block: Int) -> WireError? {
        if raw > payloadByteCountMax {
            return WireError(
                .tooLarge,
                "Compressed payload too large: \(raw) bytes when inflated, the limit is \(payloadByteCountMax) (max_frame)",
                details: [.init("limit", .int(Int64(payloadByteCountMax)))])
        }
        if raw == 0 || raw > block * 255 {
            return WireError(.badFrame, "Compressed payload: \(block) bytes cannot inflate to \(raw)")
        }
        return nil
    }

    private static func couldBeMagic(_ bytes: UnsafeRawBufferPointer) -> Bool {
        for (index, byte) in bytes.prefix(4).enumerated()
        where byte != UInt8(truncatingIfNeeded: FrameHeader.magic >> (24 - 8 * index)) {
            return false
        }
        return true
    }

    private static let badMagic = WireError(.badFrame, "Invalid protocol magic: a frame begins with 4E 45 58 41 (\"NEXA\")")
    private static let shortPrefix = WireError(.badFrame, "The frame is shorter than the prefixes that its flags announce")
}
