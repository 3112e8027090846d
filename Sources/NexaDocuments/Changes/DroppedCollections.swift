/// Names of collections that are gone while records of them may still be in the log, so that whoever reads there can say what they were.
///
/// Bounded by the log: when the list has doubled, names whose drop lies below the oldest record are forgotten. Guarded by its own lock.

import NexaStorage

/// What a collection is called.
package struct CollectionName: Hashable, Sendable {
    package let database: String
    package let collection: String

    package init(database: String, collection: String) {
        self.database = database
        self.collection = collection
    }
}

final class DroppedCollections: Sendable {
    private struct Entry {
        var name: CollectionName
        var droppedAt: LSN
    }

    private let lock = NexaLock()
    nonisolated(unsafe) private var entries: [UInt32: Entry] = [:]  // guarded by `lock`
    nonisolated(unsafe) private var countAtPruning = 512  // guarded by `lock`

    /// Notes the collections that the record at `lsn` dropped.
    func add(_ collections: some Sequence<Collection>, at lsn: LSN, oldestLSN: LSN) {
        for collection in collections {
            add(
                collection.id, CollectionName(database: collection.database, collection: collection.name), at: lsn,
                oldestLSN: oldestLSN)
        }
    }

    func add(_ id: UInt32, _ name: CollectionName, at lsn: LSN, oldestLSN: LSN) {
        lock.withLock {
            entries[id] = Entry(name: name, droppedAt: lsn)
            guard entries.count > 2 * countAtPruning else { return }
            entries = entries.filter { $0.value.droppedAt >= oldestLSN }
            countAtPruning = max(entries.count, 512)
        }
    }

    func name(of id: UInt32) -> CollectionName? { lock.withLock { entries[id]?.name } }
}
