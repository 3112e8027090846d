import NexaStorage
import NexaWire

/// CREATE and DELETE: decide under the key's latch against the newest state, in flight included, then commit one operation.
extension DocumentWorker {
    /// Stores a new document (the map `document`). DUPLICATE with `id` in its details if the key exists.
    ///
    /// The key is the document's `_id`, else, with `options.usesIDField`, its `id`, else a new id. Marker documents of
    /// existing clients declare their collection and are not stored.
    package func create(
        _ collection: Collection, document: UnsafeRawBufferPointer, options: WriteOptions
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
        incoming.collectRuns(into: &splice)
        let view = try putSpliced(engineKey, flags: incoming.flags, createdAt: now)
        if incoming.isMarker { return try declareByMarker(collection, incoming, view, options) }
        if incoming.vectorValue.count > 0 { try checkVector(incoming.vectorValue, in: collection, options) }
        let lsn = try withLatch(engineKey, options) { () throws(DocumentError) in
            if collection.isDropped { throw Self.dropped(collection) }
            if try exists(engineKey, mayBlock: options.mayBlock) { throw Self.duplicate(Self.documentKey(engineKey), collection) }
            return try commitWrites(options)
        }
        return WriteResult(lsn: lsn, document: view.written(at: lsn), isNew: true)
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

    /// Removes the document of `key` and answers the position of the delete; nil if there is none.
    package func delete(
        _ collection: Collection, key: UnsafeRawBufferPointer, options: WriteOptions
    ) throws(DocumentError) -> LSN? {
        guard NameRules.isValidKey(key) else { return nil }
        let engineKey = engineKey(collection, key)
        writes.removeAll()
        writes.delete(key: engineKey)
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
