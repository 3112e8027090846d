import HTTPTypes
import NexaGateway
import Testing

@Suite struct RouteTests {
    private let users = Target(collection: "users")
    private let ownUsers = Target(database: "own", collection: "users")

    @Test func pathsMeanWhatTheySay() throws {
        #expect(try Route(path: "/collections", method: .get) == .collections(database: nil))
        #expect(try Route(path: "/collections/", method: .get) == .collections(database: nil))
        #expect(try Route(path: "/collections/users", method: .post) == .documents(users))
        #expect(try Route(path: "/collections/users/anna", method: .get) == .document(users, id: "anna"))
        #expect(try Route(path: "/collections/users/query", method: .post) == .action(users, .query))
        #expect(try Route(path: "/vector/users/search", method: .post) == .action(users, .vectorSearch))
        #expect(
            try Route(path: "/databases/own/collections/users/documents/query", method: .post) == .document(ownUsers, id: "query")
        )
        #expect(
            try Route(path: "/databases/own/collections/users/vector-search", method: .post) == .action(ownUsers, .vectorSearch))
        #expect(try Route(path: "/databases/own/stats", method: .get) == .databaseStatistics("own"))
        #expect(try Route(path: "/users/create", method: .post) == .newUser)
        #expect(try Route(path: "/users/create", method: .delete) == .user("create"))
    }

    @Test func documentsMayBeNamedLikeActions() throws {
        #expect(try Route(path: "/collections/users/query", method: .get) == .document(users, id: "query"))
        #expect(try Route(path: "/collections/users/bulk", method: .put) == .document(users, id: "bulk"))
    }

    @Test func encodedSlashesStayInTheirSegment() throws {
        #expect(try Route(path: "/collections/users/a%2Fb%20c", method: .get) == .document(users, id: "a/b c"))
    }

    @Test(arguments: ["", "/", "//", "/collections//x", "collections", "/collections/a/b/c", "/nothing", "*", "/databases/d/x"])
    func whatIsNoPathIsUnknown(path: String) {
        #expect(throws: Route.Failure.unknown) { try Route(path: path, method: .get) }
    }

    @Test(arguments: ["/collections/%", "/collections/a%2", "/collections/%zz", "/collections/%ff", "/collections/%c0%80"])
    func badEncodingIsSaid(path: String) {
        #expect(throws: Route.Failure.badEncoding) { try Route(path: path, method: .get) }
    }

    @Test func encodingIsReadBack() {
        for text in ["", "a/b", "100%", "ü😀", "~-._", "\u{0}", "a+b c"] {
            #expect(PercentCoding.decode(PercentCoding.encode(text)[...].utf8) == text)
        }
    }
}
