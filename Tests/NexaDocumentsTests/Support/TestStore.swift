import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Synchronization
import Testing

/// A document store over an engine on the in-memory file system, with one worker and a clock that the test moves.
final class TestStore {
    static let startOfTime: Int64 = 1_795_357_366_595_872  // 2026-11-22T14:22:46.595872

    let fileSystem: CrashFileSystem
    let clock: TestClock
    let engine: Engine
    let store: DocumentStore
    let worker: DocumentWorker

    init(
        fileSystem: CrashFileSystem = CrashFileSystem(), options: EngineOptions? = nil, operations: OperationOptions? = nil
    ) throws {
        self.fileSystem = fileSystem
        let clock = TestClock(Self.startOfTime)
        self.clock = clock
        var defaults = EngineOptions(memoryByteCount: 64 << 20)
        defaults.segmentByteCount = 1 << 20
        engine = try Engine.open(directory: "/data", fileSystem: fileSystem, options: options ?? defaults)
        store = try DocumentStore(
            engine: engine, clock: WallClock { clock.microseconds }, operations: operations ?? OperationOptions())
        worker = store.makeWorker()
    }

    /// Closes this store and opens what it left.
    func reopened() throws -> TestStore {
        try engine.close()
        return try TestStore(fileSystem: fileSystem)
    }

    /// Files of tables that are on disk.
    func tableNames() throws -> Set<String> { Set(try fileSystem.list("/data/sst")) }

    func collection(_ name: String = "things", database: String = "default") throws -> Collection {
        try withBytes(database, name) { try #require(try worker.collection(database: $0, name: $1, create: true)) }
    }

    // MARK: Documents

    @discardableResult
    func create(
        _ document: MessagePackValue, in collection: Collection, _ adjust: (inout WriteOptions) -> Void = { _ in }
    ) throws -> MessagePackValue {
        try createResult(document, in: collection, adjust).document
    }

    func createResult(
        _ document: MessagePackValue, in collection: Collection, _ adjust: (inout WriteOptions) -> Void = { _ in }
    ) throws -> (document: MessagePackValue, lsn: LSN, key: String) {
        var options = WriteOptions()
        adjust(&options)
        let result = try withBytes(document) { try worker.create(collection, document: $0, options: options) }
        return (try MessagePackValue(decoding: result.document.bytes), result.lsn, result.document.key.string)
    }

    func update(
        _ key: String, _ updates: MessagePackValue, in collection: Collection, _ adjust: (inout WriteOptions) -> Void = { _ in }
    ) throws -> MessagePackValue? {
        var options = WriteOptions()
        adjust(&options)
        return try withBytes(key) { key in
            try withBytes(updates) { updates in
                guard let result = try worker.update(collection, key: key, updates: updates, options: options) else { return nil }
                return try MessagePackValue(decoding: result.document.bytes)
            }
        }
    }

    func delete(_ key: String, in collection: Collection, _ adjust: (inout WriteOptions) -> Void = { _ in }) throws -> Bool {
        var options = WriteOptions()
        adjust(&options)
        return try withBytes(key) { try worker.delete(collection, key: $0, options: options) } != nil
    }

    func read(_ key: String, in collection: Collection) throws -> MessagePackValue? {
        try withBytes(key) { key in
            guard let view = try worker.read(collection, key: key, at: .max, mayBlock: true) else { return nil }
            return try MessagePackValue(decoding: view.bytes)
        }
    }

    func revision(_ key: String, in collection: Collection) throws -> LSN? {
        try withBytes(key) { try worker.read(collection, key: $0, at: .max, mayBlock: true)?.lsn }
    }

    /// What a batch answered, as values.
    struct BatchOutcome {
        var keys: [String]
        var count: Int
        var errors: [(index: Int, code: ErrorCode)]
        var lsn: LSN
    }

    func batch(
        documents: [MessagePackValue], in collection: Collection, _ adjust: (inout BatchRequest) -> Void = { _ in }
    ) throws -> BatchOutcome {
        try withBytes(.array(documents)) { try run(.documents($0), collection, adjust) }
    }

    func batch(
        operations: [MessagePackValue], in collection: Collection?, _ adjust: (inout BatchRequest) -> Void = { _ in }
    ) throws -> BatchOutcome {
        try withBytes(.array(operations)) { try run(.operations($0), collection, adjust) }
    }

    private func run(
        _ items: BatchRequest.Items, _ collection: Collection?, _ adjust: (inout BatchRequest) -> Void
    ) throws -> BatchOutcome {
        try withBytes("default") { database in
            var request = BatchRequest(items: items, database: database, collection: collection)
            adjust(&request)
            let result = try worker.batch(request)
            return BatchOutcome(
                keys: (0..<result.keys.count).map { result.keys[$0].string }, count: result.count,
                errors: result.errors.map { ($0.index, $0.error.code) }, lsn: result.lsn)
        }
    }

    // MARK: Queries

    /// All documents of a query, stepped with `budget`.
    func query(
        _ filter: MessagePackValue = .null, sort: MessagePackValue = .null, projection: MessagePackValue = .null,
        in collection: Collection, budget: StepBudget = StepBudget(), _ adjust: (inout QuerySpec) -> Void = { _ in }
    ) throws -> [MessagePackValue] {
        let cursor = try makeQuery(filter, sort: sort, projection: projection, in: collection, adjust)
        let output = OutputBytes()
        while try cursor.next(into: output, budget: budget).outcome != .done {}
        return try output.values()
    }

    func makeQuery(
        _ filter: MessagePackValue = .null, sort: MessagePackValue = .null, projection: MessagePackValue = .null,
        in collection: Collection, _ adjust: (inout QuerySpec) -> Void = { _ in }
    ) throws -> QueryCursor {
        try withBytes(filter) { filter in
            try withBytes(sort) { sort in
                try withBytes(projection) { projection in
                    var spec = QuerySpec()
                    spec.filter = filter
                    spec.sort = sort
                    spec.projection = projection
                    spec.atLeast = engine.appliedLSN
                    adjust(&spec)
                    return try worker.makeQuery(collection, spec)
                }
            }
        }
    }

    func count(_ filter: MessagePackValue = .null, in collection: Collection) throws -> Int {
        try withBytes(filter) { filter in
            var spec = QuerySpec()
            spec.filter = filter
            spec.atLeast = engine.appliedLSN
            let cursor = try worker.makeCount(collection, spec)
            while try cursor.next(into: OutputBytes(), budget: StepBudget()).outcome != .done {}
            return cursor.matchedCount
        }
    }
}

/// Time that stands still until the test moves it.
final class TestClock: Sendable {
    private let now: Atomic<Int64>

    init(_ start: Int64) { now = Atomic(start) }

    var microseconds: Int64 { now.load(ordering: .relaxed) }

    func advance(microseconds: Int64) { now.add(microseconds, ordering: .relaxed) }
}
