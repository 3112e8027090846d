import CSupport
import NexaStorage
import NexaWire

/// Document operations of one thread: it owns the reader, the batch and the scratch memory that they reuse, so that steady
/// reads and writes allocate nothing. Not Sendable.
///
/// Every `bytes` argument is part of a request payload that was validated as MessagePack. What a call returns as bytes is valid
/// until the next call on the same worker.
///
/// Operations: `+Create`, `+Update`, `+Batch`, `+Read`, `+Query`; what is done once however often it is sent: `+Operations`.
package final class DocumentWorker {
    package let store: DocumentStore
    let engine: Engine
    let reader: Reader
    /// The batch of the current write; its bytes back the last `WriteResult`.
    let writes = WriteBatch(reserve: 4096)
    var splice = DocumentSplice()
    var updateFields = UpdateFields()
    var plan = BatchPlan()
    var batchStates = BatchStates()
    /// The engine's keys of what a batch wrote, as ranges of `plan.keys`.
    var writtenKeys: ContiguousArray<Range<Int>> = []
    /// Ids for the items of a batch that bring none.
    var batchIDs: DocumentIDGenerator.Run?
    /// A copy of a document that the same batch wrote before.
    var pendingValue = ByteArena()
    let vectorBuffer = VectorBuffer()
    private var collections = CollectionCache()
    private var timestamps = TimestampFormatter()
    /// Text of the current write's time.
    let now: UnsafeMutableRawPointer
    /// `_created_at` of the document that is being replaced.
    let created: UnsafeMutableRawPointer
    /// The same as a number.
    private(set) var nowMicroseconds: Int64 = 0
    /// The engine's key of the current operation: collection id, then the document's key.
    private let keyMemory: UnsafeMutableRawPointer
    /// The engine's key of what is remembered under an `op_id`.
    let operationKey: UnsafeMutableRawPointer

    init(store: DocumentStore) {
        self.store = store
        engine = store.engine
        reader = store.engine.makeReader()
        now = .allocate(byteCount: TimestampFormatter.byteCount, alignment: 16)
        created = .allocate(byteCount: TimestampFormatter.byteCount, alignment: 16)
        keyMemory = .allocate(byteCount: Collection.prefixByteCount + NameRules.keyByteCountMax, alignment: 16)
        operationKey = .allocate(byteCount: OperationRecord.keyByteCount, alignment: 16)
    }

    deinit {
        now.deallocate()
        created.deallocate()
        keyMemory.deallocate()
        operationKey.deallocate()
    }

    /// Drops cached views, so that an idle thread keeps no memory of the engine alive.
    package func release() {
        reader.release()
        writes.removeAll()
        plan.release()
    }

    // MARK: Collections

    /// The collection of that name (an empty `database` means `default`). If there is none: nil, or with `create` it is made.
    @inline(__always)
    package func collection(
        database: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer, create: Bool
    ) throws(DocumentError) -> Collection? {
        if let known = knownCollection(database: database, name: name) { return known }
        return try findCollection(database: database.count == 0 ? Self.defaultDatabase : database, name: name, create: create)
    }

    /// The collection of that name if this worker has looked it up since the catalog last changed: its name needs no other check.
    @inline(__always)
    package func knownCollection(database: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer) -> Collection? {
        collections.find(
            database: database.count == 0 ? Self.defaultDatabase : database, name: name, version: store.catalog.version)
    }

    @inline(never)
    private func findCollection(
        database: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer, create: Bool
    ) throws(DocumentError) -> Collection? {
        let databaseName = database.text
        let collectionName = name.text
        try Catalog.check(databaseName, isNameOf: "database")
        try Catalog.check(collectionName, isNameOf: "collection")
        var found = store.catalog.view.collection(database: databaseName, name: collectionName)
        if found == nil && create {
            found = try store.catalog.createCollection(database: databaseName, name: collectionName).collection
        }
        if let found { collections.store(found, database: database, name: name) }
        return found
    }

    private static var defaultDatabase: UnsafeRawBufferPointer {
        let name: StaticString = "default"
        return UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    }

    // MARK: What the operations share

    /// Puts the engine's key of a document together; valid until the next call.
    @inline(__always)
    func engineKey(_ collection: Collection, _ key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        collection.writePrefix(to: keyMemory)
        (keyMemory + Collection.prefixByteCount).copyMemory(from: key.baseAddress!, byteCount: key.count)
        return UnsafeRawBufferPointer(start: keyMemory, count: Collection.prefixByteCount + key.count)
    }

    /// The engine's key with the next id of a run.
    func engineKey(_ collection: Collection, _ run: inout DocumentIDGenerator.Run) -> UnsafeRawBufferPointer {
        collection.writePrefix(to: keyMemory)
        run.writeNext(to: keyMemory + Collection.prefixByteCount)
        return UnsafeRawBufferPointer(start: keyMemory, count: Collection.prefixByteCount + DocumentIDGenerator.byteCount)
    }

    /// The document's key within an engine's key.
    @inline(__always)
    static func documentKey(_ engineKey: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: engineKey[Collection.prefixByteCount...])
    }

    @inline(__always)
    static func hash(_ engineKey: UnsafeRawBufferPointer) -> UInt64 {
        nexa_xxh3(engineKey.baseAddress, engineKey.count, 0)
    }

    /// Sets `now` to the present.
    func stampNow() { stamp(store.clock.microseconds()) }

    /// Sets `now`.
    func stamp(_ microseconds: Int64) {
        nowMicroseconds = microseconds
        timestamps.write(microseconds, to: now)
    }

    @inline(__always)
    func stored(
        _ engineKey: UnsafeRawBufferPointer, at lsn: LSN, mayBlock: Bool
    ) throws(DocumentError) -> DocumentView? {
        let value: StoredValue?
        do { value = try reader.get(engineKey, at: lsn, mayBlock: mayBlock) } catch { throw DocumentError(error) }
        guard let value else { return nil }
        guard let view = DocumentView(key: Self.documentKey(engineKey), value: value.bytes, lsn: value.lsn) else {
            throw DocumentError(.corruption, "A stored document is empty; run `nexadb check`")
        }
        return view
    }

    func exists(_ engineKey: UnsafeRawBufferPointer, mayBlock: Bool) throws(DocumentError) -> Bool {
        do { return try reader.exists(engineKey, at: .max, mayBlock: mayBlock) } catch { throw DocumentError(error) }
    }

    func commitWrites(_ options: WriteOptions) throws(DocumentError) -> LSN {
        do { return try engine.commit(writes, durability: options.durability, mayBlock: options.mayBlock) } catch {
            throw DocumentError(error)
        }
    }

    /// Runs `body` under the key's latch. A thread that must not block gives up when another one holds the latch for long: that one
    /// waits for memory.
    @inline(__always)
    func withLatch<Result>(
        _ engineKey: UnsafeRawBufferPointer, _ options: WriteOptions, _ body: () throws(DocumentError) -> Result
    ) throws(DocumentError) -> Result {
        let hash = Self.hash(engineKey)
        if options.mayBlock { return try engine.latches.withLatch(hash, body) }
        guard let result = try engine.latches.withLatchIfSoon(hash, body) else {
            throw .wouldBlock
        }
        return result
    }

    /// As `withLatch`, for the keys of a batch.
    func withLatches<Result>(
        _ stripes: [Int], _ options: WriteOptions, _ body: () throws(DocumentError) -> Result
    ) throws(DocumentError) -> Result {
        if options.mayBlock { return try engine.latches.withLatches(stripes, body) }
        guard let result = try engine.latches.withLatchesIfSoon(stripes, body) else { throw .wouldBlock }
        return result
    }

    /// Appends the spliced document to the batch and answers its view (LSN 0), whose bytes lie in the batch.
    @inline(__always)
    func putSpliced(
        _ engineKey: UnsafeRawBufferPointer, flags: DocumentFlags, createdAt: UnsafeRawPointer,
        note: ContiguousArray<UInt8> = []
    ) throws(DocumentError) -> DocumentView {
        let key = Self.documentKey(engineKey)
        let byteCount = splice.valueByteCount(keyByteCount: key.count)
        guard byteCount <= DocumentSplice.documentByteCountMax else {
            throw DocumentError(
                .tooLarge, "The document has \(byteCount) bytes, more than the limit of \(DocumentSplice.documentByteCountMax)")
        }
        if !note.isEmpty { note.withUnsafeBytes { writes.note($0) } }
        writes.put(key: engineKey, valueByteCount: byteCount) { target in
            splice.write(to: target, flags: flags, key: key, createdAt: createdAt, updatedAt: now)
        }
        let value = UnsafeRawBufferPointer(rebasing: writes.bytes.suffix(byteCount))
        return DocumentView(key: key, bytes: UnsafeRawBufferPointer(rebasing: value[1...]), flags: flags, lsn: 0)
    }

    /// Appends the removal of a document to the batch, with the time of it for readers of the log.
    func deleteNoted(_ engineKey: UnsafeRawBufferPointer) {
        withUnsafeBytes(of: ChangeNote.time(store.clock.microseconds())) { writes.note($0) }
        writes.delete(key: engineKey)
    }

    /// Refuses a vector that does not fit the collection. Answers its dimensions if it is one and the collection has none declared:
    /// a write that finds nothing else against it then has to `declareVectors` before it commits. No bytes are no vector.
    func checkVector(
        _ value: UnsafeRawBufferPointer, in collection: Collection, _ options: WriteOptions
    ) throws(DocumentError) -> Int? {
        guard value.count > 0 else { return nil }
        switch VectorField.judge(value, vectorBuffer) {
        case .notAVector:
            return nil
        case .notFinite:
            throw VectorField.notFinite()
        case .tooLong(let count):
            throw VectorField.tooLong(count)
        case .vector(let count):
            if let expected = collection.vectorDimensions {
                guard expected == count else { throw VectorField.mismatch(expected: expected, actual: count) }
                return nil
            }
            if !options.mayBlock { throw .wouldBlock }
            return count
        }
    }

    /// Fixes the dimensions of a collection that has none declared; a mismatch if another writer was first, with others. Must not run
    /// under a latch: it changes the catalog, and a drop takes the catalog's lock before the latches.
    func declareVectors(
        _ dimensions: Int, in collection: Collection, _ options: WriteOptions
    ) throws(DocumentError) {
        let declared = try store.catalog.declareFirstVector(dimensions, in: collection, options.durability)
        guard declared == dimensions else { throw VectorField.mismatch(expected: declared, actual: dimensions) }
    }

    static func dropped(_ collection: Collection) -> DocumentError {
        Catalog.noSuchCollection(collection.name, database: collection.database)
    }

    static func duplicate(_ key: UnsafeRawBufferPointer, _ collection: Collection) -> DocumentError {
        DocumentError(
            .duplicate, "Duplicate key: document '\(key.text)' already exists in collection '\(collection.name)'",
            details: [.init("id", .string(key.text))])
    }

    /// `actual` is nil if there is no document, and `.max` if the same batch wrote it: its position is not known yet.
    static func conflict(_ key: UnsafeRawBufferPointer, expected: LSN, actual: LSN?) -> DocumentError {
        var details: [MessagePackValue.Entry] = [.init("id", .string(key.text))]
        let state: String
        switch actual {
        case nil: state = "does not exist"
        case LSN.max: state = "was written by an earlier item of the batch"
        case let actual?:
            state = "is at _rev \(actual)"
            details.append(.init("_rev", MessagePackValue(lsn: actual)))
        }
        return DocumentError(
            .conflict, "Document '\(key.text)' \(state), not at _rev \(expected): read it again and repeat the change",
            details: details)
    }
}

extension MessagePackValue {
    /// A position as a number.
    init(lsn: LSN) { self = Int64(exactly: lsn).map { .int($0) } ?? .uint(lsn) }
}
