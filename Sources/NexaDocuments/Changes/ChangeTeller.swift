/// Walks log records in order and tells those changes in them that a filter wants, from a position on. Knows nothing of files, sockets or
/// threads. Confined to whoever reads for the subscription.

import NexaStorage
import NexaWire

/// A record of the log with its payload expanded; the bytes are borrowed.
package struct ChangeRecord {
    package var position: LogPosition
    /// Whether it changes the catalog.
    package var isCatalog: Bool
    /// Of the log in front of the record, and up to and with it.
    package var chainInFront: UInt64
    package var chainBehind: UInt64
    package var payload: UnsafeRawBufferPointer

    package init(
        position: LogPosition, isCatalog: Bool, chainInFront: UInt64, chainBehind: UInt64, payload: UnsafeRawBufferPointer
    ) {
        self.position = position
        self.isCatalog = isCatalog
        self.chainInFront = chainInFront
        self.chainBehind = chainBehind
        self.payload = payload
    }
}

package struct ChangeTeller {
    package enum Progress: Equatable, Sendable {
        /// Everything in the record was told.
        case done
        /// Whoever listens wants no more for now; the position is behind what was told.
        case paused
        /// The record names a collection that is only to be found by reading ahead. Nothing of the operation was told.
        case unknownCollection
        /// The position belongs to another history than this log.
        case otherHistory
        /// The payload is no batch.
        case damaged
    }

    package let filter: ChangeFilter
    /// How far was told.
    package private(set) var position: ChangePosition
    private let names: CollectionNames
    /// What was decided for the last ids; nil: nothing of it is told.
    private var wanted: [UInt32: CollectionName?] = [:]
    private static let wantedCountMax = 1024

    package init(_ filter: ChangeFilter, from position: ChangePosition, names: CollectionNames) {
        self.filter = filter
        self.position = position
        self.names = names
    }

    package var nextLSN: LSN { position.nextLSN }

    /// Passes what the record `nextLSN` has to tell to `body`, with the position behind each change; `body` answers whether to go on. With
    /// `searches` names are looked for on disk.
    package mutating func tell(
        _ record: ChangeRecord, searches: Bool = false, _ body: (Change, ChangePosition) -> Bool
    ) throws(StorageError) -> Progress {
        precondition(record.position.lsn == nextLSN, "records are told in order")
        guard position.chain == 0 || position.chain == record.chainInFront else { return .otherHistory }
        let whole = ChangePosition(record.position, chain: record.chainBehind)
        var cursor = BatchCursor(record.payload)
        var index: UInt32 = 0
        while true {
            let operation: NexaStorage.BatchOperation
            do throws(MalformedBatch) {
                guard let next = try cursor.next() else { break }
                operation = next
            } catch {
                return .damaged
            }
            index += 1
            guard index > position.toldCount else { continue }
            let change: Change?
            switch try look(operation, record, searches: searches) {
            case .unknown: return .unknownCollection
            case .nothing: change = nil
            case .change(let found): change = found
            }
            let told =
                cursor.isAtEnd ? whole : ChangePosition(record.position, index: index, chain: record.chainInFront)
            let goesOn = change.map { body($0, told) } ?? true
            position = told
            if !goesOn { return .paused }
        }
        position = whole
        return .done
    }

    private enum Look {
        case nothing, unknown
        case change(Change)
    }

    private mutating func look(
        _ operation: NexaStorage.BatchOperation, _ record: ChangeRecord, searches: Bool
    ) throws(StorageError) -> Look {
        let key = operation.key
        guard key.count > Collection.prefixByteCount, operation.kind != .rangeDelete, let base = key.baseAddress else {
            return .nothing
        }
        let id: UInt32 = ByteOrder.loadBE(base)
        if id == 0 { return record.isCatalog ? drop(operation).map(Look.change) ?? .nothing : .nothing }
        let name: CollectionName
        if let known = wanted[id] {
            guard let known else { return .nothing }
            name = known
        } else {
            var found = names.find(id)
            if found == nil, searches { found = try names.search(id, from: record.position.lsn) }
            // A name that nothing in the log tells any more cannot be asked for either.
            guard let found else { return searches ? .nothing : .unknown }
            if wanted.count >= Self.wantedCountMax { wanted.removeAll(keepingCapacity: true) }
            wanted[id] = .some(filter.matches(found) ? found : nil)
            guard filter.matches(found) else { return .nothing }
            name = found
        }
        return documentChange(operation, name).map(Look.change) ?? .nothing
    }

    private func documentChange(_ operation: NexaStorage.BatchOperation, _ name: CollectionName) -> Change? {
        let key = DocumentWorker.documentKey(operation.key)
        var document: DocumentView?
        let kind: Change.Kind
        if operation.kind == .put {
            guard let view = DocumentView(key: key, value: operation.value, lsn: 0) else { return nil }
            kind = view.flags.contains(.replaced) ? .update : .insert
            document = view
        } else {
            kind = .delete
        }
        if let needed = kind.operation, !filter.operations.contains(needed) { return nil }
        return Change(
            kind: kind, database: name.database, collection: name.collection, key: key, document: document, note: operation.note)
    }

    private func drop(_ operation: NexaStorage.BatchOperation) -> Change? {
        guard operation.kind == .delete, let kind = CatalogRecord.kind(of: operation.key),
            let dropped = ChangeNote.drop(in: operation.note)
        else { return nil }
        switch (kind, dropped.collection) {
        case (.collection, let collection?):
            guard filter.matches(CollectionName(database: dropped.database, collection: collection)) else { return nil }
        case (.database, nil):
            guard filter.collection == nil, filter.database == nil || filter.database == dropped.database else { return nil }
        default: return nil
        }
        return Change(
            kind: kind == .collection ? .dropCollection : .dropDatabase, database: dropped.database,
            collection: dropped.collection, key: .none, document: nil, note: operation.note)
    }
}
