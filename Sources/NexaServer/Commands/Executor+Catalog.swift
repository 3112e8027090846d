/// Databases and collections: list, create, drop, count. Changes run in the work pool; answers wait until the catalog's newest
/// change is durable, so a name that was seen does not vanish in a crash.

import NexaDocuments
import NexaStorage
import NexaWire

extension Executor {
    // MARK: Lists

    func listDatabases(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        // Before the view, which is as new as what is visible.
        _ = try readPosition(call)
        let view = node.store.catalog.view
        var names = view.databaseNames
        if !session.isUnlimited, let user = session.principal?.user { names.removeAll { !Authorization.shows($0, to: user) } }
        let mark = begin(.success, call, lsn: view.lsn, output)
        output.writeMapHeader(2)
        output.writeString("databases")
        writeList(names, output)
        output.writeString("count")
        output.writeInt(names.count)
        end(mark, session, output)
        return .answered(hold: view.lsn, commitCount: 0)
    }

    func listCollections(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        // An existing client asks for databases this way: `database: true`.
        if asksForDatabases { return try listDatabases(call, session, output) }
        _ = try fields.text(.database)
        let database = requestedDatabase(session)
        _ = try readPosition(call)
        let view = node.store.catalog.view
        let names = view.collections(of: database)?.map(\.name) ?? []
        let mark = begin(.success, call, lsn: view.lsn, output)
        output.writeMapHeader(3)
        output.writeString("database")
        output.writeString(database)
        output.writeString("collections")
        writeList(names, output)
        output.writeString("count")
        output.writeInt(names.count)
        end(mark, session, output)
        return .answered(hold: view.lsn, commitCount: 0)
    }

    private func writeList(_ names: [String], _ output: OutputBytes) {
        output.writeArrayHeader(names.count)
        for name in names { output.writeString(name) }
    }

    // MARK: Changes

    func createDatabase(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        let name = try requiredDatabase()
        if !mayBlock { throw .wouldBlock }
        try checkWriteConcern()
        let (catalog, durability) = (node.store.catalog, node.configuration.durability)
        let lsn = try worker.changeCatalog(
            .createDatabase, database: name, operation: try operation(), durability: durability
        ) { note throws(DocumentError) in
            let (isNew, lsn) = try catalog.createDatabase(name, durability: durability, note: note)
            if !isNew && call.type == .createDatabase {
                throw DocumentError(.conflict, "Database '\(name)' already exists", details: [.init("database", .string(name))])
            }
            return lsn
        }
        let mark = begin(.success, call, lsn: lsn, output)
        output.writeMapHeader(2)
        output.writeString("database")
        output.writeString(name)
        output.writeString("message")
        output.writeString("Database created")
        end(mark, session, output)
        return .answered(hold: lsn, commitCount: 1)
    }

    func dropDatabase(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        let name = try requiredDatabase()
        if !mayBlock { throw .wouldBlock }
        try checkWriteConcern()
        let (catalog, durability) = (node.store.catalog, node.configuration.durability)
        let lsn = try worker.changeCatalog(
            .dropDatabase, database: name, operation: try operation(), durability: durability
        ) { note throws(DocumentError) in
            try catalog.dropDatabase(name, durability: durability, note: note)
        }
        let mark = begin(.success, call, lsn: lsn, output)
        let rides = call.type == .dropCollection
        output.writeMapHeader(rides ? 3 : 2)
        if rides {
            output.writeString("success")
            output.writeBool(true)
        }
        output.writeString("database")
        output.writeString(name)
        output.writeString("message")
        output.writeString("Database '\(name)' dropped successfully")
        end(mark, session, output)
        return .answered(hold: lsn, commitCount: 1)
    }

