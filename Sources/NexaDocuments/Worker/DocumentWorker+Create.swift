import NexaStorage
import NexaWire

/// CREATE and DELETE: decide under the key's latch against the newest state, in flight included, then commit one operation.
extension DocumentWorker {
    /// Stores a new document (the map `document`). DUPLICATE with `id` in its details if the key exists.
    ///
    /// The key is the document's `_id`, else, with `options.usesIDField`, its `id`, else a new id. Marker documents of
    /// existing clients declare their collection and are not stored. With `operation` it is stored once, however often that is sent.
    package func create(
        _ collection: Collection, document: UnsafeRawBufferPointer, options: WriteOptions, operation: OperationID? = nil
    ) throws(DocumentError) -> WriteResult {
        guard let operation else { return try create(collection, document, options, nil) }
        let note = OperationNote(operation, .create, names: collection.nameHash, key: .none, body: document)
        return try once(note, options) { () throws(DocumentError) in
            try create(collection, document, options, note)
        } repeated: { remembered throws(DocumentError) in
            try repeatedCreate(remembered, document, in: collection, options)
        }
    }

    private func create(
        _ collection: Collection, _ document: UnsafeRawBufferPointer, _ options: WriteOptions, _ note: OperationNote?
    ) throws(DocumentError) -> WriteResult {
        let incoming = try IncomingDocument(document, usesIDField: options.usesIDField)
        let given = try incoming.givenKey()
        let engineKey: UnsafeRawBufferPointer
        if given.count > 0 {
            engineKey = self.engineKey(collection, given)
        } else {
            var run = store.ids.reserve(1)
            engineKey = self.engineKey(collection, &run)
        }
        stampNow()
        writes.removeAll()
        if let note { remember(note, outcome: Self.documentKey(engineKey), options) }
        incoming.collectRuns(into: &splice)
        let view = try putSpliced(engineKey, flags: incoming.flags, createdAt: now)
        if incoming.isMarker { return try declareByMarker(collection, incoming, view, options) }
        if let dimensions = try checkVector(incoming.vectorValue, in: collection, options) {
            try checkIsNew(engineKey, in: collection, options)
            try declareVectors(dimensions, in: collection, options)
        }
        let lsn = try withLatch(engineKey, options) { () throws(DocumentError) in
            try checkIsNew(engineKey, in: collection, options)
            return try commitWrites(options)
        }
        return WriteResult(lsn: lsn, document: view.written(at: lsn), isNew: true)
    }

    /// Refuses a key that exists. Decides under its latch only.
    private func checkIsNew(
        _ engineKey: UnsafeRawBufferPointer, in collection: Collection, _ options: WriteOptions
    ) throws(DocumentError) {
        if collection.isDropped { throw Self.dropped(collection) }
        if try exists(engineKey, mayBlock: options.mayBlock) { throw Self.duplicate(Self.documentKey(engineKey), collection) }
    }

    private func declareByMarker(
        _ collection: Collection, _ incoming: IncomingDocument, _ view: DocumentView, _ options: WriteOptions
    ) throws(DocumentError) -> WriteResult {
        if !options.mayBlock { throw .wouldBlock }
        let made = try store.catalog.createCollection(
            database: collection.database, name: collection.name, vectorDimensions: incoming.markerDimensions,
            durability: options.durability)
        return WriteResult(lsn: made.lsn, document: view, isNew: true)
    }

    /// Removes the document of `key` and answers the position of the delete; nil if there is none. With `operation` once, however often
    /// that is sent.
    package func delete(
        _ collection: Collection, key: UnsafeRawBufferPointer, options: WriteOptions, operation: OperationID? = nil
    ) throws(DocumentError) -> LSN? {
        guard let operation else { return try delete(collection, key, options, nil) }
        let note = OperationNote(operation, .delete, names: collection.nameHash, key: key, body: .none)
        return try once(note, options) { () throws(DocumentError) in
            try delete(collection, key, options, note)
        } repeated: { remembered throws(DocumentError) in
            remembered.lsn
        }
    }

    private func delete(
        _ collection: Collection, _ key: UnsafeRawBufferPointer, _ options: WriteOptions, _ note: OperationNote?
    ) throws(DocumentError) -> LSN? {
        guard NameRules.isValidKey(key) else { return nil }
        let engineKey = engineKey(collection, key)
        writes.removeAll()
        if let note {
            stampNow()
            remember(note, outcome: .none, options)
        }
        deleteNoted(engineKey)
        return try withLatch(engineKey, options) { () throws(DocumentError) in
            if collection.isDropped { throw Self.dropped(collection) }
            if let expected = options.ifMatch {
                guard let stored = try stored(engineKey, at: .max, mayBlock: options.mayBlock) else { return nil }
                if stored.lsn != expected { throw Self.conflict(stored.key, expected: expected, actual: stored.lsn) }
            } else if try !exists(engineKey, mayBlock: options.mayBlock) {
                return nil
            }
            return try commitWrites(options)
        }
    }
}

extension DocumentView {
    /// The same document, now that its position is known.
    func written(at lsn: LSN) -> DocumentView { DocumentView(key: key, bytes: bytes, flags: flags, lsn: lsn) }
}
