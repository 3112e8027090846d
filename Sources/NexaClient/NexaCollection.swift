import NIOCore
import NexaWire

/// A collection whose documents are read and written as `Element`. A value: cheap to make, nothing to close.
///
/// Fields that the node adds (`_id`, `_created_at`, `_updated_at`, and `id`) come with every document; declare those you want.
public struct NexaCollection<Element: Codable & Sendable>: Sendable {
    public let client: NexaClient
    public let name: String
    /// Nil: the client's.
    public var database: String?

    init(client: NexaClient, name: String) {
        self.client = client
        self.name = name
    }

    /// The same documents as another type.
    public func of<Other: Codable & Sendable>(_ type: Other.Type) -> NexaCollection<Other> {
        var other = NexaCollection<Other>(client: client, name: name)
        other.database = database
        return other
    }

    // MARK: One document

    /// Stores a new document and answers it with what the node added. Its key is `_id` or `id` where it has one; a key that exists is
    /// `duplicateKey`.
    @discardableResult
    public func create(_ element: Element) async throws(NexaError) -> Element {
        var request = Request(.create, isWrite: true, database: database, collection: name)
        try request.addDocument("data", element)
        return try await decode(client.write(request))
    }

    /// Stores a new document and answers its key alone.
    @discardableResult
    public func insert(_ element: Element) async throws(NexaError) -> String {
        var request = Request(.create, isWrite: true, database: database, collection: name)
        try request.addDocument("data", element)
        request.add("return", "id")
        let reply = try await client.write(request)
        let id = try reply.value()
        guard let text = id.stringValue ?? id.documentValue?["id"]?.stringValue ?? id.documentValue?["_id"]?.stringValue else {
            throw NexaError(.protocolViolation, "CREATE answered no id")
        }
        return text
    }

    /// The document with `key`, or nil.
    public func get(_ key: String) async throws(NexaError) -> Element? {
        let reply = try await client.perform(Request(.read, database: database, collection: name, key: key))
        return reply.type == .notFound ? nil : try decode(reply)
    }

    /// The documents with `keys`, in that order; nil where there is none.
    public func getMany(_ keys: [String]) async throws(NexaError) -> [Element?] {
        var request = Request(.multiRead, database: database, collection: name)
        request.add("keys", .array(keys.map { .string($0) }))
        return try await client.perform(request).elements(of: Element?.self)
    }

    /// Sets the fields of `updates` and answers the document after that; nil where there is none. With `ifMatch` only at that revision:
    /// else `conflict`.
    @discardableResult
    public func update(
        _ key: String, _ updates: Document, upsert: Bool = false, ifMatch: Int? = nil
    ) async throws(NexaError) -> Element? {
        var request = Request(.update, isWrite: true, database: database, collection: name, key: key)
        request.add("updates", .document(updates))
        if upsert { request.add("upsert", true) }
        request.add("if_match", ifMatch.map { .int(Int64($0)) })
        let reply = try await client.write(request)
        return reply.type == .notFound ? nil : try decode(reply)
    }

    /// Whether there was a document to delete.
    @discardableResult
    public func delete(_ key: String, ifMatch: Int? = nil) async throws(NexaError) -> Bool {
        var request = Request(.delete, isWrite: true, database: database, collection: name, key: key)
        request.add("if_match", ifMatch.map { .int(Int64($0)) })
        return try await client.write(request).type != .notFound
    }

    // MARK: Many documents

    /// All matches as an array. For many documents use `find`: here they all come at once, or not at all (`tooLarge`).
    public func query(_ filter: Document = [:], _ options: QueryOptions = QueryOptions()) async throws(NexaError) -> [Element] {
        var all: [Element] = []
        var cursor = find(filter, options)
        cursor.isList = true
        for try await element in cursor { all.append(element) }
        return all
    }

    /// The matches one after the other, in chunks that are asked for as they are used up.
    public func find(_ filter: Document = [:], _ options: QueryOptions = QueryOptions()) -> Cursor<Element> {
        Cursor(client: client, request: .query(name, database, filter, options), batchSize: options.batchSize)
    }

    /// Number of matches.
    public func count(_ filter: Document = [:]) async throws(NexaError) -> Int {
        var request = Request(.count, database: database, collection: name)
        request.add("filters", filter.isEmpty ? nil : .document(filter))
        let value = try await client.perform(request).value()
        guard let count = value.intValue ?? value.documentValue?["count"]?.intValue else {
            throw NexaError(.protocolViolation, "COUNT answered no number")
        }
        return count
    }

    /// The documents whose `field` is nearest to `vector`, best first.
    public func vectorSearch(
        _ vector: Vector, limit: Int = 10, filter: Document = [:], field: String? = nil, metric: VectorMetric? = nil
    ) async throws(NexaError) -> [VectorMatch<Element>] {
        var request = Request(.vectorSearch, database: database, collection: name)
        request.add("vector", .vector(vector.elements))
        request.add("limit", .int(Int64(limit)))
        request.add("filters", filter.isEmpty ? nil : .document(filter))
        request.add("field", field.map { .string($0) })
        request.add("metric", metric.map { .string($0.rawValue) })
        return try await client.perform(request).elements(of: Hit<Element>.self).map {
            VectorMatch(id: $0.id, score: $0.score, document: $0.document)
        }
    }

    /// Creates all `elements`; atomic: all or none.
    @discardableResult
    public func createMany(
        _ elements: [Element], atomic: Bool = true, ordered: Bool = true
    ) async throws(NexaError) -> BatchResult {
        var request = Request(.batchWrite, isWrite: true, database: database, collection: name)
        try request.addDocuments("documents", elements)
        return try await batch(&request, atomic, ordered)
    }

    /// Several operations in one; atomic: all or none. Ordered: the first failure stops the rest.
    @discardableResult
    public func batchWrite(
        _ operations: [BatchOperation], atomic: Bool = true, ordered: Bool = true
    ) async throws(NexaError) -> BatchResult {
        var request = Request(.batchWrite, isWrite: true, database: database, collection: name)
        request.add("operations", .array(operations.map { .document($0.document) }))
        return try await batch(&request, atomic, ordered)
    }

    private func batch(_ request: inout Request, _ atomic: Bool, _ ordered: Bool) async throws(NexaError) -> BatchResult {
        request.add("atomic", .bool(atomic))
        request.add("ordered", .bool(ordered))
        return BatchResult(try await client.write(request).document())
    }

    /// Drops the collection.
    public func drop() async throws(NexaError) {
        _ = try await client.perform(Request(.dropCollection, isWrite: true, database: database, collection: name))
    }

    private func decode(_ reply: Reply) throws(NexaError) -> Element { try reply.decode(Element.self) }
}

/// A hit as the node sends it.
struct Hit<Element: Codable & Sendable>: Codable {
    let id: String
    let score: Double
    let document: Element
}
