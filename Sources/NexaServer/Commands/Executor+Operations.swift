/// `op_id`: writes that a client may send again. What the worker does with it stands in `DocumentWorker+Operations.swift`.

import NexaDocuments
import NexaStorage
import NexaWire

extension Executor {
    /// The client's name for this write; nil when it gave none.
    @inline(__always)
    func operation() throws(DocumentError) -> OperationID? {
        fields.has(.opID) ? try givenOperation() : nil
    }

    @inline(never)
    private func givenOperation() throws(DocumentError) -> OperationID? {
        guard let raw = fields.raw(.opID) else { return nil }
        var reader = MessagePackReader(raw)
        guard let bytes = try? reader.readBinBytes(), let operation = OperationID(bytes) else {
            throw DocumentError(
                .badRequest, "'op_id' is a bin of \(OperationID.byteCount) bytes", details: [.init("field", "op_id")])
        }
        return operation
    }

    /// Refuses an `op_id` on a write that would not keep its promise.
    @inline(never)
    func checkOperation(_ call: Call) throws(DocumentError) {
        switch call.type {
        case .create, .update, .delete, .batchWrite, .createDatabase, .dropDatabase, .createCollection, .dropCollection: return
        default: break
        }
        guard call.type.isWrite, fields.raw(.opID) != nil else { return }
        throw DocumentError(.unsupported, "\(call.type.name) takes no 'op_id'", details: [.init("field", "op_id")])
    }

    /// The collection of a write that may be a repeat. If the collection is gone and the write is remembered, then it was dropped since:
    /// nothing is made again for the repeat.
    func collection(
        _ session: Session, create: Bool, for operation: OperationID?, missing: StaticString
    ) throws(DocumentError) -> Collection? {
        let found = try collection(session, create: create && operation == nil, missing: missing)
        guard found == nil, let operation else { return found }
        if try worker.remembers(operation, mayBlock: mayBlock) {
            let names = requestedNames(session)
            return .dropped(database: names.database, name: names.collection)
        }
        return create ? try collection(session, create: true, missing: missing) : nil
    }
}
