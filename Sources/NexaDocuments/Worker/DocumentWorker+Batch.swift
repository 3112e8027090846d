import NexaStorage
import NexaWire

/// BATCH_WRITE: one walk that finds every key, then all latches in ascending order, then each item against the newest state
/// and what the batch itself did before it, then one commit.
///
/// Not atomic means that items fail one by one; what remains is still one record of the log, so a crash never splits it.
extension DocumentWorker {
    /// Runs a BATCH_WRITE as one record of the log. An atomic batch throws the first error, with the item's `index`. One with an
    /// `operation` runs once, however often that is sent; if none of its items was written, it has not run.
    package func batch(_ request: BatchRequest) throws(DocumentError) -> BatchResult {
        guard let operation = request.operation else { return try run(request, nil) }
        let note = OperationNote(operation, .batch, names: request.nameHash, key: .none, body: request.items.bytes)
        return try once(note, request.options) { () throws(DocumentError) in
            try run(request, note)
        } repeated: { remembered throws(DocumentError) in
            try repeatedBatch(remembered)
        }
    }

    private func run(_ request: BatchRequest, _ note: OperationNote?) throws(DocumentError) -> BatchResult {
        var failures = BatchFailures(isAtomic: request.isAtomic, isOrdered: request.isOrdered)
        plan.begin()
        stampNow()
        try planItems(request, &failures)
        let stripes = plan.stripes()
        if plan.hasUndeclaredVectors {
            // What the batch would store declares; it is decided once more below.
            var rehearsed = failures
            try withLatches(stripes, request.options) { () throws(DocumentError) in try applyItems(&rehearsed) }
            for first in plan.firstVectors {
                _ = try store.catalog.declareFirstVector(
                    first.dimensions, in: plan.collections[first.collection], request.options.durability)
            }
        }
        let lsn = try withLatches(stripes, request.options) { () throws(DocumentError) -> LSN in
            try applyItems(&failures)
            if writes.count == 0 { return store.catalog.view.lsn }
            if let note { remember(note, result(lsn: 0, failures), request.options) }
            return try commitWrites(request.options)
        }
        return result(lsn: lsn, failures)
    }

    private func result(lsn: LSN, _ failures: BatchFailures) -> BatchResult {
        let keys = BatchKeys(
            bytes: plan.keys.bytes(at: 0, count: plan.keys.byteCount), ranges: writtenKeys,
            prefixByteCount: Collection.prefixByteCount)
        return BatchResult(lsn: lsn, count: writtenKeys.count, keys: keys, errors: failures.sorted())
    }

    // MARK: Planning, without latches

    private func planItems(_ request: BatchRequest, _ failures: inout BatchFailures) throws(DocumentError) {
        let (list, isDocuments): (UnsafeRawBufferPointer, Bool) =
            switch request.items {
            case .documents(let bytes): (bytes, true)
            case .operations(let bytes): (bytes, false)
            }
        var reader = MessagePackReader(list)
        guard let count = try? reader.readArrayHeader() else {
            let name = isDocuments ? "documents" : "operations"
            throw DocumentError(.badRequest, "'\(name)' is a list", details: [.init("field", .string(name))])
        }
        guard count <= BatchRequest.itemCountMax else {
            throw DocumentError(
                .tooLarge, "A batch has at most \(BatchRequest.itemCountMax) items, not \(count): send several batches")
        }
        if count > 0 { batchIDs = store.ids.reserve(count) }
        for index in 0..<count {
            guard let bytes = try? reader.readRawValue() else {
                throw DocumentError(.badPayload, "The batch is not well-formed MessagePack")
            }
            do throws(DocumentError) {
                if isDocuments {
                    try planDocument(bytes, .create, nil, request.collection, index, request.options)
                } else {
                    try planOperation(bytes, index, request)
                }
            } catch {
                if try failures.note(error, index: index) == .stop { break }
            }
        }
    }

    private func planOperation(_ bytes: UnsafeRawBufferPointer, _ index: Int, _ request: BatchRequest) throws(DocumentError) {
        let operation = try BatchOperation(bytes)
        var target = request.collection
        if operation.collection.count > 0 {
            let creates = operation.operation != .delete
            target = try collection(
                database: request.database, name: operation.collection, create: creates && request.options.mayBlock)
            if target == nil { throw creates ? .wouldBlock : Self.missing(operation.key) }
        }
        var options = request.options
        options.upserts = operation.upserts ?? (operation.operation == .put)
        options.ifMatch = operation.ifMatch
        switch operation.operation {
        case .create, .put:
            try planDocument(operation.data, operation.operation ?? .create, operation.key, target, index, options)
        default:
            try planChange(operation, target, index, options)
        }
    }

