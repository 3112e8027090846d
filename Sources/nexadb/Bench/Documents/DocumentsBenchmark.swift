import NexaDocuments
import NexaStorage
import NexaWire

/// The document layer alone, on one thread: what a request costs between the bytes of its payload and the engine, without sockets and
/// without waiting for the disk. Documents are small users of about 60 bytes:
///
///     {"name": "user-000042", "age": 42, "city": "Rome", "active": true}
struct DocumentsBenchmark {
    enum Workload: String, CaseIterable {
        case batch, create, read, update, scan, filter, sort, vectors, search
    }

    struct Configuration {
        var directory: String
        var documentCount = 1_000_000
        /// Operations of create, read and update.
        var operationCount = 200_000
        var batchCount = 1000
        var vectorCount = 20_000
        var dimensions = 384
        var memoryByteCount = 1 << 30
    }

    struct Result {
        let workload: Workload
        let operationCount: Int
        let seconds: Double

        var line: String {
            let name = workload.rawValue + String(repeating: " ", count: max(0, 8 - workload.rawValue.count))
            let nanoseconds = Int(seconds * 1e9 / Double(max(operationCount, 1)))
            return "\(name) : \(nanoseconds) ns/document, \(Int(Double(operationCount) / max(seconds, 1e-9))) documents/s"
        }
    }

    /// Runs the workloads on one new store in `configuration.directory`, which must be empty or missing.
    static func run(_ workloads: [Workload], _ configuration: Configuration, report: (Result) -> Void) throws {
        let engine = try Engine.open(
            directory: configuration.directory, fileSystem: PosixFileSystem(),
            options: EngineOptions(memoryByteCount: configuration.memoryByteCount))
        let benchmark = try DocumentsBenchmark(engine: engine, configuration: configuration)
        for workload in workloads {
            let start = monotonicSeconds()
            let count = try benchmark.run(workload)
            report(Result(workload: workload, operationCount: count, seconds: monotonicSeconds() - start))
        }
        try engine.close()
    }

    private let configuration: Configuration
    private let engine: Engine
    private let worker: DocumentWorker
    private let users: Collection
    private let vectors: Collection
    private var options = WriteOptions()

    private init(engine: Engine, configuration: Configuration) throws {
        self.engine = engine
        self.configuration = configuration
        let store = try DocumentStore(engine: engine)
        worker = store.makeWorker()
        users = try store.catalog.createCollection(database: "default", name: "users").collection
        vectors = try store.catalog.createCollection(database: "default", name: "vectors").collection
        options.durability = .os
    }

    /// Runs one workload and answers how many documents it went through.
    private func run(_ workload: Workload) throws -> Int {
        switch workload {
        case .batch: try writeBatches()
        case .create: try create()
        case .read: try read()
        case .update: try update()
        case .scan: try query(filter: .null)
        case .filter: try query(filter: ["age": ["$gte": 95], "active": true])
        case .sort: try query(filter: .null, sort: ["age": -1, "name": 1], limit: 10)
        case .vectors: try writeVectors()
        case .search: try searchVectors()
        }
    }

    // MARK: Writes

    private func user(_ index: Int, key: Bool) -> MessagePackValue {
        var fields: [MessagePackValue.Entry] = key ? [.init("_id", .string(Self.key(index)))] : []
        fields += [
            .init("name", .string("user-\(index)")), .init("age", .int(Int64(index % 100))), .init("city", "Rome"),
            .init("active", .bool(index % 2 == 0)),
        ]
        return .map(fields)
    }

    private static func key(_ index: Int) -> String { "key-\(1_000_000_000 + index)" }

    /// One batch, encoded once and sent again and again: every item gets a new id.
    private func writeBatches() throws -> Int {
        let bytes = MessagePackValue.array((0..<configuration.batchCount).map { user($0, key: false) }).encoded()
        let rounds = configuration.documentCount / configuration.batchCount
        try bytes.withUnsafeBytes { bytes in
            for _ in 0..<rounds {
                var request = BatchRequest(items: .documents(bytes), database: .init(start: nil, count: 0), collection: users)
                request.options = options
                _ = try worker.batch(request)
            }
        }
        return rounds * configuration.batchCount
    }

    private func create() throws -> Int {
        for index in 0..<configuration.operationCount {
            _ = try user(index, key: true).encoded().withUnsafeBytes {
                try worker.create(users, document: $0, options: options).lsn
            }
        }
        return configuration.operationCount
    }

    private func update() throws -> Int {
        let updates = MessagePackValue.map([.init("age", 7), .init("seen", true)]).encoded()
        try updates.withUnsafeBytes { updates in
            for index in 0..<configuration.operationCount {
                try Array(Self.key(index).utf8).withUnsafeBytes {
                    _ = try worker.update(users, key: $0, updates: updates, options: options)
                }
            }
        }
        return configuration.operationCount
    }

    // MARK: Reads

    private func read() throws -> Int {
        var index = 1
        for _ in 0..<configuration.operationCount {
            index = (index &* 7919 &+ 13) % configuration.operationCount
            try Array(Self.key(index).utf8).withUnsafeBytes {
                _ = try worker.read(users, key: $0, at: .max, mayBlock: true)
            }
        }
        return configuration.operationCount
    }

    private func query(filter: MessagePackValue, sort: MessagePackValue = .null, limit: Int? = nil) throws -> Int {
        let cursor = try filter.encoded().withUnsafeBytes { filter in
            try sort.encoded().withUnsafeBytes { sort in
                var spec = QuerySpec()
                (spec.filter, spec.sort, spec.limit, spec.atLeast) = (filter, sort, limit, engine.appliedLSN)
                return try worker.makeQuery(users, spec)
            }
        }
        let output = OutputBytes()
        while try cursor.next(into: output, budget: StepBudget()).outcome != .done { output.removeAll() }
        return cursor.scannedCount
    }

    // MARK: Vectors

    private func vector(_ state: inout UInt64) -> MessagePackValue {
        .binary(
            (0..<configuration.dimensions).flatMap { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let number = Float(state >> 40) / Float(1 << 24) - 0.5
                return withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) }
            })
    }

    private func writeVectors() throws -> Int {
        var state: UInt64 = 1
        let batchCount = 100
        for _ in 0..<configuration.vectorCount / batchCount {
            let documents = (0..<batchCount).map { _ in MessagePackValue.map([.init("vector", vector(&state))]) }
            try MessagePackValue.array(documents).encoded().withUnsafeBytes {
                var request = BatchRequest(items: .documents($0), database: .init(start: nil, count: 0), collection: vectors)
                request.options = options
                _ = try worker.batch(request)
            }
        }
        return configuration.vectorCount / batchCount * batchCount
    }

    private func searchVectors() throws -> Int {
        var state: UInt64 = 7
        var scoredCount = 0
        for _ in 0..<10 {
            try vector(&state).encoded().withUnsafeBytes {
                var spec = VectorSearchSpec(vector: $0)
                spec.atLeast = engine.appliedLSN
                let search = try worker.makeVectorSearch(vectors, spec)
                while try search.step(budget: StepBudget()) != .done {}
                scoredCount += search.scoredCount
            }
        }
        return scoredCount
    }
}
