import NexaWire

// Operations on untyped documents by the name of the collection, for scripts and for those who come from the other clients, and those
// that concern no collection.

extension NexaClient {
    /// Whether a node answers: throws when none does.
    public func ping() async throws(NexaError) { _ = try await perform(Request(.ping)) }

    /// See ``NexaCollection/create(_:)``.
    @discardableResult
    public func create(_ collection: String, _ document: Document) async throws(NexaError) -> Document {
        try await self.collection(collection).create(document)
    }

    /// See ``NexaCollection/get(_:)``.
    public func get(_ collection: String, _ key: String) async throws(NexaError) -> Document? {
        try await self.collection(collection).get(key)
    }

    /// See ``NexaCollection/update(_:_:upsert:ifMatch:)``.
    @discardableResult
    public func update(
        _ collection: String, _ key: String, _ updates: Document, upsert: Bool = false, ifMatch: Int? = nil
    ) async throws(NexaError) -> Document? {
        try await self.collection(collection).update(key, updates, upsert: upsert, ifMatch: ifMatch)
    }

    /// See ``NexaCollection/delete(_:ifMatch:)``.
    @discardableResult
    public func delete(_ collection: String, _ key: String, ifMatch: Int? = nil) async throws(NexaError) -> Bool {
        try await self.collection(collection).delete(key, ifMatch: ifMatch)
    }

    /// See ``NexaCollection/query(_:_:)``.
    public func query(
        _ collection: String, _ filter: Document = [:], _ options: QueryOptions = QueryOptions()
    ) async throws(NexaError) -> [Document] {
        try await self.collection(collection).query(filter, options)
    }

    /// See ``NexaCollection/count(_:)``.
    public func count(_ collection: String, _ filter: Document = [:]) async throws(NexaError) -> Int {
        try await self.collection(collection).count(filter)
    }

    /// See ``NexaCollection/batchWrite(_:atomic:ordered:)``.
    @discardableResult
    public func batchWrite(
        _ collection: String, _ operations: [BatchOperation], atomic: Bool = true, ordered: Bool = true
    ) async throws(NexaError) -> BatchResult {
        try await self.collection(collection).batchWrite(operations, atomic: atomic, ordered: ordered)
    }

    /// See ``NexaCollection/vectorSearch(_:limit:filter:field:metric:)``.
    public func vectorSearch(
        _ collection: String, _ vector: Vector, limit: Int = 10, filter: Document = [:]
    ) async throws(NexaError) -> [VectorMatch<Document>] {
        try await self.collection(collection).vectorSearch(vector, limit: limit, filter: filter)
    }

    /// Names of the collections of a database; nil: the client's.
    public func listCollections(database: String? = nil) async throws(NexaError) -> [String] {
        let answer = try await perform(Request(.listCollections, database: database)).document()
        return (answer["collections"]?.arrayValue ?? []).compactMap { $0.stringValue ?? $0.documentValue?["name"]?.stringValue }
    }

    /// Names of all databases.
    public func listDatabases() async throws(NexaError) -> [String] {
        let answer = try await perform(Request(.listDatabases)).document()
        return (answer["databases"]?.arrayValue ?? []).compactMap { $0.stringValue ?? $0.documentValue?["name"]?.stringValue }
    }

    /// The node's figures, as `nexadb status` shows them.
    public func status() async throws(NexaError) -> Document { try await perform(Request(.status)).document() }

    /// A write of documents: DUPLICATE is an error.
    func write(_ request: Request) async throws(NexaError) -> Reply {
        let reply = try await perform(request)
        if reply.type == .duplicate { throw reply.refusal }
        return reply
    }
}