    private func planDocument(
        _ document: UnsafeRawBufferPointer, _ operation: BatchItem.Operation, _ key: UnsafeRawBufferPointer?,
        _ collection: Collection?, _ index: Int, _ options: WriteOptions
    ) throws(DocumentError) {
        guard let collection else { throw BatchOperation.bad("collection", "The operation names no collection") }
        let incoming = try IncomingDocument(document, usesIDField: options.usesIDField)
        var given = try incoming.givenKey()
        if given.count == 0, let key, key.count > 0 {
            try IncomingDocument.checkKey(key)
            given = key
        } else if let key, key.count > 0, !areEqual(given, key) {
            throw BatchOperation.bad("key", "'key' and the document's '_id' differ")
        }
        var item = BatchItem(operation: operation, index: index, collection: plan.place(of: collection), options: options)
        item.body = document
        if incoming.isMarker {
            item.operation = .marker
            if !options.mayBlock { throw .wouldBlock }
            _ = try store.catalog.createCollection(
                database: collection.database, name: collection.name, vectorDimensions: incoming.markerDimensions,
                durability: options.durability)
        } else {
            item.undeclaredDimensions = try checkVector(incoming.vectorValue, in: collection, options)
        }
        let isGenerated = given.count == 0
        let engineKey = isGenerated ? nextEngineKey(collection) : engineKey(collection, given)
        plan.append(item, engineKey: engineKey, isGenerated: isGenerated)
    }

    /// The engine's key with a new id, of a run that is drawn for the whole batch at once.
    private func nextEngineKey(_ collection: Collection) -> UnsafeRawBufferPointer {
        guard var run = batchIDs else { preconditionFailure("ids are drawn before the first item") }
        let key = engineKey(collection, &run)
        batchIDs = run
        return key
    }

    private func planChange(
        _ operation: BatchOperation, _ collection: Collection?, _ index: Int, _ options: WriteOptions
    ) throws(DocumentError) {
        guard let collection else { throw BatchOperation.bad("collection", "The operation names no collection") }
        try IncomingDocument.checkKey(operation.key)
        let kind = operation.operation ?? .delete
        var item = BatchItem(operation: kind, index: index, collection: plan.place(of: collection), options: options)
        if kind == .update {
            item.body = operation.updates
            try updateFields.load(item.body, key: operation.key, usesIDField: options.usesIDField)
            item.undeclaredDimensions = try checkVector(updateFields.vectorValue, in: collection, options)
        }
        plan.append(item, engineKey: engineKey(collection, operation.key), isGenerated: false)
    }

    // MARK: Applying, under the latches

    private func applyItems(_ failures: inout BatchFailures) throws(DocumentError) {
        writes.removeAll()
        writtenKeys.removeAll(keepingCapacity: writtenKeys.capacity <= 4096)
        if plan.hasGivenKeys { batchStates.begin(count: plan.items.count) }
        for item in plan.items {
            do throws(DocumentError) {
                try apply(item)
                if item.undeclaredDimensions != nil { plan.noteFirstVector(item) }
                writtenKeys.append(item.keyOffset..<(item.keyOffset + item.keyByteCount))
            } catch {
                if try failures.note(error, index: item.index) == .stop { break }
            }
        }
    }

    private func apply(_ item: BatchItem) throws(DocumentError) {
        let collection = plan.collections[item.collection]
        if collection.isDropped { throw Self.dropped(collection) }
        if let dimensions = item.undeclaredDimensions,
            let expected = collection.vectorDimensions ?? plan.firstDimensions(of: item.collection), expected != dimensions
        {
            throw VectorField.mismatch(expected: expected, actual: dimensions)
        }
        let engineKey = plan.engineKey(item)
        switch item.operation {
        case .marker:
            return
        case .create:
            if try isPresent(item, engineKey) { throw Self.duplicate(Self.documentKey(engineKey), collection) }
            try putNew(item, engineKey, createdAt: now, isNew: true)
        case .put:
            let earlier = try newest(item, engineKey)
            try checkMatch(item, earlier, engineKey)
            if earlier == nil && !item.options.upserts { throw Self.missing(Self.documentKey(engineKey)) }
            if let earlier { try keepCreationTime(of: earlier) }
            try putNew(item, engineKey, createdAt: earlier == nil ? now : created, isNew: earlier == nil)
        case .update:
            try updateFields.load(item.body, key: Self.documentKey(engineKey), usesIDField: item.options.usesIDField)
            guard let view = try putMerged(engineKey, try newest(item, engineKey), item.options) else {
                throw Self.missing(Self.documentKey(engineKey))
            }
            noteWritten(item, byteCount: view.bytes.count + 1)
        case .delete:
            let earlier = try newest(item, engineKey)
            guard earlier != nil else { throw Self.missing(Self.documentKey(engineKey)) }
            try checkMatch(item, earlier, engineKey)
            deleteNoted(engineKey)
            batchStates.set(item, valueOffset: nil, valueByteCount: 0, in: plan)
        }
    }

