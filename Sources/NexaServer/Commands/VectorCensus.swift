/// GET_VECTORS and BUILD_HNSW_INDEX for existing clients: which documents have vectors, and how many. Search is exact, so there is
/// nothing to build; the second command says how many vectors the search sees.

import NexaDocuments
import NexaStorage
import NexaWire

/// A walk over the collections of a database that lists the keys of documents with a vector.
package final class VectorCensus {
    static let filter = MessagePackValue.map([.init("vector", ["$exists": true])]).encoded()
    private static let projection = MessagePackValue.map([.init("_id", 1)]).encoded()

    let database: String
    private let collections: [Collection]
    private let atLeast: LSN
    private let deadline: UInt64?
    private var index = 0
    private var cursor: QueryCursor?
    private let page = OutputBytes()
    private var count = 0
    private(set) var lsn: LSN = 0
    /// One entry for each collection that has vectors.
    private(set) var entries: [MessagePackValue.Entry] = []
    private(set) var totalCount = 0

    init(database: String, collections: [Collection], atLeast: LSN, deadline: UInt64?) {
        self.database = database
        self.collections = collections
        self.atLeast = atLeast
        self.deadline = deadline
    }

    func step(_ worker: DocumentWorker, budget: StepBudget, limit: Int) throws(DocumentError) -> StepOutcome {
        while index < collections.count {
            if cursor == nil { cursor = try open(collections[index], worker) }
            guard let cursor else { break }
            let (found, outcome) = try cursor.next(into: page, budget: budget)
            count += found
            if page.byteCount > limit { throw Executor.resultTooLarge(limit) }
            guard outcome == .done else { return .paused }
            lsn = max(lsn, cursor.lsn)
            if count > 0 { entries.append(.init(collections[index].name, entry(collections[index]))) }
            totalCount += count
            count = 0
            page.removeAll()
            self.cursor = nil
            index += 1
        }
        return .done
    }

    private func open(_ collection: Collection, _ worker: DocumentWorker) throws(DocumentError) -> QueryCursor {
        try Self.filter.span.withUnsafeBytes { filter throws(DocumentError) in
            try Self.projection.span.withUnsafeBytes { projection throws(DocumentError) in
                var spec = QuerySpec()
                spec.filter = filter
                spec.projection = projection
                spec.atLeast = atLeast
                spec.deadline = deadline
                return try worker.makeQuery(collection, spec)
            }
        }
    }

    private func entry(_ collection: Collection) -> MessagePackValue {
        let dimensions = MessagePackValue.int(Int64(collection.vectorDimensions ?? 0))
        let list = OutputBytes(capacity: page.byteCount + 8)
        list.writeArrayHeader(count)
        list.append(page.bytes)
        let documents = (try? MessagePackValue(decoding: list.bytes))?.arrayValue ?? []
        return .map([
            .init("count", .int(Int64(count))), .init("dimensions", dimensions),
            .init(
                "documents",
                .array(documents.map { .map([.init("doc_id", $0["_id"] ?? .null), .init("dimensions", dimensions)]) })),
        ])
    }
}

extension Executor {
    func getVectors(_ call: Call, _ session: Session) throws(DocumentError) -> Outcome {
        if !mayBlock { throw .wouldBlock }
        _ = try fields.text(.database)
        let database = requestedDatabase(session)
        let position = try readPosition(call)
        let collections = node.store.catalog.view.collections(of: database) ?? []
        return .work(
            LongWork(
                .vectors(
                    VectorCensus(database: database, collections: collections, atLeast: position, deadline: try deadline(call)))
            ))
    }

    func answerVectors(_ census: VectorCensus, _ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) {
        let mark = begin(.success, call, lsn: census.lsn, output)
        MessagePackValue.map([
            .init("database", .string(census.database)), .init("status", "success"),
            .init("total_vectors", .int(Int64(census.totalCount))), .init("collections", .map(census.entries)),
        ]).encode(into: output)
        try checkSize(mark, output)
        end(mark, session, output)
    }

    func buildVectorIndex(_ call: Call, _ session: Session) throws(DocumentError) -> Outcome {
        if !mayBlock { throw .wouldBlock }
        let position = try readPosition(call)
        guard let collection = try collection(session, create: false, missing: "Missing 'collection' field") else {
            throw Self.noVectors(requestedNames(session).collection)
        }
        let deadline = try deadline(call)
        let cursor = try VectorCensus.filter.span.withUnsafeBytes { filter throws(DocumentError) in
            var spec = QuerySpec()
            spec.filter = filter
            spec.atLeast = position
            spec.deadline = deadline
            return try worker.makeCount(collection, spec)
        }
        return .work(LongWork(.vectorIndex(cursor, collection: collection)))
    }

    func answerVectorIndex(
        _ cursor: QueryCursor, _ collection: Collection, _ call: Call, _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) {
        guard cursor.matchedCount > 0 else { throw Self.noVectors(collection.name) }
        let mark = begin(.success, call, lsn: cursor.lsn, output)
        MessagePackValue.map([
            .init("status", "success"), .init("collection", .string(collection.name)),
            .init("database", .string(collection.database)),
            .init("num_vectors", .int(Int64(cursor.matchedCount))),
            .init("message", .string("\(cursor.matchedCount) vectors are searched exactly; there is no index to build")),
        ]).encode(into: output)
        end(mark, session, output)
    }

    private static func noVectors(_ collection: String) -> DocumentError {
        DocumentError(.badRequest, "No vectors found in collection '\(collection)'")
    }
}
