/// What the ids in log records were called: from the catalog, from what was dropped since the node started, and for the rest from the drops
/// that lie ahead in the log. An id is never used twice and a collection is never renamed, so a name once found stays right.
///
/// Guarded by its lock; `find` never touches the disk, `search` does.

import NexaStorage
import NexaWire

package final class CollectionNames: Sendable {
    private let engine: Engine
    private let catalog: Catalog
    private let lock = NexaLock()
    /// Of the catalog as it was at `version`. Guarded by `lock`.
    nonisolated(unsafe) private var live: [UInt32: CollectionName] = [:]
    nonisolated(unsafe) private var version: UInt64 = 0
    /// Drops of the records up to here were looked at, from `searchedFrom` on. Guarded by `lock`.
    nonisolated(unsafe) private var searched: ClosedRange<LSN>?

    package init(_ store: DocumentStore) {
        engine = store.engine
        catalog = store.catalog
    }

    /// The name of a collection; nil: it has to be searched for.
    package func find(_ id: UInt32) -> CollectionName? {
        let known = lock.withLock { () -> CollectionName? in
            if let name = live[id] { return name }
            let now = catalog.version
            guard now != version else { return nil }
            version = now
            live = catalog.view.namesByID
            return live[id]
        }
        return known ?? catalog.dropped.name(of: id)
    }

    /// The name of a collection that occurs in the record `lsn` and that `find` does not know: it was dropped, behind that record. Reads
    /// the rest of the log, once. Nil when no drop tells the name.
    package func search(_ id: UInt32, from lsn: LSN) throws(StorageError) -> CollectionName? {
        let durable = engine.durableLSN
        var start = lsn
        if let searched = lock.withLock({ searched }), searched.lowerBound <= lsn { start = max(lsn, searched.upperBound + 1) }
        if start <= durable { try readDrops(from: start, to: durable) }
        lock.withLock {
            searched = min(lsn, searched?.lowerBound ?? lsn)...max(durable, searched?.upperBound ?? 0)
        }
        return find(id)
    }

    private func readDrops(from lsn: LSN, to durable: LSN) throws(StorageError) {
        let expander = PayloadExpander()
        let oldest = engine.oldestLogLSN ?? lsn
        _ = try engine.tail(from: lsn).read(upTo: durable, byteCountMax: .max) { record throws(StorageError) in
            guard record.header.type == .ddl, let payload = expander.expand(record.stored, record.header) else { return }
            var cursor = BatchCursor(payload)
            while let operation = try? cursor.next() {
                guard let (id, name) = CatalogRecord.dropped(by: operation) else { continue }
                catalog.dropped.add(id, name, at: record.header.lsn, oldestLSN: oldest)
            }
        }
    }
}

extension CatalogView {
    fileprivate var namesByID: [UInt32: CollectionName] {
        var names: [UInt32: CollectionName] = [:]
        for (database, collections) in databases {
            for collection in collections.values {
                names[collection.id] = CollectionName(database: database, collection: collection.name)
            }
        }
        return names
    }
}

extension CatalogRecord {
    /// The collection that an operation of a catalog record drops, when its note tells the name.
    static func dropped(by operation: NexaStorage.BatchOperation) -> (id: UInt32, name: CollectionName)? {
        guard operation.kind == .delete, kind(of: operation.key) == .collection,
            let id = id(rest(of: operation.key)), let note = ChangeNote.drop(in: operation.note), let name = note.collection
        else { return nil }
        return (id, CollectionName(database: note.database, collection: name))
    }

    /// The kind of a catalog entry; nil for any other key.
    static func kind(of key: UnsafeRawBufferPointer) -> Kind? {
        guard key.count >= prefixByteCount, key.prefix(4).elementsEqual(lowerBound) else { return nil }
        return Kind(rawValue: key[4])
    }

    /// A key without the prefix and its kind.
    static func rest(of key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: key[prefixByteCount...])
    }
}
