import NexaWire

extension ClientConnection {
    /// Runs a QUERY and gives the documents to `body` as they come, whether the node answers with one list or, on a connection that
    /// negotiated "stream", with a stream. Each chunk taken gives the node credit for another; what still comes of a cancelled one is
    /// dropped. Returns the number of documents.
    package func query(_ payload: MessagePackValue, _ body: (MessagePackValue) -> Void) throws(ClientError) -> Int {
        let first = try beginRequest(.query, payload)
        var count = 0
        switch first.type {
        case .success:
            guard let documents = first.payload.arrayValue else { throw violated("QUERY answers a list") }
            for document in documents { body(document) }
            return documents.count
        case .streamStart:
            let credit: MessagePackValue = ["stream": first.payload["stream"] ?? 0, "credit": 1]
            while true {
                let next = try receive()
                switch next.type {
                case .streamChunk:
                    guard let documents = next.payload["documents"]?.arrayValue else {
                        throw violated("a chunk without documents")
                    }
                    count += documents.count
                    if !isCancelled { for document in documents { body(document) } }
                    try sendUnanswered(.cursorCredit, credit)
                case .streamEnd: return count
                default: throw violated("\(next.type.name) inside a stream")
                }
            }
        default: throw violated("\(first.type.name) answers no QUERY")
        }
    }
}
