/// QUERY, COUNT, VECTOR_SEARCH: what they ask for, and the answers of those that are not streams. They run in the work pool.

import NexaDocuments
import NexaStorage
import NexaWire

extension Executor {
    /// Documents of one chunk of a stream, unless the request says otherwise.
    static let batchSizeDefault = 1_000
    static let batchSizeMax = 100_000

    func query(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        if !mayBlock { throw .wouldBlock }
        var spec = try querySpec(call, session)
        let mode: StreamMode
        switch try fields.flag(.stream) {
        case true?: mode = .always
        case false?: mode = .never
        case nil: mode = session.features.contains(.stream) ? .whenLarge : .never
        }
        // A stream takes the time that its client takes; only a limit of its own ends it.
        if mode != .never, fields.raw(.timeoutMilliseconds) == nil { spec.deadline = nil }
        let batchSize = max(1, min(try fields.count(.batchSize) ?? Self.batchSizeDefault, Self.batchSizeMax))
        guard let collection = try collection(session, create: false, missing: "Missing 'collection' field") else {
            return try answerNothing(spec.filter, call, session, output)
        }
        let cursor = try worker.makeQuery(collection, spec)
        return .work(LongWork(.query(cursor, mode, batchSize: batchSize, collection: collection)))
    }

    func count(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        if !mayBlock { throw .wouldBlock }
        let spec = try querySpec(call, session)
        guard let collection = try collection(session, create: false, missing: "Missing 'collection' field") else {
            return try answerNothing(spec.filter, call, session, output)
        }
        return .work(LongWork(.count(try worker.makeCount(collection, spec), collection: collection)))
    }

    func vectorSearch(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        if !mayBlock { throw .wouldBlock }
        guard let vector = fields.raw(.vector) else {
            throw DocumentError(.badRequest, "Missing 'collection' or 'vector' field", details: [.init("field", "vector")])
        }
        var spec = VectorSearchSpec(vector: vector)
        if let filter = try fields.mapBytes(.filters) { spec.filter = filter }
        if let field = try fields.text(.field) { spec.field = field }
        // A client that asks for more than there can be gets what there is.
        if let limit = try fields.count(.limit) { spec.limit = min(limit, VectorSearchSpec.limitMax) }
        if let name = try fields.text(.metric) {
            guard let metric = VectorMetric(rawValue: String(decoding: name, as: UTF8.self)) else {
                throw DocumentError(
                    .badRequest, "'metric' is \"cosine\", \"dot\" or \"l2\"", details: [.init("field", "metric")])
            }
            spec.metric = metric
        }
        spec.shape = try shape(session)
        spec.atLeast = try readPosition(call)
        spec.deadline = try deadline(call)
        spec.resultByteCountMax = node.limits.frameByteCountMax
        guard let collection = try collection(session, create: false, missing: "Missing 'collection' or 'vector' field") else {
            return try answerNothing(spec.filter, call, session, output)
        }
        return .work(LongWork(.search(try worker.makeVectorSearch(collection, spec), collection: collection)))
    }

    /// The parts of a request that QUERY, COUNT and their TOON forms share.
    func querySpec(_ call: Call, _ session: Session) throws(DocumentError) -> QuerySpec {
        var spec = QuerySpec()
        if let filter = try fields.mapBytes(.filters) { spec.filter = filter }
        if let projection = fields.raw(.projection) { spec.projection = projection }
        if let sort = fields.raw(.sort) { spec.sort = sort }
        spec.limit = try fields.count(.limit)
        spec.skip = try fields.count(.skip) ?? 0
        spec.shape = try shape(session)
        spec.atLeast = try readPosition(call)
        spec.deadline = try deadline(call)
        return spec
    }

    /// The answer for a collection that nobody has written to: the request is checked, and the result is empty like that of an
    /// emptied one.
    private func answerNothing(
        _ filter: Bytes, _ call: Call, _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) -> Outcome {
        _ = try CompiledFilter.compile(filter)
        let lsn = node.store.catalog.view.lsn
        let mark = begin(.success, call, lsn: lsn, output)
        switch (session.dialect, call.type) {
        case (.plain, .count):
            output.writeMapHeader(1)
            output.writeString("count")
            output.writeInt(0)
        case (.plain, _): output.writeArrayHeader(0)
        case (.envelope, let type):
            output.writeMapHeader(type == .count ? 3 : 4)
            writeNames(nil, session, output)
            if type != .count {
                output.writeString(type == .vectorSearch ? "results" : "documents")
                output.writeArrayHeader(0)
            }
            output.writeString("count")
            output.writeInt(0)
        }
        output.endFrame(mark)
        return .answered(hold: 0, commitCount: 0)
    }

    // MARK: Answers

    func answerCount(_ cursor: QueryCursor, _ collection: Collection, _ call: Call, _ session: Session, _ output: OutputBytes) {
        let mark = begin(.success, call, lsn: cursor.lsn, output)
        if session.dialect == .plain {
            output.writeMapHeader(1)
        } else {
            writeEnvelope(collection, fieldCount: 3, output)
        }
        output.writeString("count")
        output.writeInt(cursor.matchedCount)
        end(mark, session, output)
    }

    func answerSearch(
        _ search: VectorSearch, _ collection: Collection, _ call: Call, _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) {
        let mark = begin(.success, call, lsn: search.lsn, output)
        let isPlain = session.dialect == .plain
        if !isPlain {
            writeEnvelope(collection, fieldCount: 4, output)
            output.writeString("results")
        }
        output.writeArrayHeader(search.resultCount)
        for index in 0..<search.resultCount {
            output.writeMapHeader(3)
            output.writeString(isPlain ? "id" : "document_id")
            output.writeString(bytes: search.key(at: index))
            output.writeString(isPlain ? "score" : "similarity")
            output.writeDouble(search.score(at: index))
            output.writeString("document")
            search.appendDocument(at: index, to: output)
        }
        if !isPlain {
            output.writeString("count")
            output.writeInt(search.resultCount)
        }
        try checkSize(mark, output)
        end(mark, session, output)
    }

    func answerStatistics(
        _ scan: StatisticsScan, _ database: String, _ collection: Collection?, _ call: Call, _ session: Session,
        _ output: OutputBytes
    ) {
        let documentCount = scan.statistics.reduce(0) { $0 + $1.documentCount }
        let byteCount = scan.statistics.reduce(0) { $0 + $1.byteCount }
        let mark = begin(.success, call, lsn: scan.lsn, output)
        output.writeMapHeader(4)
        output.writeString("database")
        output.writeString(database)
        if let collection {
            output.writeString("collection")
            output.writeString(collection.name)
        } else {
            output.writeString("collections_count")
            output.writeInt(scan.statistics.count)
        }
        output.writeString("documents_count")
        output.writeInt(documentCount)
        output.writeString("storage_bytes")
        output.writeInt(byteCount)
        end(mark, session, output)
    }
}
