import NexaWire

/// The changes of a collection, or of a database, as they are committed; it ends when the loop over it is left.
///
/// It outlives connections and nodes: a subscription that is lost, for whatever reason that passes, is taken up again behind the last event
/// that was given out, on any node that may serve it; so no event is missed or comes twice. What cannot be taken up again is thrown:
/// `HISTORY_LOST` when the position is in no log any more.
public struct ChangeStream<Element: Codable & Sendable>: AsyncSequence, Sendable {
    let client: NexaClient
    let database: String?
    let collection: String?
    let options: WatchOptions

    public func makeAsyncIterator() -> Iterator {
        Iterator(source: EventSource(client: client, database: database, collection: collection, options: options))
    }

    public struct Iterator: AsyncIteratorProtocol {
        private let source: EventSource

        init(source: EventSource) { self.source = source }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(NexaError) -> ChangeEvent<Element>? {
            guard let reply = try await source.next() else { return nil }
            return try ChangeEvent(reply)
        }

        public mutating func next() async throws(NexaError) -> ChangeEvent<Element>? { try await next(isolation: nil) }
    }
}

extension NexaCollection {
    /// The changes of this collection from now on, or from where `options` says.
    public func watch(_ options: WatchOptions = WatchOptions()) -> ChangeStream<Element> {
        ChangeStream(client: client, database: database, collection: name, options: options)
    }
}

extension NexaClient {
    /// The changes of all collections of a database; nil: the client's.
    public func watch(database: String? = nil, _ options: WatchOptions = WatchOptions()) -> ChangeStream<Document> {
        ChangeStream(client: self, database: database, collection: nil, options: options)
    }
}
