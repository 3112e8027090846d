/// Databases and collections.

import HTTPTypes
import NexaServer
import NexaWire

extension Exchange {
    // MARK: Collections

    func listCollections(of database: String?) async throws(Problem) -> Answer {
        var list = NodeRequest(.listCollections)
        list.add("database", optional: database ?? self.database)
        return try await success(try await ask(list.frame()))
    }

    /// POST /databases/{d}/collections `{name}`
    func createCollection(in database: String?) async throws(Problem) -> Answer {
        let map = try await map()
        guard let name = try map.text("name", "collection") else {
            throw Problem(.badRequest, "Missing 'name' field", details: [.init("field", "name")])
        }
        return try await create(Target(database: database, collection: name), map)
    }

    /// PUT /collections/{c}: 201, or 200 when it exists.
    func createCollection(_ target: Target) async throws(Problem) -> Answer {
        let map = try await optionalMap() ?? RequestMap()
        do throws(Problem) {
            return try await create(target, map)
        } catch {
            guard error.code == ErrorCode.conflict.rawValue else { throw error }
            return Answer(
                value: .map([
                    .init("status", "success"), .init("database", .string(target.database ?? database ?? "default")),
                    .init("collection", .string(target.collection)), .init("message", "Collection exists"),
                ]))
        }
    }

    private func create(_ target: Target, _ map: RequestMap) async throws(Problem) -> Answer {
        var create = NodeRequest(.createCollection)
        create.add(target, self)
        create.add("dimensions", from: map, "dimensions", "vector_dimensions")
        try create.addWriteOptions(self)
        return try await success(try await ask(create.frame(), isWrite: true), status: 201)
    }

    func dropCollection(_ target: Target) async throws(Problem) -> Answer {
        var drop = NodeRequest(.dropCollection)
        drop.add(target, self)
        try drop.addWriteOptions(self)
        return try await success(try await ask(drop.frame(), isWrite: true))
    }

    // MARK: Databases

    func listDatabases() async throws(Problem) -> Answer {
        try await success(try await ask(NodeRequest(.listDatabases).frame()))
    }

    /// POST /databases `{name}`
    func createDatabase() async throws(Problem) -> Answer {
        let map = try await map()
        guard let name = try map.text("name", "database") else {
            throw Problem(.badRequest, "Missing 'name' field", details: [.init("field", "name")])
        }
        return try await change(.createDatabase, name, status: 201)
    }

    func dropDatabase(_ name: String) async throws(Problem) -> Answer { try await change(.dropDatabase, name, status: 200) }

    private func change(_ type: MessageType, _ database: String, status: Int) async throws(Problem) -> Answer {
        var change = NodeRequest(type)
        change.add("database", database)
        try change.addWriteOptions(self)
        return try await success(try await ask(change.frame(), isWrite: true), status: status)
    }

    func databaseStatistics(_ name: String) async throws(Problem) -> Answer {
        var ask = NodeRequest(.getDatabaseStats)
        ask.add("database", name)
        return try await success(try await self.ask(ask.frame()))
    }
}
