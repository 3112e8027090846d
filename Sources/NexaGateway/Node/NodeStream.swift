/// The answer to a streamed query while it comes: a connection of its own until the last frame was taken, then it goes back to its pool.

import NIOCore
import NexaServer
import NexaWire
import Synchronization

final class NodeStream: Sendable {
    /// STREAM_START, or the whole answer where there is nothing to stream.
    let first: LocalFrame
    private let channel: any Channel
    private let connection: NodeConnection
    private let number: UInt64?
    private let giveBack: @Sendable () -> Void
    private let isDone: Atomic<Bool>

    fileprivate init(
        first: LocalFrame, _ channel: any Channel, _ connection: NodeConnection, giveBack: @escaping @Sendable () -> Void
    ) throws(Problem) {
        self.first = first
        self.channel = channel
        self.connection = connection
        self.giveBack = giveBack
        number = first.type == .streamStart ? try first.payload.number("stream") : nil
        isDone = Atomic(number == nil)
        if number == nil { giveBack() }
    }

    /// A reader that leaves early takes the connection along: the node ends the stream.
    deinit {
        if !isDone.load(ordering: .relaxed) { connection.client.close() }
    }

    /// The frame behind `frame`; nil behind the last one. A chunk that was taken allows the node one more.
    func next(after frame: LocalFrame) async throws(Problem) -> LocalFrame? {
        guard let number else { return nil }
        if frame.type == .streamEnd {
            isDone.store(true, ordering: .relaxed)
            giveBack()
            return nil
        }
        if frame.type == .streamChunk { connection.client.addCredit(stream: number) }
        let departure = await Departure(channel, connection.client)
        defer { departure.end() }
        return try await connection.next()
    }
}

extension NodeAccess {
    /// Asks for a stream and waits for its beginning.
    func openStream(
        of identity: Identity, _ channel: any Channel, _ frame: OutputBytes
    ) async throws(Problem) -> NodeStream {
        let (connection, giveBack) = try await connect(identity, channel)
        nonisolated(unsafe) let frame = frame
        let departure = await Departure(channel, connection.client)
        defer { departure.end() }
        do throws(Problem) {
            return try NodeStream(first: try await connection.ask(frame), channel, connection, giveBack: giveBack)
        } catch {
            if error.leavesConnectionUsable { giveBack() } else { connection.client.close() }
            throw error
        }
    }
}

extension ByteBuffer {
    /// The number in a field of a map.
    func number(_ field: StaticString) throws(Problem) -> UInt64? {
        try withMessagePack { (reader: inout MessagePackReader) throws(MessagePackError) in
            for _ in 0..<(try reader.readMapHeader()) {
                if try reader.readStringBytes().equals(field) { return try reader.readUInt64() }
                try reader.skipValue()
            }
            return nil
        }
    }
}
