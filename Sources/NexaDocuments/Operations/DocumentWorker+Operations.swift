import NexaStorage
import NexaWire

/// Writes that are done once however often they are sent. What wrote nothing is not remembered: its repeat is decided anew.
extension DocumentWorker {
    /// Whether a write of that name is remembered now.
    package func remembers(_ operation: OperationID, mayBlock: Bool) throws(DocumentError) -> Bool {
        try recall(operation, mayBlock: mayBlock) != nil
    }

    /// Runs a change of the catalog, once however often its `operation` is sent, and answers its position.
    package func changeCatalog(
        _ kind: OperationRecord.Kind, database: String, collection: String = "", operation: OperationID?, durability: Durability,
        _ change: (OperationNote?) throws(DocumentError) -> LSN
    ) throws(DocumentError) -> LSN {
        guard let operation else { return try change(nil) }
        var options = WriteOptions()
        options.durability = durability
        let names = Collection.nameHash(database: database, name: collection)
        let note = OperationNote(operation, kind, names: names, key: .none, body: .none)
        return try once(note, options) { () throws(DocumentError) in
            try change(note)
        } repeated: { remembered throws(DocumentError) in
            remembered.lsn
        }
    }

    /// Runs `fresh`, unless the operation is remembered: then `repeated` answers. Both run under the operation's latch, so that the
    /// second of two copies finds what the first one committed. A `fresh` that writes has to remember it in the same batch.
    ///
    /// BAD_REQUEST if the remembered request was another one.
    func once<Result>(
        _ note: OperationNote, _ options: WriteOptions, fresh: () throws(DocumentError) -> Result,
        repeated: (RememberedOperation) throws(DocumentError) -> Result
    ) throws(DocumentError) -> Result {
        let memory = store.operations
        if memory.isDue {
            if !options.mayBlock { throw .wouldBlock }
            do { try memory.turn() } catch { throw DocumentError(error) }
        }
        func decide() throws(DocumentError) -> Result {
            guard let remembered = try recall(note.id, mayBlock: options.mayBlock) else { return try fresh() }
            guard remembered.kind == note.kind, remembered.fingerprint == note.fingerprint else {
                throw DocumentError(
                    .badRequest, "This 'op_id' belongs to another request: a repeat is the same write of the same data",
                    details: [.init("field", "op_id")])
            }
            try meet(options, remembered)
            memory.noteRepeat()
            return try repeated(remembered)
        }
        if options.mayBlock { return try memory.latches.withLatch(note.id.hash, decide) }
        guard let result = try memory.latches.withLatchIfSoon(note.id.hash, decide) else { throw .wouldBlock }
        return result
    }

    private func recall(_ operation: OperationID, mayBlock: Bool) throws(DocumentError) -> RememberedOperation? {
        let newest = store.operations.period
        var period = newest
        while period > 0 && newest - period < 2 {
            OperationRecord.writeKey(operation, period: period, to: operationKey)
            let key = UnsafeRawBufferPointer(start: operationKey, count: OperationRecord.keyByteCount)
            let value: StoredValue?
            do { value = try reader.get(key, at: .max, mayBlock: mayBlock) } catch { throw DocumentError(error) }
            if let value {
                guard let remembered = RememberedOperation(value) else { throw Self.damagedOperation }
                return remembered
            }
            period -= 1
        }
        return nil
    }

    /// A repeat that asks for the disk gets it, even if the first write did not.
    private func meet(_ options: WriteOptions, _ remembered: RememberedOperation) throws(DocumentError) {
        guard options.durability == .disk, !remembered.wasSynced, engine.durableLSN < remembered.lsn else { return }
        if !options.mayBlock { throw .wouldBlock }
        do { try engine.syncLog() } catch { throw DocumentError(error) }
    }

    // MARK: Remembering

    /// Appends the entry of a write to its batch.
    func remember(_ note: OperationNote, outcome: UnsafeRawBufferPointer, _ options: WriteOptions) {
        store.operations.remember(note, outcome: outcome, at: nowMicroseconds, options.durability, in: writes)
    }

    /// Appends the entry of a batch, whose items have all been applied.
    func remember(_ note: OperationNote, _ result: BatchResult, _ options: WriteOptions) {
        let outcome = OutputBytes(capacity: 64 + 20 * result.count)
        outcome.writeArrayHeader(2)
        result.keys.encode(into: outcome)
        result.errors.encode(into: outcome)
        remember(note, outcome: outcome.bytes, options)
    }

    // MARK: Repeating

    /// The document as the first request stored it: it is the same in the repeat.
    func repeatedCreate(
        _ remembered: RememberedOperation, _ document: UnsafeRawBufferPointer, in collection: Collection, _ options: WriteOptions
    ) throws(DocumentError) -> WriteResult {
        guard NameRules.isValidKey(remembered.outcome) else { throw Self.damagedOperation }
        let engineKey = engineKey(collection, remembered.outcome)
        let incoming = try IncomingDocument(document, usesIDField: options.usesIDField)
        stamp(remembered.microseconds)
        writes.removeAll()
        incoming.collectRuns(into: &splice)
        let view = try putSpliced(engineKey, flags: incoming.flags, createdAt: now)
        return WriteResult(lsn: remembered.lsn, document: view.written(at: remembered.lsn), isNew: true)
    }

    /// The document as it is now: that of the first request, unless somebody has changed it since.
    func repeatedUpdate(
        _ remembered: RememberedOperation, _ key: UnsafeRawBufferPointer, in collection: Collection, _ options: WriteOptions
    ) throws(DocumentError) -> WriteResult {
        let engineKey = engineKey(collection, key)
        // Never beyond what the answer waits for.
        let position = max(engine.visibleLSN, remembered.lsn)
        if !collection.isDropped, let document = try stored(engineKey, at: position, mayBlock: options.mayBlock) {
            return WriteResult(lsn: remembered.lsn, document: document, isNew: false)
        }
        let gone = DocumentView(key: Self.documentKey(engineKey), bytes: .none, flags: [], lsn: remembered.lsn)
        return WriteResult(lsn: remembered.lsn, document: gone, isNew: false, isGone: true)
    }

    func repeatedBatch(_ remembered: RememberedOperation) throws(DocumentError) -> BatchResult {
        var reader = MessagePackReader(remembered.outcome)
        do throws(MessagePackError) {
            guard try reader.readArrayHeader() == 2 else { throw MessagePackError(.wrongType, at: 0) }
            let keys = try BatchKeys(decoding: &reader, of: remembered.outcome)
            let errors = try [BatchItemError](decoding: &reader)
            return BatchResult(lsn: remembered.lsn, count: keys.count, keys: keys, errors: errors)
        } catch {
            throw Self.damagedOperation
        }
    }

    private static var damagedOperation: DocumentError {
        DocumentError(.corruption, "A remembered operation cannot be read; run `nexadb check`")
    }
}
