/// What a subscription wants to see.

/// Kinds of changes of documents.
package struct ChangeOperations: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let insert = ChangeOperations(rawValue: 1)
    package static let update = ChangeOperations(rawValue: 2)
    package static let delete = ChangeOperations(rawValue: 4)
    package static let all: ChangeOperations = [.insert, .update, .delete]

    /// By the names of the protocol.
    package static let names: [(name: StaticString, operation: ChangeOperations)] = [
        ("insert", .insert), ("update", .update), ("delete", .delete),
    ]
}

/// Which changes match. The end of a collection or database that matches is always told, whatever operations are wanted: it ends documents
/// that were told.
package struct ChangeFilter: Hashable, Sendable {
    /// Nil: of all databases.
    package var database: String?
    /// Nil: of all collections.
    package var collection: String?
    package var operations: ChangeOperations

    package init(database: String? = nil, collection: String? = nil, operations: ChangeOperations = .all) {
        self.database = database
        self.collection = collection
        self.operations = operations
    }

    package func matches(_ name: CollectionName) -> Bool {
        (database == nil || database == name.database) && (collection == nil || collection == name.collection)
    }
}
