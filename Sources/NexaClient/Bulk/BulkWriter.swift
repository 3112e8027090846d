import NexaWire

/// Writes many documents: gathers them into batches and keeps a few batches under way.
///
/// `put` and `create` wait while `concurrency` batches are out, so memory is bounded by one batch more than that, however fast documents
/// come. A batch that a node is too busy for is tried again by the client, and while a node asks for slower writes its batches are held
/// back. Batches are not atomic: what failed is in the summary, by its place in the order of adding. Call `finish` at the end.
public actor BulkWriter<Element: Codable & Sendable> {
    public struct Options: Sendable {
        /// Documents of one batch.
        public var batchCount = 1000
        /// Bytes of one batch, as encoded.
        public var batchByteCount = 1 << 20
        /// Batches under way at the same time.
        public var concurrency = 4

        public init() {}
    }

    public struct Failure: Sendable {
        /// The document's place in the order of adding, from 0.
        public let index: Int
        public let error: NexaError
    }

    /// What became of everything that was added.
    public struct Summary: Sendable {
        /// Documents that the node acknowledged.
        public var acknowledged = 0
        /// The first 10,000 of those that failed.
        public var failures: [Failure] = []
        /// All that failed.
        public var failureCount = 0
    }

    private static var keptFailureCountMax: Int { 10_000 }

    private let collection: NexaCollection<Element>
    private let options: Options
    private let output = OutputBytes(capacity: 64 << 10)
    private var gatheredCount = 0
    private var nextIndex = 0
    private var batchesUnderWay = 0
    private var waiting: [UnsafeContinuation<Void, Never>] = []
    private var summary = Summary()

    init(_ collection: NexaCollection<Element>, _ options: Options) {
        precondition(options.batchCount > 0 && options.batchByteCount > 0 && options.concurrency > 0, "a bulk writer of nothing")
        self.collection = collection
        self.options = options
    }

    /// Takes one document to be put: created, or replaced where its key exists. Throws when it cannot be encoded.
    public func put(_ element: Element) async throws(NexaError) { try await add("put", element) }

    /// Takes one document to be created; a key that exists is a failure.
    public func create(_ element: Element) async throws(NexaError) { try await add("create", element) }

    private func add(_ operation: String, _ element: Element) async throws(NexaError) {
        let start = output.byteCount
        output.writeMapHeader(2)
        output.writeString("op")
        output.writeString(operation)
        output.writeString("data")
        do throws(NexaError) {
            try Request.encodeDocument(element, into: output)
        } catch {
            output.truncate(to: start)
            throw error
        }
        gatheredCount += 1
        nextIndex += 1
        if gatheredCount >= options.batchCount || output.byteCount >= options.batchByteCount { await send() }
    }

    /// Sends what has gathered and waits until everything is answered.
    @discardableResult
    public func finish() async -> Summary {
        if gatheredCount > 0 { await send() }
        while batchesUnderWay > 0 { await oneSettled() }
        return summary
    }

    /// Takes the batch, waits for room, sends it.
    private func send() async {
        var request = Request(.batchWrite, isWrite: true, database: collection.database, collection: collection.name)
        let count = gatheredCount
        let first = nextIndex - count
        request.add { fields in
            fields.writeString("operations")
            fields.writeArrayHeader(count)
            fields.append(output.bytes)
            return 1
        }
        request.add("atomic", false)
        request.add("ordered", false)
        output.removeAll()
        gatheredCount = 0
        while batchesUnderWay >= options.concurrency { await oneSettled() }
        batchesUnderWay += 1
        let client = collection.client
        Task { [request] in
            do throws(NexaError) {
                let result = BatchResult(try await client.write(request).document())
                self.settled(count, first, result.failures.map { ($0.index, $0.error) })
            } catch {
                self.settled(count, first, (0..<count).map { ($0, error) })
            }
        }
    }

    private func oneSettled() async {
        await withUnsafeContinuation { waiting.append($0) }
    }

    private func settled(_ count: Int, _ first: Int, _ failures: [(index: Int, error: NexaError)]) {
        batchesUnderWay -= 1
        summary.acknowledged += count - failures.count
        summary.failureCount += failures.count
        for failure in failures.prefix(Self.keptFailureCountMax - summary.failures.count) {
            summary.failures.append(Failure(index: first + failure.index, error: failure.error))
        }
        let woken = waiting
        waiting = []
        for continuation in woken { continuation.resume() }
    }
}

extension NexaCollection {
    /// A writer for many documents.
    public func bulkWriter(_ options: BulkWriter<Element>.Options = .init()) -> BulkWriter<Element> { BulkWriter(self, options) }
}
