/// QUERY_TOON, EXPORT_TOON and IMPORT_TOON, as existing clients use them. Text work on trees of values: convenience for small
/// results, not a path for bulk data.

import NexaDocuments
import NexaStorage
import NexaWire

/// A query whose documents end as TOON text.
package final class ToonQuery {
    let collection: Collection
    let isExport: Bool
    private let cursor: QueryCursor
    private let page = OutputBytes()
    private var documentCount = 0

    /// EXPORT_TOON takes at most this many documents.
    static let exportCountMax = 10_000

    init(_ cursor: QueryCursor, collection: Collection, isExport: Bool) {
        self.cursor = cursor
        self.collection = collection
        self.isExport = isExport
    }

    var lsn: LSN { cursor.lsn }

    func step(budget: StepBudget, limit: Int) throws(DocumentError) -> StepOutcome {
        let (count, outcome) = try cursor.next(into: page, budget: budget)
        documentCount += count
        if page.byteCount > limit { throw Executor.resultTooLarge(limit) }
        return outcome
    }

    /// The documents found, decoded.
    func documents() -> [MessagePackValue] {
        let list = OutputBytes(capacity: page.byteCount + 8)
        list.writeArrayHeader(documentCount)
        list.append(page.bytes)
        return (try? MessagePackValue(decoding: list.bytes))?.arrayValue ?? []
    }
}

extension Executor {
    func queryToon(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        if !mayBlock { throw .wouldBlock }
        let isExport = call.type == .exportToon
        var spec = try querySpec(call, session)
        spec.shape.remove(.addsID)
        if isExport { spec.limit = min(spec.limit ?? ToonQuery.exportCountMax, ToonQuery.exportCountMax) }
        guard let collection = try collection(session, create: false, missing: "Missing 'collection' field") else {
            _ = try CompiledFilter.compile(spec.filter)
            let names = requestedNames(session)
            try answerToon([], names, isExport: isExport, lsn: engine.visibleLSN, call, session, output)
            return .answered(hold: 0, commitCount: 0)
        }
        let cursor = try worker.makeQuery(collection, spec)
        return .work(LongWork(.toon(ToonQuery(cursor, collection: collection, isExport: isExport))))
    }

    func answerToon(_ query: ToonQuery, _ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) {
        let names = (database: query.collection.database, collection: query.collection.name)
        try answerToon(query.documents(), names, isExport: query.isExport, lsn: query.lsn, call, session, output)
    }

    private func answerToon(
        _ documents: [MessagePackValue], _ names: (database: String, collection: String), isExport: Bool, lsn: LSN, _ call: Call,
        _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) {
        let columns = ToonWriter.columns(of: documents)
        let limit = node.limits.frameByteCountMax
        // A cell has two bytes at least, with its comma: this text would not fit.
        if 2 * columns.count * documents.count > limit { throw Self.resultTooLarge(limit) }
        let text = ToonWriter.write(
            collection: names.collection, documents: documents, columns: columns,
            exportedAt: isExport ? TimeOfDay.now().fractionalSeconds : nil)
        let list = MessagePackValue.array(documents)
        let jsonSize = PythonJSON.characterCount(isExport ? list : ["documents": list])
        let toonSize = text.unicodeScalars.count
        let reduction = jsonSize == 0 ? 0 : (Double(jsonSize - toonSize) / Double(jsonSize) * 1_000).rounded() / 10
        var statistics: [MessagePackValue.Entry] = [
            .init("json_size", .int(Int64(jsonSize))), .init("toon_size", .int(Int64(toonSize))),
            .init("reduction_percent", .double(reduction)),
        ]
        if isExport { statistics.append(.init("estimated_cost_savings", .string("about \(reduction)% fewer tokens"))) }
        let mark = begin(.success, call, lsn: lsn, output)
        MessagePackValue.map([
            .init("database", .string(names.database)), .init("collection", .string(names.collection)),
            .init("format", "TOON"), .init("data", .string(text)), .init("count", .int(Int64(documents.count))),
            .init("token_stats", .map(statistics)),
        ]).encode(into: output)
        try checkSize(mark, output)
        end(mark, session, output)
    }

    // MARK: IMPORT_TOON

    func importToon(
        _ call: Call, _ payload: Bytes, _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) -> Outcome {
        if !mayBlock { throw .wouldBlock }
        guard let text = Self.value(of: "toon_data", in: payload)?.stringValue else {
            throw DocumentError(.badRequest, "Missing 'collection' or 'toon_data' field", details: [.init("field", "toon_data")])
        }
        let replaces = Self.value(of: "replace", in: payload)?.boolValue ?? false
        try checkWriteConcern()
        let durability = try fields.durability(default: node.configuration.durability)
        let documents = try ToonImport(text, byteCountMax: node.limits.frameByteCountMax)
        let names = requestedNames(session)
        if replaces, node.store.catalog.view.collection(database: names.database, name: names.collection) != nil {
            _ = try node.store.catalog.dropCollection(
                database: names.database, name: names.collection, durability: durability)
        }
        guard let collection = try collection(session, create: true, missing: "Missing 'collection' or 'toon_data' field") else {
            throw DocumentError(.internal, "A collection that was just made is gone")
        }
        var keys: [MessagePackValue] = []
        var lsn: LSN = node.store.catalog.view.lsn
        if documents.documentCount > 0 {
            var request = BatchRequest(
                items: .documents(documents.list.bytes), database: Bytes(start: nil, count: 0), collection: collection)
            request.options.durability = durability
            let result = try worker.batch(request)
            for index in 0..<min(result.keys.count, 100) {
                keys.append(.string(String(decoding: result.keys[index], as: UTF8.self)))
            }
            lsn = result.lsn
        }
        let mark = begin(.success, call, lsn: lsn, output)
        MessagePackValue.map([
            .init("database", .string(collection.database)), .init("collection", .string(collection.name)),
            .init("imported", .int(Int64(documents.documentCount))), .init("replaced", .bool(replaces)),
            .init("document_ids", .array(keys)),
            .init("message", .string("Successfully imported \(documents.documentCount) documents from TOON format")),
        ]).encode(into: output)
        end(mark, session, output)
        return .answered(hold: lsn, commitCount: 1)
    }

    /// A field of the request's map that only this command has.
    private static func value(of name: StaticString, in payload: Bytes) -> MessagePackValue? {
        var reader = MessagePackReader(payload)
        guard let count = try? reader.readMapHeader() else { return nil }
        for _ in 0..<count {
            guard let key = try? reader.readStringBytes(), let value = try? reader.readRawValue() else { return nil }
            if key.isEqual(to: name) { return try? MessagePackValue(decoding: value) }
        }
        return nil
    }
}
