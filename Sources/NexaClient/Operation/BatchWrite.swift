import NexaWire

/// One operation of a batch.
public enum BatchOperation: Sendable {
    case create(Document)
    /// Creates or replaces; the key is `key`, or in the document.
    case put(Document, key: String? = nil)
    case update(key: String, Document, upsert: Bool = false)
    case delete(key: String)

    var document: Document {
        switch self {
        case .create(let document): ["op": "create", "data": .document(document)]
        case .put(let document, nil): ["op": "put", "data": .document(document)]
        case .put(let document, let key?): ["op": "put", "key": .string(key), "data": .document(document)]
        case .update(let key, let updates, let upsert):
            ["op": "update", "key": .string(key), "updates": .document(updates), "upsert": .bool(upsert)]
        case .delete(let key): ["op": "delete", "key": .string(key)]
        }
    }
}

/// What became of a batch.
public struct BatchResult: Sendable {
    public struct Failure: Sendable {
        /// Which operation, counted from 0.
        public let index: Int
        public let error: NexaError
    }

    /// Keys in the order of the operations; nil where one failed.
    public let ids: [String?]
    /// Operations that succeeded.
    public let count: Int
    /// Empty after an atomic batch, which fails as a whole.
    public let failures: [Failure]

    init(_ answer: Document) {
        ids = answer["ids"]?.arrayValue?.map(\.stringValue) ?? []
        count = answer["count"]?.intValue ?? ids.count
        failures = (answer["errors"]?.arrayValue ?? []).compactMap { entry in
            guard let document = entry.documentValue, let index = document["index"]?.intValue else { return nil }
            return Failure(index: index, error: NexaError(refusal: document))
        }
    }
}

/// One hit of a vector search, best first.
public struct VectorMatch<Element: Sendable>: Sendable {
    public let id: String
    public let score: Double
    public let document: Element
}

/// How near two vectors are.
public enum VectorMetric: String, Sendable, CaseIterable {
    case cosine, dot, l2
}
