import NIOCore
import NexaWire

/// The documents of a query, one after the other.
///
/// The node sends chunks as they are asked for and is never more than two ahead, so a slow reader slows the node and not its memory. The
/// loop may be left at any time: the node is told to stop. Each iteration asks anew. One budget of time per chunk, not for all of it.
public struct Cursor<Element: Codable & Sendable>: AsyncSequence, Sendable {
    let client: NexaClient
    let request: Request
    let batchSize: Int?
    /// Whether the whole iteration has one budget of time.
    var isList = false

    public func makeAsyncIterator() -> Iterator {
        Iterator(client: client, request: request, batchSize: batchSize, isList: isList)
    }

    public struct Iterator: AsyncIteratorProtocol {
        private let source: ChunkSource
        private var chunk: [Element] = []
        private var index = 0

        init(client: NexaClient, request: Request, batchSize: Int?, isList: Bool) {
            source = ChunkSource(client: client, request: request, batchSize: batchSize, isList: isList)
        }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(NexaError) -> Element? {
            while index == chunk.count {
                guard let reply = try await source.next() else { return nil }
                chunk =
                    reply.type == .success
                    ? try reply.elements(of: Element.self) : try reply.elements("documents", of: Element.self)
                index = 0
            }
            defer { index += 1 }
            return chunk[index]
        }

        public mutating func next() async throws(NexaError) -> Element? { try await next(isolation: nil) }
    }
}

/// The chunks of one query, and its end: by the last chunk, an error, or because nobody holds the iterator any more.
///
/// Used by one task at a time, as iterators are (hence `@unchecked Sendable`: it crosses tasks with its iterator, never shared).
final class ChunkSource: @unchecked Sendable {
    private enum Phase {
        case idle
        case streaming(Connection, AnswerStream, ticket: UInt64, stream: UInt64?)
        case ended
    }

    private let client: NexaClient
    private let request: Request
    /// When the whole has to be there; `.max`: each frame has a budget of its own.
    private let deadline: UInt64
    private var phase = Phase.idle
    private var retries: RetryState
    private var need: Need
    private var hasDelivered = false

    init(client: NexaClient, request: Request, batchSize: Int?, isList: Bool) {
        self.client = client
        var request = request
        request.add("stream", true)
        request.add("batch_size", batchSize.map { .int(Int64($0)) })
        self.request = request
        let budget = isList ? client.configuration.timeout : nil
        deadline = budget.map { NIODeadline.now().uptimeNanoseconds &+ UInt64($0.nanoseconds) } ?? .max
        retries = RetryState(isWrite: false, client.configuration)
        need = .read(client.configuration.readPreference)
    }

    deinit { giveUp() }

    private func giveUp() {
        if case .streaming(let connection, let stream, let ticket, _) = phase {
            stream.finish(.cancelled)
            connection.giveUp(ticket)
        }
        phase = .ended
    }

    /// The next chunk, which is a STREAM_CHUNK or the one SUCCESS; nil at the end.
    func next() async throws(NexaError) -> Reply? {
        while true {
            if case .idle = phase {
                try await open()
                continue
            }
            guard case .streaming(let connection, let stream, let ticket, let id) = phase else { return nil }
            switch await within(stream) {
            case .end(let error):
                // A cancelled or late consumer leaves the stream behind; one that ended is over already.
                giveUp()
                guard let error else { return nil }
                try await again(.unanswered(error, hadOperationID: false), on: connection)
            case .reply(let reply):
                switch reply.type {
                case .streamStart:
                    let number = try reply.document()["stream"]?.intValue
                    phase = .streaming(connection, stream, ticket: ticket, stream: number.map { UInt64(clamping: $0) })
                case .streamChunk:
                    if let id { connection.post(.credit(id)) }
                    hasDelivered = true
                    return reply
                case .success:
                    phase = .ended
                    return reply
                case .streamEnd, .notFound:
                    phase = .ended
                    return nil
                case .error:
                    phase = .ended
                    let refusal = reply.refusal
                    if refusal.code == "TOKEN_LOST" { client.position.forget() }
                    try await again(.refused(refusal, hadOperationID: false), on: connection)
                default:
                    giveUp()
                    throw NexaError(.protocolViolation, "\(reply.type.name) answers no QUERY")
                }
            }
        }
    }

    /// Begins anew after a failure, if that is right for a read and nothing was given out yet; else throws it.
    private func again(_ failure: RetryState.Failure, on connection: Connection) async throws(NexaError) {
        if hasDelivered { throw failure.error }
        switch retries.decide(failure, random: .random(in: 0..<1)) {
        case .fail(let error): throw error
        case .retry(let delay):
            do { try await Task.sleep(for: delay) } catch { throw .cancelled }
        case .askPrimary: need = .read(.primary)
        case .findLeader(let leader, _): client.topology.isNotLeader(connection.host, leader: leader)
        }
        phase = .idle
    }

    /// The next frame, or a time-out when none comes within the budget of an operation.
    private func within(_ stream: AnswerStream) async -> AnswerStream.Element {
        guard let timeout = client.configuration.timeout else { return await stream.next() }
        guard case .streaming(let connection, _, _, _) = phase else { return .end(nil) }
        let limit = min(deadline, NIODeadline.now().uptimeNanoseconds &+ UInt64(timeout.nanoseconds))
        guard NIODeadline.now().uptimeNanoseconds < deadline else {
            return .end(NexaError(.timeout, "\(connection.host) did not send all within \(timeout)"))
        }
        let timer = connection.loop.scheduleTask(deadline: .uptimeNanoseconds(limit)) {
            stream.stopWaiting(NexaError(.timeout, "\(connection.host) sent nothing within \(timeout)"))
        }
        defer { timer.cancel() }
        return await stream.next()
    }

    /// Finds a node and sends the query; is idle still where the connection ended before it could take it.
    private func open() async throws(NexaError) {
        let configuration = client.configuration
        let began = NIODeadline.now().uptimeNanoseconds
        let deadline = min(deadline, configuration.timeout.map { began &+ UInt64($0.nanoseconds) } ?? .max)
        let connection = try await client.topology.acquire(need, deadline: deadline)
        var attempt = Attempt()
        if configuration.readsOwnWrites { attempt.after = client.position.needed(on: connection) }
        let stream = AnswerStream()
        let ticket = connection.nextTicket()
        if let refusal = connection.open(stream, request, attempt, client.readFields, ticket: ticket, deadline: .max) {
            return try await again(.notSent(refusal), on: connection)
        }
        phase = .streaming(connection, stream, ticket: ticket, stream: nil)
    }
}

extension Request {
    /// CURSOR_CREDIT for one more chunk.
    static func credit(_ stream: UInt64) -> Request {
        var request = Request(.cursorCredit)
        request.add("stream", .int(Int64(clamping: stream)))
        request.add("credit", 1)
        return request
    }
}
