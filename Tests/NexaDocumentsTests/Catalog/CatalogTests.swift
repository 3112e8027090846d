import NexaDocuments
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

struct CatalogTests {
    @Test func hasTheDefaultDatabaseFromTheStart() throws {
        let test = try TestStore()
        #expect(test.store.catalog.view.databaseNames == ["default"])
        #expect(test.store.catalog.view.collections(of: "default")?.isEmpty == true)
        #expect(test.store.catalog.view.collections(of: "other") == nil)
    }

    @Test func findsWhatWasMadeAfterReopening() throws {
        var test = try TestStore()
        let users = try test.collection("users")
        let logs = try test.collection("logs", database: "ops")
        _ = try test.store.catalog.createDatabase("empty")
        _ = try test.store.catalog.createCollection(database: "default", name: "points", vectorDimensions: 4)
        test = try test.reopened()
        let view = test.store.catalog.view
        #expect(view.databaseNames == ["default", "empty", "ops"])
        #expect(view.collections(of: "default")?.map(\.name) == ["points", "users"])
        #expect(view.collection(database: "default", name: "users")?.id == users.id)
        #expect(view.collection(database: "ops", name: "logs")?.id == logs.id)
        #expect(view.collection(database: "default", name: "points")?.vectorDimensions == 4)
    }

    @Test func makesNothingForAReader() throws {
        let test = try TestStore()
        let found = try withBytes("default", "nobody") { try test.worker.collection(database: $0, name: $1, create: false) }
        #expect(found == nil)
        #expect(test.store.catalog.view.collections(of: "default")?.isEmpty == true)
    }

    @Test func keepsEmptiedCollectionsListed() throws {
        let test = try TestStore()
        let users = try test.collection("users")
        try test.create(["_id": "a"], in: users)
        #expect(try test.delete("a", in: users))
        #expect(test.store.catalog.view.collections(of: "default")?.map(\.name) == ["users"])
    }

    @Test func dropTakesTheDocumentsAndNeverReusesTheID() throws {
        var test = try TestStore()
        let users = try test.collection("users")
        try test.create(["_id": "a"], in: users)
        _ = try test.store.catalog.dropCollection(database: "default", name: "users")
        #expect(users.isDropped)
        #expect(errorOf { try test.create(["_id": "b"], in: users) }?.code == .noSuchCollection)
        test = try test.reopened()
        let again = try test.collection("users")
        #expect(again.id > users.id)
        #expect(try test.read("a", in: again) == nil)
        #expect(try test.count(in: again) == 0)
        #expect(try test.count(in: users) == 0)
    }

    @Test func dropOfADatabaseTakesItsCollections() throws {
        var test = try TestStore()
        let logs = try test.collection("logs", database: "ops")
        try test.create(["_id": "a"], in: logs)
        _ = try test.store.catalog.dropDatabase("ops")
        #expect(logs.isDropped)
        test = try test.reopened()
        #expect(test.store.catalog.view.databaseNames == ["default"])
        #expect(try test.count(in: try test.collection("logs", database: "ops")) == 0)
    }

    @Test func dropOfADatabaseTakesMoreCollectionsThanOneBatchHoldsRangeDeletes() throws {
        var test = try TestStore()
        let count = 4_200
        let collections = try (0..<count).map { index in
            try test.store.catalog.createCollection(database: "ops", name: "c\(index)", durability: .os).collection
        }
        for collection in [collections[0], collections[count - 1]] { try test.create(["_id": "a"], in: collection) }
        let before = test.engine.appliedLSN
        let lsn = try test.store.catalog.dropDatabase("ops")
        #expect(lsn == before + 2)
        #expect(collections.allSatisfy { $0.isDropped })
        #expect(test.store.catalog.view.databaseNames == ["default"])
        test = try test.reopened()
        #expect(test.store.catalog.view.databaseNames == ["default"])
        for collection in [collections[0], collections[count - 1]] { #expect(try test.count(in: collection) == 0) }
    }

    @Test func refusesWithTheTextsThatClientsSearchFor() throws {
        let test = try TestStore()
        let catalog = test.store.catalog
        #expect(errorOf { _ = try catalog.dropDatabase("default") }?.message == "Cannot drop 'default' database")
        #expect(errorOf { _ = try catalog.dropDatabase("x") }?.message == "Database 'x' not found")
        let missing = errorOf { _ = try catalog.dropCollection(database: "d", name: "c") }
        #expect(missing?.message == "Collection 'c' not found in database 'd'")
        #expect(missing?.code == .noSuchCollection)
    }

    @Test(arguments: ["", "9lives", "a b", "ä", ".x", "-x", "a/b", String(repeating: "a", count: 121)])
    func refusesNames(name: String) throws {
        let test = try TestStore()
        #expect(errorOf { _ = try test.store.catalog.createCollection(database: "default", name: name) }?.code == .badRequest)
        #expect(errorOf { _ = try test.store.catalog.createDatabase(name) }?.code == .badRequest)
    }

    @Test(arguments: ["a", "_", "A.b-c_9", String(repeating: "a", count: 120)])
    func takesNames(name: String) throws {
        let test = try TestStore()
        #expect(try test.store.catalog.createCollection(database: name, name: name).isNew)
        #expect(try !test.store.catalog.createCollection(database: name, name: name).isNew)
    }

    @Test func workersSeeADropAtTheirNextLookUp() throws {
        let test = try TestStore()
        let first = try test.collection("users")
        #expect(try test.collection("users") === first)
        _ = try test.store.catalog.dropCollection(database: "default", name: "users")
        let found = try withBytes("default", "users") { try test.worker.collection(database: $0, name: $1, create: false) }
        #expect(found == nil)
    }

    @Test func refusesToDeclareOtherDimensions() throws {
        let test = try TestStore()
        let catalog = test.store.catalog
        let made = try catalog.createCollection(database: "default", name: "v", vectorDimensions: 3).collection
        #expect(made.vectorDimensions == 3)
        #expect(try !catalog.createCollection(database: "default", name: "v", vectorDimensions: 3).isNew)
        #expect(
            errorOf { _ = try catalog.createCollection(database: "default", name: "v", vectorDimensions: 4) }?.code == .badRequest
        )
        #expect(
            errorOf { _ = try catalog.createCollection(database: "default", name: "w", vectorDimensions: 0) }?.code == .badRequest
        )
    }
}
