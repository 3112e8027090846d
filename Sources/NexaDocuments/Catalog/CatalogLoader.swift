import NexaStorage
import NexaWire

/// Reads the catalog when a store opens. Whatever is there must make sense as a whole: an entry that cannot be read is damage.
enum CatalogLoader {
    static func load(_ engine: Engine) throws(StorageError) -> CatalogView {
        var databases: [String: [String: Collection]] = [CatalogView.defaultDatabase: [:]]
        var users = UserTable()
        var nextID: UInt32 = 1
        let reader = engine.makeReader()
        let entries = reader.makeIterator(
            lowerBound: CatalogRecord.lowerBound, upperBound: CatalogRecord.upperBound, at: engine.appliedLSN)
        var lastLSN: LSN = 0
        try entries.seekToFirst()
        while entries.isValid {
            let key = entries.key
            guard key.count >= CatalogRecord.prefixByteCount, let kind = CatalogRecord.Kind(rawValue: key[4]) else {
                throw damage("an entry of unknown kind", entries.lsn)
            }
            let rest = UnsafeRawBufferPointer(rebasing: key[CatalogRecord.prefixByteCount...])
            switch kind {
            case .nextID:
                guard let id = CatalogRecord.id(entries.value) else { throw damage("the next collection id", entries.lsn) }
                nextID = id
            case .database:
                // Collections come first in key order: the database may already have some.
                databases[rest.text, default: [:]].merge([:]) { known, _ in known }
            case .collection:
                guard let collection = collection(id: rest, value: entries.value) else {
                    throw damage("a collection's entry", entries.lsn)
                }
                databases[collection.database, default: [:]][collection.name] = collection
            case .user:
                guard let user = User(name: rest.text, storedValue: entries.value) else {
                    throw damage("a user's entry", entries.lsn)
                }
                users.put(user)
            }
            lastLSN = max(lastLSN, entries.lsn)
            try entries.next()
        }
        for collections in databases.values {
            for collection in collections.values where collection.id >= nextID {
                throw damage("collection id \(collection.id), which was not given out", lastLSN)
            }
        }
        return CatalogView(databases: databases, users: users, nextCollectionID: nextID, lsn: lastLSN)
    }

    static func collection(id: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) -> Collection? {
        guard let id = CatalogRecord.id(id), id > 0, let map = try? MessagePackValue(decoding: value),
            let database = map["database"]?.stringValue, let name = map["name"]?.stringValue,
            let createdAt = map["created_at"]?.intValue
        else { return nil }
        let dimensions = map["dimensions"]?.intValue.map { Int($0) }
        return Collection(id: id, database: database, name: name, vectorDimensions: dimensions, createdAt: createdAt)
    }

    private static func damage(_ what: String, _ lsn: LSN) -> StorageError {
        .corruption(
            Corruption(
                file: "catalog", offset: 0, lsn: lsn, reason: "\(what) cannot be read",
                remedy: "Run `nexadb check` on the data directory"))
    }
}
