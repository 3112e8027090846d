// Frames in an output buffer: the header is written with length 0, the payload follows in place, and `endFrame` patches the length.
// Nothing is copied and nothing allocated per frame.

/// Where a frame begins in an `OutputBytes`. Valid while nothing is consumed from the front.
package struct FrameMark: Sendable {
    /// Offset of the header from the front of the buffer.
    package let offset: Int
    /// Offset of the payload (after header and prefixes).
    package let payloadOffset: Int
}

extension OutputBytes {
    /// Begins a frame of `type`. `requestID` and `token`, when given, set their flags and are written as prefixes.
    package func beginFrame(
        _ type: MessageType, requestID: UInt32? = nil, token: PositionToken? = nil, flags: FrameFlags = []
    ) -> FrameMark {
        let offset = byteCount
        var flags = flags
        if requestID != nil { flags.insert(.requestID) }
        if token != nil { flags.insert(.token) }
        reserve(FrameHeader.byteCount + 4 + PositionToken.byteCount + 64)
        append(count: FrameHeader.byteCount) { room in
            FrameHeader(type: type.rawValue, flags: flags, payloadByteCount: 0).encode(into: room)
        }
        if let requestID { appendBE(requestID) }
        if let token {
            appendBE(token.epoch)
            appendBE(token.lsn)
        }
        return FrameMark(offset: offset, payloadOffset: byteCount)
    }

    /// Ends the frame that began at `mark`: everything written since is its payload.
    package func endFrame(_ mark: FrameMark) {
        let length = byteCount - mark.offset - FrameHeader.byteCount
        precondition(length >= 0 && length <= Int(UInt32.max), "a frame's length is a u32")
        storeBE(UInt32(length), at: mark.offset + 8)
    }

    /// Payload bytes written since `mark`.
    package func payloadByteCount(since mark: FrameMark) -> Int { byteCount - mark.payloadOffset }

    /// Takes the frame that began at `mark` back, as if it had never begun.
    package func abandonFrame(_ mark: FrameMark) {
        truncate(to: mark.offset)
    }

    /// A whole ERROR frame: `{code, error, ...details}`.
    package func writeErrorFrame(_ error: WireError, requestID: UInt32? = nil, type: MessageType = .error) {
        let mark = beginFrame(type, requestID: requestID)
        writeError(error)
        endFrame(mark)
    }

    /// The payload of an ERROR frame.
    package func writeError(_ error: WireError) {
        writeMapHeader(2 + error.details.count)
        writeString("code")
        writeString(error.code.rawValue)
        writeString("error")
        writeString(error.message)
        for entry in error.details {
            entry.key.encode(into: self)
            entry.value.encode(into: self)
        }
    }
}
