/// A `LocalConnection` as tasks use it, from any thread; from its own event loop without a hop, where a read that is answered from memory
/// does not suspend at all.

import NIOCore
import NexaWire

/// The connection has ended: the node stops, or the task was cancelled. What became of the request is unknown.
package struct LocalConnectionClosed: Error {}

package struct LocalClient: Sendable {
    package let eventLoop: any EventLoop
    private let connection: NIOLoopBound<LocalConnection>

    /// On the loop of `loop`.
    init(_ connection: LocalConnection, eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.connection = NIOLoopBound(connection, eventLoop: eventLoop)
    }

    /// Sends a request, one whole frame, and waits for the first frame of its answer. Cancelling the task ends the connection.
    package func request(_ frame: OutputBytes) async throws(LocalConnectionClosed) -> LocalFrame {
        if eventLoop.inEventLoop {
            let connection = connection.value
            connection.begin(frame.bytes)
            if let answer = connection.nextIfThere() { return answer }
        } else {
            let bytes = Array(frame.bytes)
            eventLoop.execute { bytes.withUnsafeBytes { connection.value.begin($0) } }
        }
        return try await next()
    }

    /// Waits for the next frame of the answer: of a stream's.
    package func next() async throws(LocalConnectionClosed) -> LocalFrame {
        let frame = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                onLoop { $0.next { continuation.resume(returning: $0) } }
            }
        } onCancel: {
            onLoop { $0.close() }
        }
        guard let frame else { throw LocalConnectionClosed() }
        return frame
    }

    /// Lets the stream that is the answer go on by `count` chunks.
    package func addCredit(stream: UInt64, count: Int = 1) {
        let frame = OutputBytes(capacity: 64)
        let mark = frame.beginFrame(.cursorCredit)
        frame.writeMapHeader(2)
        frame.writeString("stream")
        frame.writeUInt(stream)
        frame.writeString("credit")
        frame.writeInt(count)
        frame.endFrame(mark)
        let bytes = Array(frame.bytes)
        onLoop { connection in bytes.withUnsafeBytes { connection.add($0) } }
    }

    package func close() { onLoop { $0.close() } }

    /// On its loop only.
    package var isClosed: Bool { connection.value.isClosed }

    private func onLoop(_ body: @escaping @Sendable (LocalConnection) -> Void) {
        if eventLoop.inEventLoop { return body(connection.value) }
        eventLoop.execute { body(connection.value) }
    }
}

/// Where local connections are opened: one of a node's event loops.
package struct LocalPort: Sendable {
    package let eventLoop: any EventLoop
    private let loop: NIOLoopBound<LoopContext>

    init(_ loop: NIOLoopBound<LoopContext>) {
        self.loop = loop
        eventLoop = loop.eventLoop
    }

    /// On the loop only.
    package func open(address: SocketAddress?) -> LocalClient {
        LocalClient(LocalConnection(loop: loop.value, address: address), eventLoop: eventLoop)
    }
}
