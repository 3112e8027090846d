import NexaClient
import Testing

/// clients/conformance/cases.json: what all clients answer alike, against a real node.
struct ConformanceTests {
    @Test func everySharedCaseIsAnsweredAsItSays() async throws {
        let cases = try conformanceFile("cases.json")
        #expect(cases.count > 50)
        try await ClientNode.run { client, _ in
            for (number, entry) in cases.enumerated() {
                guard case .document(let test) = entry else { continue }
                let runner = CaseRunner(client: client, names: ["$c": "c\(number)", "$d": "d\(number)"])
                await runner.run(test["steps"]?.arrayValue ?? [], Comment(rawValue: test["name"]?.stringValue ?? "?"))
            }
        }
    }
}

/// The steps of one case.
private final class CaseRunner {
    let client: NexaClient
    let names: [String: String]
    var saved: [String: DocumentValue] = [:]

    init(client: NexaClient, names: [String: String]) {
        self.client = client
        self.names = names
    }

    func run(_ steps: [DocumentValue], _ name: Comment) async {
        for (index, step) in steps.enumerated() {
            guard case .document(let raw) = step else { continue }
            if raw["op"] == "repeat" {
                for _ in 0..<(raw["times"]?.intValue ?? 0) { await run(raw["steps"]?.arrayValue ?? [], name) }
                continue
            }
            guard case .document(let step) = spelled(.document(raw), saved, names) else { continue }
            let place = "\(name), step \(index)"
            do throws(NexaError) {
                let result = try await perform(step)
                guard step["error"] == nil else {
                    Issue.record("\(place): no error but \(String(describing: result))")
                    continue
                }
                if let expected = step["expect"], !matches(result, expected) {
                    Issue.record("\(place): \(String(describing: result)) in place of \(expected)")
                }
                if let key = step["save"]?.stringValue {
                    saved[key] = step["path"]?.stringValue.flatMap { result?.documentValue?[$0] } ?? result
                }
            } catch {
                guard let wanted = step["error"]?.documentValue else {
                    Issue.record("\(place): \(error)")
                    continue
                }
                #expect(wanted["kind"]?.stringValue == error.kind.rawValue, "\(place): \(error)")
                if let code = wanted["code"]?.stringValue { #expect(code == error.code, "\(place)") }
                if let word = wanted["mentions"]?.stringValue { #expect(error.message.contains(word), "\(place): \(error)") }
            }
        }
    }

    private func perform(_ step: Document) async throws(NexaError) -> DocumentValue? {
        let documents = client.collection(step["collection"]?.stringValue ?? "")
        let key = step["key"]?.stringValue ?? ""
        let filter = step["filters"]?.documentValue ?? [:]
        let options = QueryOptions(
            sort: order(step["sort"]), limit: step["limit"]?.intValue, skip: step["skip"]?.intValue,
            projection: projection(step["projection"]?.documentValue), batchSize: step["batchSize"]?.intValue)
        switch step["op"]?.stringValue {
        case "ping":
            try await client.ping()
            return .bool(true)
        case "create": return .document(try await documents.create(step["data"]?.documentValue ?? [:]))
        case "get": return try await documents.get(key).map { .document($0) }
        case "update":
            return try await documents.update(
                key, step["updates"]?.documentValue ?? [:], upsert: step["upsert"]?.boolValue ?? false,
                ifMatch: step["ifMatch"]?.intValue
            ).map { .document($0) }
        case "delete": return .bool(try await documents.delete(key))
        case "query": return .array(try await documents.query(filter, options).map { .document($0) })
        case "find": return .array(try await collect(documents.find(filter, options), step["take"]?.intValue))
        case "count": return .int(Int64(try await documents.count(filter)))
        case "batch": return .document(try await batch(documents, step))
        case "bulk":
            let writer = documents.bulkWriter()
            for document in step["documents"]?.arrayValue ?? [] { try await writer.put(document.documentValue ?? [:]) }
            return .int(Int64(await writer.finish().acknowledged))
        case "vectorSearch":
            let hits = try await documents.vectorSearch(
                Vector(step["vector"]?.vectorValue ?? []), limit: step["limit"]?.intValue ?? 10, filter: filter,
                metric: step["metric"]?.stringValue.flatMap { VectorMetric(rawValue: $0) })
            return .array(
                hits.map { ["id": .string($0.id), "score": .double($0.score), "document": .document($0.document)] })
        case "listCollections": return .array(try await client.listCollections().map { .string($0) })
        case "dropCollection":
            try await documents.drop()
            return .bool(true)
        default: throw NexaError(.server, "the runner does not know the operation \(step["op"] ?? .null)")
        }
    }

    private func collect(_ cursor: Cursor<Document>, _ take: Int?) async throws(NexaError) -> [DocumentValue] {
        var all: [DocumentValue] = []
        for try await document in cursor {
            all.append(.document(document))
            if all.count == take { break }
        }
        return all
    }

    private func batch(_ documents: NexaCollection<Document>, _ step: Document) async throws(NexaError) -> Document {
        let (atomic, ordered) = (step["atomic"]?.boolValue ?? true, step["ordered"]?.boolValue ?? true)
        let result: BatchResult
        if let list = step["documents"]?.arrayValue {
            result = try await documents.createMany(list.compactMap(\.documentValue), atomic: atomic, ordered: ordered)
        } else {
            let operations = (step["operations"]?.arrayValue ?? []).compactMap(\.documentValue).compactMap(operation)
            result = try await documents.batchWrite(operations, atomic: atomic, ordered: ordered)
        }
        var answer: Document = [
            "ids": .array(result.ids.map { $0.map { .string($0) } ?? .null }), "count": .int(Int64(result.count)),
        ]
        if !result.failures.isEmpty {
            answer["errors"] = .array(
                result.failures.map {
                    ["index": .int(Int64($0.index)), "code": .string($0.error.code ?? ""), "error": .string($0.error.message)]
                })
        }
        return answer
    }

    private func operation(_ entry: Document) -> BatchOperation? {
        let key = entry["key"]?.stringValue ?? ""
        return switch entry["op"]?.stringValue {
        case "create": .create(entry["data"]?.documentValue ?? [:])
        case "put": .put(entry["data"]?.documentValue ?? [:], key: entry["key"]?.stringValue)
        case "update": .update(key: key, entry["updates"]?.documentValue ?? [:], upsert: entry["upsert"]?.boolValue ?? false)
        case "delete": .delete(key: key)
        default: nil
        }
    }

    private func projection(_ value: Document?) -> QueryOptions.Projection? {
        guard let entries = value?.entries, let first = entries.first else { return nil }
        let names = entries.map(\.0)
        return first.1.intValue == 0 ? .excluding(names) : .including(names)
    }

    private func order(_ value: DocumentValue?) -> [QueryOptions.Order] {
        func one(_ text: String) -> QueryOptions.Order {
            text.hasPrefix("-") ? .descending(String(text.dropFirst())) : .ascending(text)
        }
        switch value {
        case .string(let text)?: return [one(text)]
        case .document(let fields)?: return fields.entries.map { $1.intValue == -1 ? .descending($0) : .ascending($0) }
        case .array(let list)?:
            return list.compactMap { entry in
                guard let pair = entry.arrayValue, pair.count == 2, let field = pair[0].stringValue else {
                    return entry.stringValue.map(one)
                }
                return pair[1].intValue == -1 ? .descending(field) : .ascending(field)
            }
        default: return []
        }
    }
}
