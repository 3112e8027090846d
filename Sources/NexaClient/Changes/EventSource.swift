import NIOCore
import NexaWire

/// One subscription after the other, so that they look like one. Used by one task at a time, as iterators are (hence `@unchecked
/// Sendable`: it crosses tasks with its iterator, never shared).
final class EventSource: @unchecked Sendable {
    private struct Subscription: Sendable {
        let connection: Connection
        let stream: AnswerStream
        let ticket: UInt64
        /// The node's number for it, once it was confirmed.
        var number: DocumentValue?
    }

    private let client: NexaClient
    private let database: String?
    private let collection: String?
    private let options: WatchOptions
    private var resumeAfter: ResumeToken?
    private var subscription: Subscription?
    private var failureCount = 0

    init(client: NexaClient, database: String?, collection: String?, options: WatchOptions) {
        self.client = client
        self.database = database
        self.collection = collection
        self.options = options
        resumeAfter = options.resumeAfter
    }

    deinit { leave() }

    /// The next CHANGE_EVENT; nil when the task was cancelled.
    func next() async throws(NexaError) -> Reply? {
        while !Task.isCancelled {
            guard let current = subscription else {
                try await subscribe()
                continue
            }
            switch await current.stream.next() {
            case .reply(let reply):
                if let event = try await take(reply) { return event }
            case .end(let error):
                leave()
                // A connection that is gone, or events that were dropped: what was not given out comes again.
                if current.stream.isOverflowing { continue }
                switch error?.kind {
                case .cancelled: return nil
                case .connection: try await rest()
                default: throw error ?? NexaError(.protocolViolation, "A subscription ended without a word")
                }
            }
        }
        leave()
        return nil
    }

    /// One frame of the subscription; answers it when it is an event for the reader.
    private func take(_ reply: Reply) async throws(NexaError) -> Reply? {
        let document = try reply.document()
        if let token = document["resume_token"]?.binaryValue { resumeAfter = ResumeToken(bytes: token) }
        switch reply.type {
        case .changeEvent:
            failureCount = 0
            return document["operationType"]?.stringValue == "heartbeat" ? nil : reply
        case .success:
            subscription?.number = document["subscription"]
            return nil
        case .error:
            // The last frame: nothing is left to leave.
            let connection = subscription?.connection
            subscription = nil
            let refusal = NexaError(refusal: document)
            switch refusal.code {
            case "SUBSCRIPTION_LOST", "OVERLOADED", "SHUTTING_DOWN", "STALE_READ", "NOT_LEADER":
                if refusal.code == "NOT_LEADER", let connection {
                    client.topology.isNotLeader(connection.host, leader: ServerHello.address(document["leader"]?.stringValue))
                }
                try await rest()
                return nil
            default: throw refusal
            }
        default: throw NexaError(.protocolViolation, "\(reply.type.name) is no event")
        }
    }

    private func subscribe() async throws(NexaError) {
        let deadline = client.configuration.timeout.map { NIODeadline.now().uptimeNanoseconds &+ UInt64($0.nanoseconds) } ?? .max
        let connection = try await client.topology.acquire(.read(client.configuration.readPreference), deadline: deadline)
        guard connection.hello.hasRequestIDs else {
            throw NexaError(
                .validation, "\(connection.host) knows no request ids, which subscriptions on a shared connection need")
        }
        var request = Request(.subscribeChanges, database: database, collection: collection)
        request.add("operations", options.operations.map { .array($0.map { .string($0) }) })
        request.add("resume_after", resumeAfter.map { .binary($0.bytes) })
        let stream = AnswerStream(subscriptionByteCountMax: options.bufferByteCount)
        let ticket = connection.nextTicket()
        if let refusal = connection.open(stream, request, Attempt(), StandingFields(), ticket: ticket, deadline: .max) {
            // The connection ended before it could take it.
            guard refusal.kind == .connection else { throw refusal }
            return try await rest()
        }
        subscription = Subscription(connection: connection, stream: stream, ticket: ticket)
    }

    /// Between attempts, so that a subscription that is lost at once does not spin.
    private func rest() async throws(NexaError) {
        failureCount += 1
        let delay = BackOff.connecting.delay(failures: failureCount, random: .random(in: 0..<1))
        do { try await Task.sleep(for: delay) } catch { throw .cancelled }
    }

    /// Ends the subscription on the node, in the background; its slot is free when the node has confirmed that.
    private func leave() {
        guard let subscription else { return }
        self.subscription = nil
        Task {
            let (connection, stream) = (subscription.connection, subscription.stream)
            var number = subscription.number
            while number == nil {
                // Not confirmed yet: only then it has a number to name.
                guard case .reply(let reply) = await stream.next(), reply.type == .success else { break }
                number = (try? reply.document())?["subscription"]
            }
            stream.finish(nil)
            guard let number else { return }
            var request = Request(.unsubscribeChanges)
            request.add("subscription", number)
            let limit = NIODeadline.now() + .seconds(10)
            _ = await connection.send(request, Attempt(), StandingFields(), deadline: limit.uptimeNanoseconds)
            connection.forget(subscription.ticket)
        }
    }
}
