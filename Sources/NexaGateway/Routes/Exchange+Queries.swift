/// Many documents: pages, lines, counts, the nearest vectors.

import HTTPTypes
import HummingbirdCore
import NIOCore
import NexaServer
import NexaWire

extension Exchange {
    /// GET /collections/{c}
    func list(_ target: Target) async throws(Problem) -> Answer {
        try await answer(try QueryDescription(parameters), target)
    }

    /// POST /collections/{c}/query
    func query(_ target: Target) async throws(Problem) -> Answer { try await answer(try await description(), target) }

    /// POST /collections/{c}/explain: what the page that this query asks for costs.
    func explain(_ target: Target) async throws(Problem) -> Answer {
        let query = try await description()
        var explain = NodeRequest(.explain)
        explain.add(target, self)
        query.add(to: &explain, limit: query.limit ?? QueryDescription.limitDefault)
        try explain.addReadOptions(self)
        return try await success(try await ask(explain.frame()))
    }

    private func description() async throws(Problem) -> QueryDescription {
        try QueryDescription(try await optionalMap() ?? RequestMap(), parameters)
    }

    private func answer(_ query: QueryDescription, _ target: Target) async throws(Problem) -> Answer {
        let accept = Acceptance(request.headers[.accept])
        if method != .head, accept.prefersLines { return try await lines(query, target) }
        guard accept.quality(of: MediaType.json) > 0 || accept.prefersLines else {
            throw Problem(.notAcceptable, "Documents come as \(MediaType.json) or \(MediaType.lines)")
        }
        return try await page(query, target)
    }

    // MARK: Pages

    private func page(_ query: QueryDescription, _ target: Target) async throws(Problem) -> Answer {
        let limit = min(query.limit ?? QueryDescription.limitDefault, 1 << 40)
        // Behind a page of nothing the next one would be the same.
        guard limit > 0 else { throw QueryParameters.bad("limit", "is at least 1 for a page") }
        var find = NodeRequest(.query)
        find.add(target, self)
        // One more tells whether there is a next page.
        query.add(to: &find, limit: limit + 1)
        find.add("stream", false)
        try find.addReadOptions(self)
        let frame = try await ask(find.frame())
        let (body, next) = try await work(on: frame.payload.readableBytes) { () throws(Problem) in
            try json(of: frame, query, limit: limit)
        }
        try checkRoom(for: body)
        var answer = finish(Answer(json: body), frame)
        if let next, method != .post { answer.fields[.link] = "<\(link(next))>; rel=\"next\"" }
        return answer
    }

    private func json(
        of frame: LocalFrame, _ query: QueryDescription, limit: Int
    ) throws(Problem) -> (text: OutputBytes, next: PageCursor?) {
        let body = JSONBody(style: style, capacity: frame.payload.readableBytes * 2 + 128)
        var page = Page()
        try frame.payload.withMessagePack { (reader: inout MessagePackReader) throws(MessagePackError) in
            body.append("{\"status\":\"success\"")
            for _ in 0..<(try reader.readMapHeader()) {
                let name = try body.appendName(&reader)
                if name.equals("documents") {
                    page = try body.appendPage(&reader, limit: limit)
                } else if name.equals("count") {
                    try reader.skipValue()
                    body.append("\(page.count)")
                } else {
                    try JSONText.write(try reader.readRawValue(), into: body.output, style: style)
                }
            }
        }
        var next: PageCursor?
        if page.hasMore {
            if query.pagesByKey, let key = page.lastKey {
                next = .behind(key: key)
            } else {
                var before = query.skip
                if case .after(let count) = query.cursor { before = count }
                next = .after(count: before + page.count)
            }
        }
        body.append(",\"next_cursor\":")
        if let next { body.appendString(next.text) } else { body.append("null") }
        body.append("}")
        return (body.output, next)
    }

    /// The request's own address with another cursor.
    private func link(_ cursor: PageCursor) -> String {
        let query = request.uri.query ?? ""
        let others = query.split(separator: "&").filter { !$0.hasPrefix("cursor=") && $0 != "cursor" }
        return request.uri.path + "?" + (others.map(String.init) + ["cursor=\(cursor.text)"]).joined(separator: "&")
    }

    // MARK: Lines

