import NexaStorage

/// What databases, collections and users exist at one moment: immutable, shared by all threads, replaced as a whole by each change.
package final class CatalogView: Sendable {
    /// The database that always exists and cannot be dropped.
    package static let defaultDatabase = "default"

    /// Collections by name, by database. Every existing database has an entry, `default` always.
    let databases: [String: [String: Collection]]
    package let users: UserTable
    /// The id of the next collection.
    let nextCollectionID: UInt32
    /// The position of the newest change in this view: an answer made from it must not leave before this is durable.
    package let lsn: LSN

    init(databases: [String: [String: Collection]], users: UserTable, nextCollectionID: UInt32, lsn: LSN) {
        self.databases = databases
        self.users = users
        self.nextCollectionID = nextCollectionID
        self.lsn = lsn
    }

    /// The view after a change at `lsn`: what is not given stays as it is.
    func replacing(
        databases: [String: [String: Collection]]? = nil, users: UserTable? = nil, nextCollectionID: UInt32? = nil, at lsn: LSN
    ) -> CatalogView {
        CatalogView(
            databases: databases ?? self.databases, users: users ?? self.users,
            nextCollectionID: nextCollectionID ?? self.nextCollectionID, lsn: lsn)
    }

    /// Names of all databases, sorted.
    package var databaseNames: [String] { databases.keys.sorted() }

    /// Whether the database exists.
    package func hasDatabase(_ name: String) -> Bool { databases[name] != nil }

    /// Collections of a database, sorted by name; nil if there is no such database.
    package func collections(of database: String) -> [Collection]? {
        databases[database].map { collections in collections.values.sorted { $0.name < $1.name } }
    }

    /// The collection, if it exists.
    package func collection(database: String, name: String) -> Collection? { databases[database]?[name] }

    var collectionCount: Int { databases.values.reduce(0) { $0 + $1.count } }
}
