import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// Two stores in one process: the catalog and the documents of the second come from the first one's log.
struct CatalogFollowingTests {
    private func pair() throws -> (leader: TestStore, follower: TestStore) {
        var options = EngineOptions(memoryByteCount: 64 << 20)
        options.segmentByteCount = 1 << 20
        let leader = try TestStore(options: options)
        options.follows = true
        return (leader, try TestStore(options: options))
    }

    private func sync(_ leader: TestStore, _ follower: TestStore) throws {
        try leader.engine.waitDurable(leader.engine.reservedLSN)
        try follower.engine.catchUp(with: leader.engine)
    }

    @Test func collectionsAndDocumentsAppearAtTheFollower() throws {
        let (leader, follower) = try pair()
        let users = try leader.collection("users", database: "shop")
        _ = try leader.store.catalog.createDatabase("empty")
        _ = try leader.store.catalog.createCollection(database: "default", name: "points", vectorDimensions: 3)
        let document = try leader.create(["_id": "a", "name": "Ann"], in: users)
        try sync(leader, follower)

        let view = follower.store.catalog.view
        #expect(view.databaseNames == ["default", "empty", "shop"])
        #expect(view.collections(of: "default")?.map(\.name) == ["points"])
        #expect(view.collection(database: "default", name: "points")?.vectorDimensions == 3)
        let followed = try #require(view.collection(database: "shop", name: "users"))
        #expect(followed.id == users.id && followed.createdAt == users.createdAt)
        #expect(try follower.read("a", in: followed) == document)
    }

    @Test func dropsReachTheHandlesThatReadersHold() throws {
        let (leader, follower) = try pair()
        let users = try leader.collection("users")
        let logs = try leader.collection("logs", database: "ops")
        try leader.create(["_id": "a"], in: users)
        try sync(leader, follower)
        let held = try #require(follower.store.catalog.view.collection(database: "default", name: "users"))
        let other = try #require(follower.store.catalog.view.collection(database: "ops", name: "logs"))
        #expect(try follower.read("a", in: held) != nil)

        _ = try leader.store.catalog.dropCollection(database: "default", name: "users")
        _ = try leader.store.catalog.dropDatabase("ops")
        try sync(leader, follower)
        #expect(held.isDropped && other.isDropped && logs.isDropped)
        #expect(follower.store.catalog.view.databaseNames == ["default"])
        #expect(try follower.read("a", in: held) == nil)

        // The same name again is another collection.
        let again = try leader.collection("users")
        try sync(leader, follower)
        let new = try #require(follower.store.catalog.view.collection(database: "default", name: "users"))
        #expect(new.id == again.id && new.id != held.id && !new.isDropped)
    }

    @Test func dimensionsThatAFirstVectorFixesAreKnownThroughTheSameHandle() throws {
        let (leader, follower) = try pair()
        let points = try leader.collection("points")
        try sync(leader, follower)
        let held = try #require(follower.store.catalog.view.collection(database: "default", name: "points"))
        #expect(held.vectorDimensions == nil)
        _ = try leader.store.catalog.createCollection(database: "default", name: points.name, vectorDimensions: 5)
        try sync(leader, follower)
        #expect(held.vectorDimensions == 5)
    }

    @Test func aPromotedFollowerGivesOutIdsThatTheLeaderNeverUsed() throws {
        let (leader, follower) = try pair()
        var ids: Set<UInt32> = []
        for name in ["a", "b", "c"] { ids.insert(try leader.collection(name).id) }
        _ = try leader.store.catalog.dropCollection(database: "default", name: "c")
        try sync(leader, follower)
        #expect(errorOf { _ = try follower.collection("d") }?.code == .readOnly)
        try follower.engine.beginEpoch(2)
        #expect(!ids.contains(try follower.collection("d").id))
        #expect(follower.store.catalog.view.collections(of: "default")?.map(\.name) == ["a", "b", "d"])
    }

    /// As the leader drops a database: thousands of entries in one batch. Putting them costs the follower as much for each.
    @Test func aDropOfManyCollectionsCostsAFollowerNoMoreForEach() throws {
        let (leader, follower) = try pair()
        let count: UInt32 = 20_000
        func key(_ id: UInt32) -> [UInt8] { [0, 0, 0, 0, 0x63] + withUnsafeBytes(of: id.bigEndian) { Array($0) } }
        func follow(_ batch: WriteBatch) throws -> Duration {
            _ = try leader.engine.commit(batch, changesCatalog: true, durability: .disk)
            return try ContinuousClock().measure { try sync(leader, follower) }
        }
        let puts = WriteBatch(reserve: 4 << 20)
        for id in 1...count {
            let value: MessagePackValue = ["database": "many", "name": .string("c\(id)"), "created_at": 1]
            withBytes(key(id)) { key in withBytes(value.encoded()) { puts.put(key: key, value: $0) } }
        }
        let putting = try follow(puts)
        let held = try #require(follower.store.catalog.view.collections(of: "many"))
        #expect(held.count == Int(count))
        let drops = WriteBatch(reserve: 1 << 20)
        for id in 1..<count { withBytes(key(id)) { drops.delete(key: $0) } }
        let dropping = try follow(drops)
        #expect(held.filter { !$0.isDropped }.map(\.id) == [count])
        #expect(follower.store.catalog.view.collections(of: "many")?.map(\.id) == [count])
        #expect(dropping < putting * 8, "\(dropping) for the drops, \(putting) for the puts")
    }

    @Test func aReopenedFollowerLoadsTheSameCatalog() throws {
        let (leader, follower) = try pair()
        for name in ["a", "b", "c"] { _ = try leader.collection(name, database: "db\(name)") }
        _ = try leader.store.catalog.dropDatabase("dbb")
        try sync(leader, follower)
        let followed = follower.store.catalog.view
        let reopened = try follower.reopened().store.catalog.view
        #expect(reopened.databaseNames == followed.databaseNames && reopened.databaseNames == ["dba", "dbc", "default"])
    }
}
