import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// Accounts in the catalog: what is kept, what is refused, what followers and restarts make of it.
@Suite struct UserTests {
    private func user(_ name: String, _ role: Role, at time: Int64 = 1) -> User {
        var user = User(
            name: name, role: role, databases: role == .write ? ["shop": .write, "archive": .read] : [:], passwordHash: "$hash",
            apiKey: .init(hash: [1, 2, UInt8(name.utf8.count)], prefix: "nxdb_abc..."), createdAt: time)
        user.passwordChangedAt = role == .read ? 7 : nil
        return user
    }

    private func code(_ body: () throws -> Void) -> ErrorCode? {
        do {
            try body()
            return nil
        } catch {
            return (error as? DocumentError)?.code
        }
    }

    @Test func everyFieldIsThereAfterAReopen() throws {
        let store = try TestStore()
        let users = [user("root", .admin), user("app.1@example", .write), user("eye", .read), user("node2", .replication)]
        for user in users { _ = try store.store.catalog.addUser(user) }
        let again = try store.reopened()
        #expect(again.store.catalog.view.users.all == users.sorted { $0.name < $1.name })
        #expect(again.store.catalog.view.users.user(withKeyHash: [1, 2, 3])?.name == "eye")
        #expect(again.store.catalog.view.databaseNames == ["default"])
    }

    @Test func thereIsAlwaysAnAdminOnceThereIsAUser() throws {
        let catalog = try TestStore().store.catalog
        #expect(code { _ = try catalog.addUser(user("ann", .write)) } == .badRequest)
        _ = try catalog.addUser(user("root", .admin))
        _ = try catalog.addUser(user("ann", .read))
        #expect(code { _ = try catalog.removeUser("root") } == .conflict)
        #expect(code { _ = try catalog.changeUser("root") { $0.role = .write } } == .conflict)
        _ = try catalog.changeUser("ann") { $0.role = .admin }
        _ = try catalog.removeUser("root")
        #expect(catalog.view.users.isLastAdmin("ann"))
        #expect(code { _ = try catalog.removeUser("root") } == .noSuchUser)
    }

    @Test func namesAreCheckedAndUnique() throws {
        let catalog = try TestStore().store.catalog
        _ = try catalog.addUser(user("root", .admin))
        #expect(code { _ = try catalog.addUser(user("root", .read)) } == .conflict)
        for name in ["", " ", "a b", "-a", ".a", "a\n", "a\u{0}", "ä", "a/b", String(repeating: "x", count: 121)] {
            #expect(code { _ = try catalog.addUser(user(name, .read)) } == .badRequest, "\(name.debugDescription)")
        }
        for name in ["a", "_", "9", "a.b-c_d@e+f", String(repeating: "x", count: 120)] {
            #expect(code { _ = try catalog.addUser(user(name, .read)) } == nil, "\(name)")
        }
    }

    @Test func theVersionMovesWithUsersAndWithNothingElse() throws {
        let store = try TestStore()
        let catalog = store.store.catalog
        let start = catalog.usersVersion
        #expect(start > 0)
        _ = try store.collection("c")
        _ = try catalog.createDatabase("d")
        #expect(catalog.usersVersion == start)
        _ = try catalog.addUser(user("root", .admin))
        let added = catalog.usersVersion
        #expect(added > start)
        _ = try catalog.changeUser("root") { $0.passwordHash = "$other" }
        #expect(catalog.usersVersion > added)
    }

    @Test func followersHaveTheSameUsers() throws {
        var options = EngineOptions(memoryByteCount: 64 << 20)
        options.segmentByteCount = 1 << 20
        let leader = try TestStore(options: options)
        options.follows = true
        let follower = try TestStore(options: options)
        let version = follower.store.catalog.usersVersion
        func sync() throws {
            try leader.engine.waitDurable(leader.engine.reservedLSN)
            try follower.engine.catchUp(with: leader.engine)
            #expect(follower.store.catalog.view.users.all == leader.store.catalog.view.users.all)
        }
        _ = try leader.store.catalog.addUser(user("root", .admin))
        _ = try leader.store.catalog.addUser(user("ann", .write))
        try sync()
        #expect(follower.store.catalog.usersVersion > version)
        _ = try leader.store.catalog.changeUser("ann") { $0.apiKey = .init(hash: [9], prefix: "") }
        try sync()
        #expect(follower.store.catalog.view.users.user(withKeyHash: [9])?.name == "ann")
        #expect(follower.store.catalog.view.users.user(withKeyHash: [1, 2, 3]) == nil)
        _ = try leader.store.catalog.removeUser("ann")
        try sync()
        #expect(follower.store.catalog.view.users["ann"] == nil)
        #expect(throws: (any Error).self) { _ = try follower.store.catalog.addUser(user("eve", .admin)) }
    }
}
