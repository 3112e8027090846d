import NexaWire

/// What a query asks for beyond its filter. Without `limit` all matches come.
public struct QueryOptions: Sendable {
    /// By field: true ascending, false descending.
    public enum Order: Sendable {
        case ascending(String)
        case descending(String)
    }

    /// Which fields come.
    public enum Projection: Sendable {
        /// These, and `_id`.
        case including([String])
        /// All but these.
        case excluding([String])
    }

    public var sort: [Order]
    public var limit: Int?
    public var skip: Int?
    /// Nil: all fields.
    public var projection: Projection?
    /// Documents per chunk of a cursor; nil: the node's choice.
    public var batchSize: Int?

    public init(
        sort: [Order] = [], limit: Int? = nil, skip: Int? = nil, projection: Projection? = nil, batchSize: Int? = nil
    ) {
        self.sort = sort
        self.limit = limit
        self.skip = skip
        self.projection = projection
        self.batchSize = batchSize
    }
}

extension Request {
    /// QUERY with `filter`.
    static func query(_ collection: String, _ database: String?, _ filter: Document, _ options: QueryOptions) -> Request {
        var request = Request(.query, database: database, collection: collection)
        request.add("filters", filter.isEmpty ? nil : .document(filter))
        if !options.sort.isEmpty {
            request.add(
                "sort",
                .array(
                    options.sort.map { order in
                        switch order {
                        case .ascending(let field): [.string(field), 1]
                        case .descending(let field): [.string(field), -1]
                        }
                    }))
        }
        request.add("limit", options.limit.map { .int(Int64($0)) })
        request.add("skip", options.skip.map { .int(Int64($0)) })
        switch options.projection {
        case .including(let fields): request.add("projection", .document(Document(fields.map { ($0, 1) })))
        case .excluding(let fields): request.add("projection", .document(Document(fields.map { ($0, 0) })))
        case nil: break
        }
        return request
    }
}