    private func putNew(
        _ item: BatchItem, _ engineKey: UnsafeRawBufferPointer, createdAt: UnsafeRawPointer, isNew: Bool
    ) throws(DocumentError) {
        let incoming = try IncomingDocument(item.body, usesIDField: item.options.usesIDField)
        incoming.collectRuns(into: &splice)
        let flags = isNew ? incoming.flags : incoming.flags.union(.replaced)
        let view = try putSpliced(engineKey, flags: flags, createdAt: createdAt)
        noteWritten(item, byteCount: view.bytes.count + 1)
    }

    private func noteWritten(_ item: BatchItem, byteCount: Int) {
        guard plan.hasGivenKeys else { return }
        batchStates.set(item, valueOffset: writes.byteCount - byteCount, valueByteCount: byteCount, in: plan)
    }

    private func checkMatch(_ item: BatchItem, _ earlier: DocumentView?, _ engineKey: UnsafeRawBufferPointer)
        throws(DocumentError)
    {
        guard let expected = item.options.ifMatch, earlier?.lsn != expected else { return }
        throw Self.conflict(Self.documentKey(engineKey), expected: expected, actual: earlier?.lsn)
    }

    private func isPresent(_ item: BatchItem, _ engineKey: UnsafeRawBufferPointer) throws(DocumentError) -> Bool {
        if plan.hasGivenKeys, let state = batchStates.find(item, in: plan) { return state.valueOffset != nil }
        return try exists(engineKey, mayBlock: item.options.mayBlock)
    }

    /// The newest document of an item's key. What this batch wrote is copied aside, because the batch's bytes move as it grows;
    /// its position is not known yet and matches no `if_match`.
    private func newest(_ item: BatchItem, _ engineKey: UnsafeRawBufferPointer) throws(DocumentError) -> DocumentView? {
        if plan.hasGivenKeys, let state = batchStates.find(item, in: plan) {
            guard let offset = state.valueOffset else { return nil }
            pendingValue.removeAll()
            _ = pendingValue.append(UnsafeRawBufferPointer(rebasing: writes.bytes[offset..<offset + state.valueByteCount]))
            let value = pendingValue.bytes(at: 0, count: state.valueByteCount)
            return DocumentView(key: Self.documentKey(engineKey), value: value, lsn: .max)
        }
        return try stored(engineKey, at: .max, mayBlock: item.options.mayBlock)
    }

    private static func missing(_ key: UnsafeRawBufferPointer) -> DocumentError {
        DocumentError(.conflict, "Document '\(key.text)' does not exist", details: [.init("id", .string(key.text))])
    }
}

/// What happens to a batch when an item fails, and the list of those that did.
struct BatchFailures {
    enum Next {
        case goOn, stop
    }

    let isAtomic: Bool
    let isOrdered: Bool
    private var errors: [BatchItemError] = []

    init(isAtomic: Bool, isOrdered: Bool) {
        self.isAtomic = isAtomic
        self.isOrdered = isOrdered
    }

    /// Throws in an atomic batch, and where the whole batch has to be tried again. In an ordered batch the first failure by
    /// place is the one that counts: a later one, found earlier while planning, was never reached.
    mutating func note(_ error: DocumentError, index: Int) throws(DocumentError) -> Next {
        if error.isWouldBlock { throw error }
        if isAtomic {
            var error = error
            error.details.append(.init("index", .int(Int64(index))))
            throw error
        }
        if isOrdered { errors.removeAll() }
        errors.append(BatchItemError(index: index, error: error))
        return isOrdered ? .stop : .goOn
    }

    /// By place in the request.
    func sorted() -> [BatchItemError] { errors.sorted { $0.index < $1.index } }
}
