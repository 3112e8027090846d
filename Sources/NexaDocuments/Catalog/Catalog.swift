import NexaStorage
import NexaWire
import Synchronization

/// The databases, collections and users of a store: entries of collection 0 in the engine, and an immutable view of them in memory.
///
/// Invariants:
/// - A change is one atomic batch; the view is replaced after its commit, so nothing is in the view that is not in the log.
/// - A collection's id is never used again. A drop is one batch of range deletes and removals of catalog entries; it commits and sets
///   `isDropped` under all key latches, and writers test `isDropped` under a latch: no document is written behind a drop.
/// - A database of very many collections is dropped in several such batches, the last of which takes its own entry: after a crash in
///   between it still exists, with what is left of it, and can be dropped again.
/// - One change runs at a time (`changes`); readers take the view without waiting for one (`published`).
package final class Catalog: Sendable {
    /// Collections of one store. Each costs a few hundred bytes of memory.
    package static let collectionCountMax = 100_000
    /// Databases of one store.
    package static let databaseCountMax = 10_000
    /// Collections that one batch drops: each is a range delete, of which the engine takes 4,096 at once.
    private static let dropCountMax = 4_000

    private let engine: Engine
    private let clock: WallClock
    private let operations: OperationMemory
    /// Held by the one change that runs.
    let changes = NexaLock()
    private let published = NexaLock()
    /// Guarded by `published`.
    nonisolated(unsafe) private var current: CatalogView
    private let versionCounter = Atomic<UInt64>(1)
    private let usersVersionCounter = Atomic<UInt64>(1)
    /// Names of collections whose records may still be in the log.
    let dropped = DroppedCollections()

    init(engine: Engine, clock: WallClock, operations: OperationMemory) throws(DocumentError) {
        self.engine = engine
        self.clock = clock
        self.operations = operations
        current = try DocumentError.mapping { () throws(StorageError) in try CatalogLoader.load(engine) }
    }

    /// Grows with every change; what caches a lookup keeps it beside.
    package var version: UInt64 { versionCounter.load(ordering: .acquiring) }

    /// Grows with every change of the users, and is never 0; a connection looks at it with each request.
    package var usersVersion: UInt64 { usersVersionCounter.load(ordering: .acquiring) }

    /// What exists now.
    package var view: CatalogView { published.withLock { current } }

    // MARK: Databases

    /// Makes a database that does not exist yet. Answers false, and the position of the newest change, if it existed.
    package func createDatabase(
        _ name: String, durability: Durability = .disk, note: OperationNote? = nil
    ) throws(DocumentError) -> (isNew: Bool, lsn: LSN) {
        try Self.check(name, isNameOf: "database")
        changes.lock()
        defer { changes.unlock() }
        let before = view
        if before.hasDatabase(name) { return (false, before.lsn) }
        let batch = WriteBatch(reserve: 256)
        try addDatabase(name, before, to: batch)
        let lsn = try commit(batch, durability, note)
        var databases = before.databases
        databases[name] = [:]
        publish(before.replacing(databases: databases, at: lsn))
        return (true, lsn)
    }

    /// Drops a database and all that is in it. NO_SUCH_DATABASE, and BAD_REQUEST for `default`.
    package func dropDatabase(
        _ name: String, durability: Durability = .disk, note: OperationNote? = nil
    ) throws(DocumentError) -> LSN {
        if name == CatalogView.defaultDatabase { throw DocumentError(.badRequest, "Cannot drop 'default' database") }
        changes.lock()
        defer { changes.unlock() }
        guard let collections = view.collections(of: name) else { throw Self.noSuchDatabase(name) }
        var rest = collections[...]
        while rest.count > Self.dropCountMax {
            _ = try drop(rest.prefix(Self.dropCountMax), database: nil, durability, nil)
            rest = rest.dropFirst(Self.dropCountMax)
        }
        return try drop(rest, database: name, durability, note)
    }

    // MARK: Collections

    /// Finds or makes a collection, and its database with it. `vectorDimensions`, when given, are declared if none are yet; a
    /// different earlier declaration is BAD_REQUEST.
    package func createCollection(
        database: String, name: String, vectorDimensions: Int? = nil, durability: Durability = .disk, note: OperationNote? = nil
    ) throws(DocumentError) -> (collection: Collection, isNew: Bool, lsn: LSN) {
        try Self.check(database, isNameOf: "database")
        try Self.check(name, isNameOf: "collection")
        if let vectorDimensions, !(1...VectorSearchSpec.dimensionsMax).contains(vectorDimensions) {
            throw DocumentError(.badRequest, "Vector dimensions must be 1 to \(VectorSearchSpec.dimensionsMax)")
        }
        changes.lock()
        defer { changes.unlock() }
        let before = view
        if let existing = before.collection(database: database, name: name) {
            let lsn = try declare(vectorDimensions, in: existing, before, durability)
            return (existing, false, lsn)
        }
        guard before.collectionCount < Self.collectionCountMax, before.nextCollectionID < UInt32.max - 1 else {
            throw DocumentError(.tooLarge, "A node holds at most \(Self.collectionCountMax) collections")
        }
        let batch = WriteBatch(reserve: 512)
        if !before.hasDatabase(database) { try addDatabase(database, before, to: batch) }
        let collection = Collection(
            id: before.nextCollectionID, database: database, name: name, vectorDimensions: vectorDimensions,
            createdAt: clock.microseconds())
        put(CatalogRecord.key(.nextID, []), CatalogRecord.bytes(of: collection.id + 1), to: batch)
        put(collection, dimensions: vectorDimensions, to: batch)
        let lsn = try commit(batch, durability, note)
        var databases = before.databases
        databases[database, default: [:]][name] = collection
        publish(before.replacing(databases: databases, nextCollectionID: collection.id + 1, at: lsn))
        return (collection, true, lsn)
    }

    /// Drops a collection with its documents. NO_SUCH_COLLECTION if there is none.
    package func dropCollection(
        database: String, name: String, durability: Durability = .disk, note: OperationNote? = nil
    ) throws(DocumentError) -> LSN {
        changes.lock()
        defer { changes.unlock() }
        guard let collection = view.collection(database: database, name: name) else {
            throw Self.noSuchCollection(name, database: database)
        }
        return try drop([collection], database: nil, durability, note)
    }

    /// Fixes the dimensions of a collection that has none yet, and answers those that hold from now on: the caller's, or
    /// what another writer declared first.
    func declareFirstVector(_ count: Int, in collection: Collection, _ durability: Durability) throws(DocumentError) -> Int {
        changes.lock()
        defer { changes.unlock() }
        if let declared = collection.vectorDimensions { return declared }
        _ = try declare(count, in: collection, view, durability)
        return count
    }

    // MARK: Errors that others name too

    package static func noSuchDatabase(_ name: String) -> DocumentError {
        DocumentError(.noSuchDatabase, "Database '\(name)' not found", details: [.init("database", .string(name))])
    }

    package static func noSuchCollection(_ name: String, database: String) -> DocumentError {
        DocumentError(
            .noSuchCollection, "Collection '\(name)' not found in database '\(database)'",
            details: [.init("database", .string(database)), .init("collection", .string(name))])
    }

    static func check(_ name: String, isNameOf what: StaticString) throws(DocumentError) {
        var name = name
        let isValid = name.withUTF8 { NameRules.isValidName(UnsafeRawBufferPointer($0)) }
        guard isValid else {
            throw DocumentError(
                .badRequest,
                "A \(what) name has 1 to \(NameRules.nameByteCountMax) bytes: a letter or _, then letters, digits, _ . or -",
                details: [.init("field", .string("\(what)"))])
        }
    }

    // MARK: Parts of a change, under `changes`

    private func declare(
        _ dimensions: Int?, in collection: Collection, _ before: CatalogView, _ durability: Durability
    ) throws(DocumentError) -> LSN {
        guard let dimensions, dimensions != collection.vectorDimensions, !collection.isDropped else { return before.lsn }
        if let declared = collection.vectorDimensions {
            throw DocumentError(
                .badRequest,
                "Collection '\(collection.name)' already exists with vectors of \(declared) dimensions, not \(dimensions)")
        }
        let batch = WriteBatch(reserve: 256)
        put(collection, dimensions: dimensions, to: batch)
        let lsn = try commit(batch, durability)
        collection.setVectorDimensions(dimensions)
        publish(before.replacing(at: lsn))
        return lsn
    }

    private func addDatabase(_ name: String, _ before: CatalogView, to batch: WriteBatch) throws(DocumentError) {
        guard before.databases.count < Self.databaseCountMax else {
            throw DocumentError(.tooLarge, "A node holds at most \(Self.databaseCountMax) databases")
        }
        put(CatalogRecord.key(.database, name.utf8), CatalogRecord.databaseValue(createdAt: clock.microseconds()), to: batch)
    }

    private func put(_ collection: Collection, dimensions: Int?, to batch: WriteBatch) {
        let value = CatalogRecord.collectionValue(
            database: collection.database, name: collection.name, dimensions: dimensions, createdAt: collection.createdAt)
        put(CatalogRecord.key(.collection, CatalogRecord.bytes(of: collection.id)), value, to: batch)
    }

    func put(_ key: [UInt8], _ value: [UInt8], to batch: WriteBatch) {
        key.withUnsafeBytes { key in value.withUnsafeBytes { batch.put(key: key, value: $0) } }
    }

    private func drop(
        _ collections: ArraySlice<Collection>, database: String?, _ durability: Durability, _ note: OperationNote?
    ) throws(DocumentError) -> LSN {
        let before = view
        let batch = WriteBatch(reserve: 256)
        let now = clock.microseconds()
        for collection in collections {
            let (lower, upper) = collection.keySpace
            lower.withUnsafeBytes { lower in upper.withUnsafeBytes { batch.deleteRange(start: lower, end: $0) } }
            ChangeNote.drop(database: collection.database, collection: collection.name, at: now).withUnsafeBytes {
                batch.note($0)
            }
            CatalogRecord.key(.collection, CatalogRecord.bytes(of: collection.id)).withUnsafeBytes { batch.delete(key: $0) }
        }
        if let database {
            ChangeNote.drop(database: database, collection: nil, at: now).withUnsafeBytes { batch.note($0) }
            CatalogRecord.key(.database, database.utf8).withUnsafeBytes { batch.delete(key: $0) }
        }
        let lsn = try engine.latches.withLatches(Array(0..<KeyLatches.stripeCount)) { () throws(DocumentError) in
            let lsn = try commit(batch, durability, note)
            for collection in collections { collection.setDropped() }
            return lsn
        }
        // Before the view forgets them: a reader of the log finds every name in one of the two.
        dropped.add(collections, at: lsn, oldestLSN: engine.oldestLogLSN ?? lsn)
        var databases = before.databases
        for collection in collections { databases[collection.database]?[collection.name] = nil }
        if let database { databases[database] = nil }
        publish(before.replacing(databases: databases, at: lsn))
        return lsn
    }

    /// `note`, when given, is remembered with the change.
    func commit(
        _ batch: WriteBatch, _ durability: Durability, _ note: OperationNote? = nil
    ) throws(DocumentError) -> LSN {
        if let note { operations.remember(note, outcome: .none, at: clock.microseconds(), durability, in: batch) }
        return try DocumentError.mapping { () throws(StorageError) in
            try engine.commit(batch, changesCatalog: true, durability: durability)
        }
    }

    /// Replaces the view by what `body` makes of it; no other change runs meanwhile. `body` also tells what it dropped.
    func change(_ body: (CatalogView) -> (view: CatalogView, dropped: [Collection])) {
        changes.lock()
        defer { changes.unlock() }
        let (view, gone) = body(view)
        dropped.add(gone, at: view.lsn, oldestLSN: engine.oldestLogLSN ?? view.lsn)
        publish(view)
    }

    func publish(_ view: CatalogView) {
        let changesUsers = published.withLock {
            defer { current = view }
            return view.users.version != current.users.version
        }
        versionCounter.add(1, ordering: .acquiringAndReleasing)
        if changesUsers { usersVersionCounter.add(1, ordering: .acquiringAndReleasing) }
    }
}