    func createCollection(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        let (database, name) = try requiredCollection(session)
        let dimensions = try fields.count(.dimensions)
        if !mayBlock { throw .wouldBlock }
        try checkWriteConcern()
        let (catalog, durability) = (node.store.catalog, node.configuration.durability)
        let lsn = try worker.changeCatalog(
            .createCollection, database: database, collection: name, operation: try operation(), durability: durability
        ) { note throws(DocumentError) in
            let made = try catalog.createCollection(
                database: database, name: name, vectorDimensions: dimensions, durability: durability, note: note)
            if !made.isNew {
                throw DocumentError(
                    .conflict, "Collection '\(name)' already exists in database '\(database)'",
                    details: [.init("collection", .string(name))])
            }
            return made.lsn
        }
        answerChange(lsn, database, name, "Collection created", call, session, output)
        return .answered(hold: lsn, commitCount: 1)
    }

    func dropCollection(_ call: Call, _ session: Session, _ output: OutputBytes) throws(DocumentError) -> Outcome {
        if fields.has(.dropDatabase), try fields.flag(.dropDatabase) == true { return try dropDatabase(call, session, output) }
        let (database, name) = try requiredCollection(session)
        if !mayBlock { throw .wouldBlock }
        try checkWriteConcern()
        let (catalog, durability) = (node.store.catalog, node.configuration.durability)
        let lsn = try worker.changeCatalog(
            .dropCollection, database: database, collection: name, operation: try operation(), durability: durability
        ) { note throws(DocumentError) in
            try catalog.dropCollection(database: database, name: name, durability: durability, note: note)
        }
        answerChange(lsn, database, name, "Collection dropped", call, session, output)
        return .answered(hold: lsn, commitCount: 1)
    }

    private func answerChange(
        _ lsn: LSN, _ database: String, _ collection: String, _ message: StaticString, _ call: Call, _ session: Session,
        _ output: OutputBytes
    ) {
        let mark = begin(.success, call, lsn: lsn, output)
        output.writeMapHeader(3)
        output.writeString("database")
        output.writeString(database)
        output.writeString("collection")
        output.writeString(collection)
        output.writeString("message")
        output.writeString(message)
        end(mark, session, output)
    }

    // MARK: Counts

    func collectionStatistics(_ call: Call, _ session: Session) throws(DocumentError) -> Outcome {
        if fields.has(.getDatabaseStats), try fields.flag(.getDatabaseStats) == true {
            return try databaseStatistics(call, session)
        }
        if !mayBlock { throw .wouldBlock }
        let (database, name) = try requiredCollection(session)
        let position = try readPosition(call)
        guard let collection = node.store.catalog.view.collection(database: database, name: name) else {
            throw Catalog.noSuchCollection(name, database: database)
        }
        let scan = worker.makeStatistics([collection], atLeast: position, deadline: try deadline(call))
        return .work(LongWork(.statistics(scan, database: database, collection: collection)))
    }

    func databaseStatistics(_ call: Call, _ session: Session) throws(DocumentError) -> Outcome {
        if !mayBlock { throw .wouldBlock }
        _ = try fields.text(.database)
        let database = requestedDatabase(session)
        let position = try readPosition(call)
        guard let collections = node.store.catalog.view.collections(of: database) else { throw Catalog.noSuchDatabase(database) }
        let scan = worker.makeStatistics(collections, atLeast: position, deadline: try deadline(call))
        return .work(LongWork(.statistics(scan, database: database, collection: nil)))
    }

    // MARK: Names

    /// When the request has to be given up: what it waited is part of its time.
    func deadline(_ call: Call) throws(DocumentError) -> UInt64? {
        try fields.deadline(limit: node.configuration.requestLimit, from: call.wait.since)
    }

    private func requiredDatabase() throws(DocumentError) -> String {
        guard let name = try fields.text(fields.has(.database) ? .database : .name), !name.isEmpty else {
            throw DocumentError(.badRequest, "Missing 'database' field", details: [.init("field", "database")])
        }
        return String(decoding: name, as: UTF8.self)
    }

    private func requiredCollection(_ session: Session) throws(DocumentError) -> (database: String, name: String) {
        guard let name = try fields.text(fields.has(.collection) ? .collection : .name), !name.isEmpty else {
            throw DocumentError(.badRequest, "Missing 'collection' field", details: [.init("field", "collection")])
        }
        _ = try fields.text(.database)
        return (requestedDatabase(session), String(decoding: name, as: UTF8.self))
    }
}
