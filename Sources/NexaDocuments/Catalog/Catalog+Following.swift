import NexaStorage

/// How a follower's catalog follows its leader's: each catalog change arrives as the batch that the leader committed, and changes the
/// view as `Catalog` would have changed it. Entries that this version does not know, or cannot read, are left alone: the next start says
/// what is wrong with them.
extension Catalog {
    /// Takes a catalog change of the leader in. Called in LSN order.
    func follow(_ payload: UnsafeRawBufferPointer, lsn: LSN) {
        change { before in
            var following = FollowedChange(before)
            var cursor = BatchCursor(payload)
            while let operation = try? cursor.next() { following.take(operation) }
            let view = CatalogView(
                databases: following.databases, users: following.users, nextCollectionID: following.nextCollectionID, lsn: lsn)
            return (view, following.dropped)
        }
    }
}

/// One change on its way into the view.
private struct FollowedChange {
    var databases: [String: [String: Collection]]
    var users: UserTable
    var nextCollectionID: UInt32
    var dropped: [Collection] = []
    /// All collections, from the first drop on: one batch may drop thousands.
    private var byID: [UInt32: Collection]?

    init(_ before: CatalogView) {
        databases = before.databases
        users = before.users
        nextCollectionID = before.nextCollectionID
    }

    mutating func take(_ operation: NexaStorage.BatchOperation) {
        let key = operation.key
        guard operation.kind != .rangeDelete, key.count >= CatalogRecord.prefixByteCount,
            key.prefix(4).elementsEqual(CatalogRecord.lowerBound), let kind = CatalogRecord.Kind(rawValue: key[4])
        else { return }
        let rest = UnsafeRawBufferPointer(rebasing: key[CatalogRecord.prefixByteCount...])
        let isPut = operation.kind == .put
        switch kind {
        case .nextID: if isPut, let id = CatalogRecord.id(operation.value) { nextCollectionID = id }
        case .database:
            if isPut {
                databases[rest.text, default: [:]].merge([:]) { known, _ in known }
            } else if rest.text != CatalogView.defaultDatabase {
                databases[rest.text] = nil
            }
        case .collection:
            if isPut {
                put(rest, operation.value)
            } else if let id = CatalogRecord.id(rest) {
                drop(id)
            }
        case .user:
            // An account that cannot be read grants nothing.
            if isPut, let user = User(name: rest.text, storedValue: operation.value) {
                users.put(user)
            } else {
                users.remove(rest.text)
            }
        }
    }

    /// A handle that somebody holds stays the one of its collection.
    private mutating func put(_ id: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        guard let collection = CatalogLoader.collection(id: id, value: value) else { return }
        if let known = databases[collection.database]?[collection.name], known.id == collection.id {
            if let dimensions = collection.vectorDimensions { known.setVectorDimensions(dimensions) }
        } else {
            databases[collection.database, default: [:]][collection.name] = collection
            byID?[collection.id] = collection
        }
    }

    private mutating func drop(_ id: UInt32) {
        var collections =
            byID.take()
            ?? Dictionary(
                databases.values.lazy.flatMap(\.values).map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        if let collection = collections.removeValue(forKey: id) {
            collection.setDropped()
            dropped.append(collection)
            if databases[collection.database]?[collection.name] === collection {
                databases[collection.database]?[collection.name] = nil
            }
        }
        byID = collections
    }
}
