import NexaWire

/// One statement of the shell, understood but not yet run.
package enum ShellCommand: Equatable {
    case help(topic: String?)
    case exit
    case ping
    case status
    case showDatabases
    case showCollections
    case showUsers
    case currentDatabase
    case use(String)
    /// The next documents of the last find.
    case more
    case setting(ShellSetting)
    /// The statements of a file.
    case script(path: String)
    /// Any message by name with its payload as it stands.
    case raw(MessageType, MessagePackValue)
    case createCollection(String, MessagePackValue?)
    case dropDatabase
    case databaseStats
    case find(Find)
    case findOne(Find)
    case explain(Find)
    case get(collection: String, key: String)
    case insert(collection: String, document: MessagePackValue, options: MessagePackValue? = nil)
    case insertMany(collection: String, documents: MessagePackValue, options: MessagePackValue? = nil)
    /// Writes a whole document, whether there was one or not.
    case put(collection: String, key: String, document: MessagePackValue)
    case update(collection: String, key: String, updates: MessagePackValue, options: MessagePackValue? = nil)
    case delete(collection: String, key: String, options: MessagePackValue? = nil)
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

        /// The query for what comes after the first `shown` documents, the last of which is `last`. Documents that come in the order of
        /// their keys go on behind that key, so that nothing is shown twice when others write meanwhile; others are counted.
        package func following(_ last: MessagePackValue, shown: Int64) -> Find {
            var next = self
            if sort == nil, skip == nil, let key = last["_id"]?.stringValue {
                let rest: MessagePackValue = ["_id": ["$gt": .string(key)]]
                next.filters = filters.map { ["$and": [$0, rest]] } ?? rest
            } else {
                next.skip = (skip ?? 0) + shown
            }
            return next
        }
    }
}

/// What a command that begins with a dot sets; without a value it tells what is set.
package enum ShellSetting: Equatable {
    case mode(OutputMode?)
    case timer(Bool?)
    /// Results go to a file; nil: back to where they went at first.
    case output(path: String?)
    /// `read_concern` of reads; nil: what the node takes without it.
    case readConcern(String?)
    /// `max_staleness_ms` of reads.
    case maxStaleness(Int64?)
}
