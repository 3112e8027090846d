/// What a query asks for, whether it came in the URL or in a body: one description, one frame.

import HTTPTypes
import NexaWire

struct QueryDescription {
    /// MessagePack values.
    var filter: [UInt8]?
    var sort: [UInt8]?
    var projection: [UInt8]?
    var limit: Int?
    var skip = 0
    var cursor: PageCursor?
    var includesVector = true
    var showsRevision = false

    /// Documents of a page, unless the request says otherwise.
    static let limitDefault = 100

    /// `?filter=&sort=&fields=&limit=&skip=&cursor=`, with the names that other gateways use for the same.
    init(_ parameters: QueryParameters) throws(Problem) {
        if let text = parameters.first("filter", "query", "filters") { filter = try Exchange.parse(parameter: text) }
        if let text = parameters.first("sort") {
            // JSON, or the short form: field,-field
            sort =
                text.text.first == "{" || text.text.first == "["
                ? try Exchange.parse(parameter: text) : Self.sort(text.text)
        }
        if let text = parameters.first("fields", "projection") {
            projection =
                text.text.first == "{" || text.text.first == "["
                ? try Exchange.parse(parameter: text) : Self.list(text.text)
        }
        limit = try parameters.count("limit")
        skip = try parameters.count(parameters.text("skip") == nil ? "offset" : "skip") ?? 0
        try take(cursor: parameters.text("cursor"))
        includesVector = try parameters.flag("include_vector") ?? true
        showsRevision = try parameters.flag("rev") ?? false
        try checkCursor()
    }

    /// The body of POST /collections/{c}/query; what stands in the URL beside it holds, too.
    init(_ map: RequestMap, _ parameters: QueryParameters) throws(Problem) {
        try self.init(parameters)
        filter = map.value("filters", "filter", "query") ?? filter
        sort = map.value("sort") ?? sort
        projection = map.value("projection", "fields") ?? projection
        limit = try map.count("limit") ?? limit
        skip = try map.count("skip", "offset") ?? skip
        if let text = try map.text("cursor") { try take(cursor: text) }
        try checkCursor()
    }

    /// A cursor that names a key continues a query in the order of keys.
    private func checkCursor() throws(Problem) {
        if case .behind = cursor, !pagesByKey { throw QueryParameters.bad("cursor", "is of a query without sort and skip") }
    }

    private mutating func take(cursor text: String?) throws(Problem) {
        guard let text else { return }
        guard let cursor = PageCursor(text) else { throw QueryParameters.bad("cursor", "is a next_cursor of an answer") }
        self.cursor = cursor
    }

    /// Whether pages begin behind keys.
    var pagesByKey: Bool { sort == nil && skip == 0 }

    /// Adds the fields. `limit` documents, however many a page has.
    func add(to request: inout NodeRequest, limit: Int?) {
        var skip = skip
        switch cursor {
        case .behind(let key): request.add("filters") { writeFilter(behind: key, $0) }
        case .after(let count):
            skip = count
            if let filter { filter.withUnsafeBytes { request.add("filters", raw: $0) } }
        case nil:
            if let filter { filter.withUnsafeBytes { request.add("filters", raw: $0) } }
        }
        if let sort { sort.withUnsafeBytes { request.add("sort", raw: $0) } }
        if let projection { projection.withUnsafeBytes { request.add("projection", raw: $0) } }
        if let limit { request.add("limit", limit) }
        if skip > 0 { request.add("skip", skip) }
        request.add("include_vector", includesVector)
        if showsRevision { request.add("rev", true) }
    }

    /// `{$and: [{_id: {$gt: key}}, filter]}`
    private func writeFilter(behind key: String, _ output: OutputBytes) {
        output.writeMapHeader(1)
        output.writeString("$and")
        output.writeArrayHeader(filter == nil ? 1 : 2)
        output.writeMapHeader(1)
        output.writeString("_id")
        output.writeMapHeader(1)
        output.writeString("$gt")
        output.writeString(key)
        if let filter { output.append(filter) }
    }

    /// `a,-b` as `[[a, 1], [b, -1]]`.
    private static func sort(_ text: String) -> [UInt8] {
        let parts = text.split(separator: ",")
        return MessagePackValue.array(
            parts.map { part in
                part.first == "-" ? [.string(String(part.dropFirst())), -1] : [.string(String(part)), 1]
            }
        ).encoded()
    }

    private static func list(_ text: String) -> [UInt8] {
        MessagePackValue.array(text.split(separator: ",").map { .string(String($0)) }).encoded()
    }
}
