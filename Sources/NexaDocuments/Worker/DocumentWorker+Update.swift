import NexaStorage
import NexaWire

/// UPDATE: a shallow merge on bytes, read and written under the key's latch.
extension DocumentWorker {
    /// Merges the map `updates` into the document of `key`; nil if there is none and the options do not upsert.
    ///
    /// `_id` and `_created_at` stay, `_updated_at` moves. CONFLICT if `options.ifMatch` is not the document's `_rev`. With `operation`
    /// it is merged once, however often that is sent.
    package func update(
        _ collection: Collection, key: UnsafeRawBufferPointer, updates: UnsafeRawBufferPointer, options: WriteOptions,
        operation: OperationID? = nil
    ) throws(DocumentError) -> WriteResult? {
        guard let operation else { return try update(collection, key, updates, options, nil) }
        let note = OperationNote(operation, .update, names: collection.nameHash, key: key, body: updates)
        return try once(note, options) { () throws(DocumentError) in
            try update(collection, key, updates, options, note)
        } repeated: { remembered throws(DocumentError) in
            try repeatedUpdate(remembered, key, in: collection, options)
        }
    }

    private func update(
        _ collection: Collection, _ key: UnsafeRawBufferPointer, _ updates: UnsafeRawBufferPointer, _ options: WriteOptions,
        _ note: OperationNote?
    ) throws(DocumentError) -> WriteResult? {
        if options.upserts { try IncomingDocument.checkKey(key) }
        guard NameRules.isValidKey(key) else { return nil }
        try updateFields.load(updates, key: key, usesIDField: options.usesIDField)
        let engineKey = engineKey(collection, key)
        stampNow()
        if let dimensions = try checkVector(updateFields.vectorValue, in: collection, options) {
            writes.removeAll()
            guard try putMerged(engineKey, of: collection, options) != nil else { return nil }
            try declareVectors(dimensions, in: collection, options)
            try updateFields.load(updates, key: key, usesIDField: options.usesIDField)
        }
        writes.removeAll()
        if let note { remember(note, outcome: .none, options) }
        return try withLatch(engineKey, options) { () throws(DocumentError) -> WriteResult? in
            guard let merged = try putMerged(engineKey, of: collection, options) else { return nil }
            let lsn = try commitWrites(options)
            return WriteResult(lsn: lsn, document: merged.document.written(at: lsn), isNew: merged.isNew)
        }
    }

    /// Appends the merge of what is stored under the key now. Decides under its latch only.
    private func putMerged(
        _ engineKey: UnsafeRawBufferPointer, of collection: Collection, _ options: WriteOptions
    ) throws(DocumentError) -> (document: DocumentView, isNew: Bool)? {
        if collection.isDropped { throw Self.dropped(collection) }
        let stored = try stored(engineKey, at: .max, mayBlock: options.mayBlock)
        guard let view = try putMerged(engineKey, stored, options) else { return nil }
        return (view, stored == nil)
    }

    /// Appends the merge of `stored` and the loaded fields to the batch; nil if there is nothing to merge into.
    func putMerged(
        _ engineKey: UnsafeRawBufferPointer, _ stored: DocumentView?, _ options: WriteOptions
    ) throws(DocumentError) -> DocumentView? {
        guard let stored else {
            if let expected = options.ifMatch, options.upserts {
                throw Self.conflict(Self.documentKey(engineKey), expected: expected, actual: nil)
            }
            guard options.upserts else { return nil }
            updateFields.collectRuns(into: &splice)
            return try putSpliced(engineKey, flags: updateFields.flags(merging: []), createdAt: now)
        }
        if let expected = options.ifMatch, stored.lsn != expected {
            throw Self.conflict(stored.key, expected: expected, actual: stored.lsn)
        }
        try keepCreationTime(of: stored)
        try updateFields.merge(into: stored, splice: &splice)
        return try putSpliced(
            engineKey, flags: updateFields.flags(merging: stored.flags).union(.replaced), createdAt: created,
            note: updateFields.note)
    }

    /// Copies the document's `_created_at` to `created`.
    func keepCreationTime(of document: DocumentView) throws(DocumentError) {
        guard let layout = StoredLayout(document.bytes) else { throw StoredLayout.damage(document) }
        created.copyMemory(
            from: document.bytes.baseAddress! + layout.createdAtOffset, byteCount: TimestampFormatter.byteCount)
    }
}
