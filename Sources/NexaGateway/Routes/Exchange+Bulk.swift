/// POST /collections/{c}/bulk: many documents in one request.

import HTTPTypes
import NIOCore
import NexaServer
import NexaWire

extension Exchange {
    /// `{"documents": [...]}` or the list alone: one batch, all or nothing unless `?atomic=false`.
    func bulk(into target: Target) async throws(Problem) -> Answer {
        let bytes = try parse(try await body())
        let documents: [UInt8]?
        switch bytes.withUnsafeBytes({ MessagePackReader($0).nextKind }) {
        case .array: documents = bytes
        case .map: documents = RequestMap(bytes).value("documents")
        default: documents = nil
        }
        guard let documents else { throw Problem(.badPayload, "The body is {\"documents\": [...]}, or a list of documents") }
        var batch = NodeRequest(.batchWrite, capacity: documents.count + 256)
        batch.add(target, self)
        documents.withUnsafeBytes { batch.add("documents", raw: $0) }
        if let isAtomic = try parameters.flag("atomic") { batch.add("atomic", isAtomic) }
        if let isOrdered = try parameters.flag("ordered") { batch.add("ordered", isOrdered) }
        try batch.addWriteOptions(self)
        return try success(try await ask(batch.frame(), isWrite: true), status: 201)
    }
}
