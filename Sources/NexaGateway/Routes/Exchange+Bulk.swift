/// POST /collections/{c}/bulk: many documents in one request.

import HTTPTypes
import HummingbirdCore
import NIOCore
import NexaServer
import NexaWire

extension Exchange {
    func bulk(into target: Target) async throws(Problem) -> Answer {
        try await admitBody()
        return sendsLines ? try await bulkLines(into: target) : try await bulkList(into: target)
    }

    /// `{"documents": [...]}` or the list alone: one batch, all or nothing unless `?atomic=false`.
    private func bulkList(into target: Target) async throws(Problem) -> Answer {
        let text = try await BodyReader(self).all()
        let frame = try await work(on: text.readableBytes) { () throws(Problem) in try batchFrame(target, text) }
        return try await success(try await ask(frame, isWrite: true), status: 201)
    }

    private func batchFrame(_ target: Target, _ text: ByteBuffer) throws(Problem) -> OutputBytes {
        let bytes = try Self.parse(text)
        let documents: [UInt8]?
        switch bytes.withUnsafeBytes({ MessagePackReader($0).nextKind }) {
        case .array: documents = bytes
        case .map: documents = try RequestMap(bytes).value("documents")
        default: documents = nil
        }
        guard let documents else { throw Problem(.badPayload, "The body is {\"documents\": [...]}, or a list of documents") }
        var batch = NodeRequest(.batchWrite, capacity: documents.count + 256)
        batch.add(target, self)
        documents.withUnsafeBytes { batch.add("documents", raw: $0) }
        if let isAtomic = try parameters.flag("atomic") { batch.add("atomic", isAtomic) }
        if let isOrdered = try parameters.flag("ordered") { batch.add("ordered", isOrdered) }
        try batch.addWriteOptions(self)
        return batch.frame()
    }

    // MARK: Lines

    /// Failures that a summary tells; further ones are counted.
    private static let failureCountMax = 1_000

    /// One document a line, stored as they come, in batches that are acknowledged one by one. A line that cannot be stored is told and does
    /// not hold up the others.
    ///
    /// The answer is a summary, or with `Accept: application/x-ndjson` a line for each line. Who asks for that reads while it sends: neither
    /// side keeps for ever what the other does not take.
    private func bulkLines(into target: Target) async throws(Problem) -> Answer {
        guard Acceptance(request.headers[.accept]).prefersLines else { return try await bulkSummary(into: target) }
        var answer = Answer(status: 200, fields: [.contentType: MediaType.lines])
        answer.body = .stream { writer in try await self.writeOutcomes(of: target, to: &writer) }
        return answer
    }

    /// `{status, collection, count, error_count, errors: [{index, code, error}]}`
    private func bulkSummary(into target: Target) async throws(Problem) -> Answer {
        var (count, failureCount) = (0, 0)
        var failures: [MessagePackValue] = []
        var token: PositionToken?
        var isSlowDown = false
        let stopped = await BulkLoad(self, target).run { (batch: BulkLoad.Batch) async in
            token = batch.token ?? token
            isSlowDown = batch.isSlowDown
            for outcome in batch.outcomes {
                guard case .failed(let line, let code, let error) = outcome else {
                    count += 1
                    continue
                }
                failureCount += 1
                guard failures.count < Self.failureCountMax else { continue }
                failures.append(["index": .int(Int64(line)), "code": .string(code), "error": .string(error)])
            }
        }
        if var problem = stopped {
            // What was acknowledged before stays.
            problem.details.append(.init("count", .int(Int64(count))))
            throw problem
        }
        var answer = Answer(
            status: failureCount == 0 ? 201 : 200,
            value: .map([
                .init("status", failureCount == 0 ? "success" : "partial"), .init("collection", .string(target.collection)),
                .init("count", .int(Int64(count))), .init("error_count", .int(Int64(failureCount))),
                .init("errors", .array(failures)),
            ]))
        if let token { answer.fields[.nexaToken] = token.text }
        if isSlowDown { answer.fields[.nexaSlowDown] = "1" }
        return answer
    }

    /// `{index, status: 201, id}` or `{index, status, error: {code, error}}` for each line.
    private func writeOutcomes(of target: Target, to writer: inout any ResponseBodyWriter) async throws {
        let stopped = try await BulkLoad(self, target).run { (batch: BulkLoad.Batch) async throws in
            let text = JSONBody(style: style, capacity: 64 << 10)
            for outcome in batch.outcomes { text.append(outcome) }
            try await writer.write(ByteBuffer(bytes: text.output.bytes))
        }
        if let stopped { try await writer.write(ByteBuffer(string: lastLine(stopped))) }
        try await writer.finish(nil)
    }

    /// The end of an answer in lines that cannot go on: its status is long gone.
    func lastLine(_ problem: Problem) -> String {
        let body = MessagePackValue.map([.init("error", problem.body(instance: request.uri.path, requestID: requestID))])
        return Self.compact(body) + "\n"
    }
}

extension JSONBody {
    fileprivate func append(_ outcome: BulkLoad.Outcome) {
        switch outcome {
        case .stored(let line, let id):
            append("{\"index\":\(line),\"status\":201,\"id\":")
            appendString(id)
        case .failed(let line, let code, let error):
            let status = ErrorCode(rawValue: code).map { Problem.status(of: $0) } ?? 400
            append("{\"index\":\(line),\"status\":\(status),\"error\":{\"code\":")
            appendString(code)
            append(",\"error\":")
            appendString(error)
            append("}")
        }
        append("}\n")
    }
}
