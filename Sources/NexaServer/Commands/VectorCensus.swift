/// GET_VECTORS and BUILD_HNSW_INDEX for existing clients: which documents have vectors, and how many. Search is exact, so there is
/// nothing to build; the second command says how many vectors the search sees.

import NexaDocuments
import NexaStorage
import NexaWire

/// A walk over the collections of a database that lists the keys of documents with a vector. What it found is kept as bytes of the
/// answer, which are at most one frame.
package final class VectorCensus {
    static let filter = MessagePackValue.map([.init("vector", ["$exists": true])]).encoded()
    private static let projection = MessagePackValue.map([.init("_id", 1)]).encoded()

    let database: String
    private let collections: [Collection]
    private let atLeast: LSN
    private let deadline: UInt64?
    private var index = 0
    private var cursor: QueryCursor?
    /// `{_id}` of each document that was found in this collection.
    private let page = OutputBytes()
    private var count = 0
    private(set) var lsn: LSN = 0
    /// Entries of a map from the name of a collection to its vectors, for each that has some.
    package let entries = OutputBytes()
    private(set) var entryCount = 0
    package private(set) var totalCount = 0

    package init(database: String, collections: [Collection], atLeast: LSN, deadline: UInt64?) {
        self.database = database
        self.collections = collections
        self.atLeast = atLeast
        self.deadline = deadline
    }

    /// RESULT_TOO_LARGE as soon as the answer is known to have more than `limit` bytes.
    package func step(_ worker: DocumentWorker, budget: StepBudget, limit: Int) throws(DocumentError) -> StepOutcome {
        while index < collections.count {
            if cursor == nil { cursor = try open(collections[index], worker) }
            guard let cursor else { break }
            let (found, outcome) = try cursor.next(into: page, budget: budget)
            count += found
            // An entry says no less of a document than its key.
            if entries.byteCount + page.byteCount > limit { throw Executor.resultTooLarge(limit) }
            guard outcome == .done else { return .paused }
            lsn = max(lsn, cursor.lsn)
            if count > 0 { try addEntry(collections[index], limit) }
            page.removeAll()
            count = 0
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

    private func addEntry(_ collection: Collection, _ limit: Int) throws(DocumentError) {
        let dimensions = collection.vectorDimensions ?? 0
        entries.writeString(collection.name)
        entries.writeMapHeader(3)
        entries.writeString("count")
        entries.writeInt(count)
        entries.writeString("dimensions")
        entries.writeInt(dimensions)
        entries.writeString("documents")
        entries.writeArrayHeader(count)
        var found = MessagePackReader(page.bytes)
        for _ in 0..<count {
            entries.writeMapHeader(2)
            entries.writeString("doc_id")
            entries.append(Self.key(&found))
            entries.writeString("dimensions")
            entries.writeInt(dimensions)
            if entries.byteCount > limit { throw Executor.resultTooLarge(limit) }
        }
        entryCount += 1
        totalCount += count
    }

    /// The value of `{_id}`, which this node made itself.
    private static func key(_ page: inout MessagePackReader) -> UnsafeRawBufferPointer {
        do {
            let fieldCount = try page.readMapHeader()
            let name = try page.readStringBytes()
            precondition(fieldCount == 1 && name.isEqual(to: "_id"), "the projection is {_id: 1}")
            return try page.readRawValue()
        } catch {
            preconditionFailure("the page is well-formed")
        }
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
        output.writeMapHeader(4)
        output.writeString("database")
        output.writeString(census.database)
        output.writeString("status")
        output.writeString("success")
        output.writeString("total_vectors")
        output.writeInt(census.totalCount)
        output.writeString("collections")
        output.writeMapHeader(census.entryCount)
        output.append(census.entries.bytes)
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
