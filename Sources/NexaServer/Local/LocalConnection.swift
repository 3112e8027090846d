/// A connection without a socket: a caller in this process sends requests and takes answers on a node's event loop, and gets what a
/// client on the wire gets, because it is served by the same `ConnectionHandler`: order, pool, streams with credit, durability, log-in.
///
/// One request at a time: `begin` hands in one frame, `next` waits for each frame of its answer. At most two chunks of a stream are here
/// that were not taken (`CURSOR_CREDIT`). Confined to its loop; `LocalClient` is the way in for tasks.

import NIOCore
import NexaWire

/// One frame of an answer.
package struct LocalFrame: Sendable {
    package var type: MessageType
    /// The position that was asked for.
    package var token: PositionToken?
    /// The node asks for slower writes.
    package var isSlowDown = false
    package var payload: ByteBuffer
}

final class LocalConnection {
    /// Who asks, for what failed log-ins count for.
    let address: SocketAddress?
    private(set) var isClosed = false
    private let handler: ConnectionHandler
    private var frames: [LocalFrame] = []
    private var waiter: (@Sendable (LocalFrame?) -> Void)?

    init(loop: LoopContext, address: SocketAddress?) {
        self.address = address
        handler = ConnectionHandler(loop: loop)
        handler.open(.local(self))
    }

    /// Hands in one whole frame. Whatever was not taken of an earlier answer is dropped.
    func begin(_ frame: UnsafeRawBufferPointer) {
        frames.removeAll(keepingCapacity: true)
        if !isClosed { handler.receive(frame) }
    }

    /// Hands in a frame beside the answer that is under way: credit for its stream.
    func add(_ frame: UnsafeRawBufferPointer) {
        if !isClosed { handler.receive(frame) }
    }

    /// Calls back with the next frame of the answer, at once if it is there; nil: the connection has ended.
    func next(_ body: @escaping @Sendable (LocalFrame?) -> Void) {
        precondition(waiter == nil, "one caller waits for one answer")
        if !frames.isEmpty {
            body(frames.removeFirst())
        } else if isClosed {
            body(nil)
        } else {
            waiter = body
        }
    }

    /// The next frame if it is there already.
    func nextIfThere() -> LocalFrame? { frames.isEmpty ? nil : frames.removeFirst() }

    /// Ends it: what is under way for it is cancelled.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        handler.forget()
        let waiter = waiter
        self.waiter = nil
        waiter?(nil)
    }

    /// From the handler: whole frames.
    func take(_ answers: ByteBuffer) {
        answers.withUnsafeReadableBytes { bytes in
            let parser = FrameParser(payloadByteCountMax: Int(UInt32.max), acceptedFlags: [.requestID, .token, .slowDown])
            var rest = bytes
            while !rest.isEmpty {
                guard case .frame(let frame) = parser.step(rest), let type = frame.type else {
                    preconditionFailure("answers are whole frames")
                }
                frames.append(
                    LocalFrame(
                        type: type, token: frame.token, isSlowDown: frame.header.flags.contains(.slowDown),
                        payload: ByteBuffer(bytes: frame.payload)))
                rest = UnsafeRawBufferPointer(rebasing: rest[frame.byteCount...])
            }
        }
        guard let waiter, !frames.isEmpty else { return }
        self.waiter = nil
        waiter(frames.removeFirst())
    }
}
