import NexaWire

/// One statement of the shell, understood but not yet run.
package enum ShellCommand: Equatable {
    case nothing
    case help
    case exit
    case ping
    case status
    case showDatabases
    case showCollections
    case currentDatabase
    case use(String)
    /// Any message by name with its payload as it stands.
    case raw(MessageType, MessagePackValue)
    case createCollection(String, MessagePackValue?)
    case dropDatabase
    case databaseStats
    case find(Find)
    case findOne(Find)
    case get(collection: String, key: String)
    case insert(collection: String, document: MessagePackValue)
    case insertMany(collection: String, documents: MessagePackValue)
    case update(collection: String, key: String, updates: MessagePackValue)
    case delete(collection: String, key: String)
    case count(Find)
    case drop(collection: String)
    case stats(collection: String)
    case vectorSearch(collection: String, vector: MessagePackValue, options: MessagePackValue?)

    /// A query with what was chained behind it.
    package struct Find: Equatable {
        package var collection: String
        package var filters: MessagePackValue?
        package var projection: MessagePackValue?
        package var sort: MessagePackValue?
        package var limit: Int64?
        package var skip: Int64?

        package init(collection: String, filters: MessagePackValue? = nil) {
            self.collection = collection
            self.filters = filters
        }

        /// The fields of a QUERY or COUNT request.
        package var fields: [MessagePackValue.Entry] {
            var entries: [MessagePackValue.Entry] = [.init("collection", .string(collection))]
            if let filters { entries.append(.init("filters", filters)) }
            if let projection { entries.append(.init("projection", projection)) }
            if let sort { entries.append(.init("sort", sort)) }
            if let limit { entries.append(.init("limit", .int(limit))) }
            if let skip { entries.append(.init("skip", .int(skip))) }
            return entries
        }
    }
}