    /// Bare documents, one a line, as the client takes them: the next chunk is asked for when the last one is written.
    private func lines(_ query: QueryDescription, _ target: Target) async throws(Problem) -> Answer {
        var find = NodeRequest(.query)
        find.add(target, self)
        query.add(to: &find, limit: query.limit)
        find.add("stream", true)
        try find.addReadOptions(self)
        nonisolated(unsafe) let frame = find.frame()
        let opened = try await access.openStream(of: identity, channel, frame)
        var answer = finish(Answer(status: 200, fields: [.contentType: MediaType.lines]), opened.first)
        answer.body = .stream { writer in try await self.write(opened, to: &writer) }
        return answer
    }

    private func write(_ stream: NodeStream, to writer: inout any ResponseBodyWriter) async throws {
        var failure: Problem?
        var frame: LocalFrame? = stream.first
        while let current = frame {
            let lines: ByteBuffer
            do throws(Problem) {
                lines = try await work(on: current.payload.readableBytes) { () throws(Problem) in
                    try Self.lines(of: current, style: style)
                }
            } catch {
                failure = error
                break
            }
            if lines.readableBytes > 0 { try await writer.write(lines) }
            do throws(Problem) { frame = try await stream.next(after: current) } catch {
                failure = error
                break
            }
        }
        if let failure {
            try await writer.write(ByteBuffer(string: lastLine(failure)))
        }
        try await writer.finish(nil)
    }

    static func compact(_ value: MessagePackValue) -> String {
        let output = OutputBytes(capacity: 256)
        value.encoded().withUnsafeBytes { try? JSONText.write($0, into: output, style: .compact) }
        return String(decoding: output.bytes, as: UTF8.self)
    }

    private static func lines(of frame: LocalFrame, style: JSONText.Style) throws(Problem) -> ByteBuffer {
        let output = OutputBytes(capacity: frame.payload.readableBytes * 2)
        try frame.payload.withMessagePack { (reader: inout MessagePackReader) throws(MessagePackError) in
            for _ in 0..<(try reader.readMapHeader()) {
                guard try reader.readStringBytes().equals("documents") else {
                    try reader.skipValue()
                    continue
                }
                for _ in 0..<(try reader.readArrayHeader()) {
                    try JSONText.write(try reader.readRawValue(), into: output, style: style)
                    output.appendU8(UInt8(ascii: "\n"))
                }
            }
        }
        return ByteBuffer(bytes: output.bytes)
    }

    // MARK: Count, vectors

    func count(_ target: Target) async throws(Problem) -> Answer {
        let query = try await description()
        var count = NodeRequest(.count)
        count.add(target, self)
        if let filter = query.filter { filter.withUnsafeBytes { count.add("filters", raw: $0) } }
        try count.addReadOptions(self)
        return try await success(try await ask(count.frame()))
    }

    func vectorSearch(_ target: Target) async throws(Problem) -> Answer {
        let map = try await map()
        var search = NodeRequest(.vectorSearch)
        search.add(target, self)
        search.add("vector", from: map, "vector", "query_vector")
        search.add("limit", from: map, "limit", "k", "top_k")
        search.add("filters", from: map, "filters", "filter", "query")
        search.add("field", from: map, "field")
        search.add("metric", from: map, "metric")
        search.add("include_vector", from: map, "include_vector")
        try search.addReadOptions(self)
        return try await success(try await ask(search.frame()))
    }
}

/// What was written of a page.
struct Page {
    var count = 0
    var hasMore = false
    /// `_id` of the last document, where the projection leaves it in.
    var lastKey: String?
}

extension JSONBody {
    /// The first `limit` documents of a list.
    func appendPage(_ reader: inout MessagePackReader, limit: Int) throws(MessagePackError) -> Page {
        var page = Page()
        let count = try reader.readArrayHeader()
        append("[")
        for index in 0..<count {
            let document = try reader.readRawValue()
            guard index < limit else {
                page.hasMore = true
                continue
            }
            if index > 0 { append(",") }
            try JSONText.write(document, into: output, style: style)
            if index == limit - 1 { page.lastKey = Self.key(of: document) }
        }
        append("]")
        page.count = min(count, limit)
        return page
    }

    private static func key(of document: UnsafeRawBufferPointer) -> String? {
        var reader = MessagePackReader(document)
        guard let count = try? reader.readMapHeader() else { return nil }
        for _ in 0..<count {
            guard let name = try? reader.readStringBytes() else { return nil }
            if name.equals("_id") { return try? reader.readString() }
            guard (try? reader.skipValue()) != nil else { return nil }
        }
        return nil
    }
}
