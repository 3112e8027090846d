import NIOCore
import NexaWire

/// One answer frame. The payload is a slice of what the socket read: nothing is copied until it is decoded.
package struct Reply: Sendable {
    package let type: MessageType
    package let token: PositionToken?
    /// The node asks for slower writes.
    package let isSlowDown: Bool
    package let payload: ByteBuffer

    package init(type: MessageType, token: PositionToken? = nil, isSlowDown: Bool = false, payload: ByteBuffer) {
        self.type = type
        self.token = token
        self.isSlowDown = isSlowDown
        self.payload = payload
    }

    /// With memory of its own where the slice would keep much more alive.
    package var compacted: Reply {
        guard payload.storageCapacity > 4 * payload.readableBytes + 1024 else { return self }
        return Reply(type: type, token: token, isSlowDown: isSlowDown, payload: ByteBuffer(bytes: payload.readableBytesView))
    }

    /// The payload as a document; a protocol error when it is none.
    package func document() throws(NexaError) -> Document {
        try payload.withUnsafeReadableBytes { raw throws(NexaError) in
            try check(raw, is: .map)
            return Document(copying: raw)
        }
    }

    /// Throws unless `raw` is one good value of `kind`, whole: a node is not trusted, and what is read from its answers later takes their
    /// lengths, names and texts for good.
    package func check(_ raw: UnsafeRawBufferPointer, is kind: MessagePackKind) throws(NexaError) {
        // Answers hold documents within their own maps and lists.
        guard MessagePackReader(raw).nextKind == kind, payloadIsValid(raw, depthMax: nestingDepthMax + 10) else {
            throw NexaError(.protocolViolation, "The payload of a \(type.name) answer is not what it should be")
        }
    }

    /// The refusal that an ERROR or DUPLICATE answer tells.
    package var refusal: NexaError {
        do throws(NexaError) { return NexaError(refusal: try document()) } catch { return error }
    }
}

/// How one attempt on one connection ended.
package enum Outcome: Sendable {
    case reply(Reply)
    /// The request never left: it certainly did nothing.
    case notSent(NexaError)
    /// The request may have reached the node; no answer will be seen.
    case unanswered(NexaError)
    /// The caller's time is over. `sent` tells whether the request may have reached the node.
    case timedOut(sent: Bool)
    case cancelled(sent: Bool)
}
