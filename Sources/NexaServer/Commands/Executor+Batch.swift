/// BATCH_WRITE: small batches run on the event loop, large ones in the work pool; each is one record of the log.

import NexaDocuments
import NexaStorage
import NexaWire

extension Executor {
    /// Payloads above this do not run on an event loop.
    static let inlineBatchByteCountMax = 8 << 10

    func batchWrite(
        _ call: Call, _ payload: Bytes, _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) -> Outcome {
        if !mayBlock && payload.count > Self.inlineBatchByteCountMax { throw .wouldBlock }
        try checkPressure()
        let missing: StaticString = "Missing 'collection' or 'documents' field"
        let operation = try operation()
        let items: BatchRequest.Items
        var collection: Collection?
        if let documents = try list(.documents) {
            items = .documents(documents)
            collection = try self.collection(session, create: true, for: operation, missing: missing)
        } else if let operations = try list(.operations) {
            items = .operations(operations)
            if fields.raw(.collection) != nil {
                collection = try self.collection(session, create: true, for: operation, missing: missing)
            }
        } else {
            throw DocumentError(.badRequest, "\(missing)", details: [.init("field", "documents")])
        }
        try checkWriteConcern()
        let named = try fields.text(.database)
        return try session.database.span.withUnsafeBytes { sessionDatabase throws(DocumentError) in
            let database = named.flatMap { $0.isEmpty ? nil : $0 } ?? sessionDatabase
            var request = BatchRequest(items: items, database: database, collection: collection)
            request.isAtomic = try fields.flag(.atomic) ?? true
            request.isOrdered = try fields.flag(.ordered) ?? true
            request.options = try writeOptions(session)
            request.operation = operation
            let result = try worker.batch(request)
            try answer(result, collection, call, session, output)
            return .answered(hold: result.lsn, commitCount: 1)
        }
    }

    /// A list with at least one element, as upstream wants it.
    private func list(_ field: RequestField) throws(DocumentError) -> Bytes? {
        try RequestFields.reading { () throws(WireError) in try fields.array(field) }
    }

    private func answer(
        _ result: BatchResult, _ collection: Collection?, _ call: Call, _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) {
        let mark = begin(.success, call, lsn: result.lsn, output)
        let errorCount = result.errors.isEmpty ? 0 : 1
        if session.dialect == .plain {
            output.writeMapHeader(2 + errorCount)
            output.writeString("ids")
            result.keys.encode(into: output)
            output.writeString("count")
            output.writeInt(result.count)
        } else {
            output.writeMapHeader(5 + errorCount)
            writeNames(collection, session, output)
            output.writeString("document_ids")
            result.keys.encode(into: output)
            output.writeString("count")
            output.writeInt(result.count)
            output.writeString("message")
            output.writeString("Inserted \(result.count) documents")
        }
        if !result.errors.isEmpty {
            output.writeString("errors")
            result.errors.encode(into: output)
        }
        end(mark, session, output)
    }
}
