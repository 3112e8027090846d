import Foundation
import NexaDocuments
import NexaServer
import NexaTestKit
import NexaWire
import Testing

/// Users on a node, over a socket: who gets in, what they may do, and what a change does to connections that are open.
@Suite(.serialized) struct LogInTests {
    private let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-\(UUID().uuidString)").path
    private static let plain: MessagePackValue.Entry = .init("dialect", "plain")
    private static var admin: User {
        User(name: "root", role: .admin, passwordHash: PasswordHash(of: Array("secret".utf8)).text, createdAt: 1)
    }

    private func connect(_ port: Int, _ user: String, _ password: String) throws -> (client: RawClient, answer: ReceivedFrame) {
        let client = try RawClient(port: port)
        let answer = try client.call(
            .connect, .map([Self.plain, .init("username", .string(user)), .init("password", .string(password))]))
        return (client, answer)
    }

    /// Runs `body` on a node whose admin is root, password "secret".
    private func withRoot(_ body: (_ port: Int, _ root: RawClient) throws -> Void) async throws {
        try await LoopbackNode.run { port in
            let open = try RawClient(port: port)
            let made = try open.call(.createUser, ["username": "root", "password": "secret", "role": "admin"])
            #expect(made.type == .success, "\(made.value)")
            let (root, answer) = try connect(port, "root", "secret")
            #expect(answer["role"] == "admin" && answer["username"] == "root", "\(answer.value)")
            try body(port, root)
        }
    }

    private func add(_ root: RawClient, _ name: String, _ role: String, _ more: [MessagePackValue.Entry] = []) throws
        -> ReceivedFrame
    {
        try root.call(
            .createUser,
            .map(
                [.init("username", .string(name)), .init("password", .string(name + "-pw")), .init("role", .string(role))] + more)
        )
    }

    @Test func aRequestAboutUsersIsSmall() async throws {
        try await withRoot { _, root in
            let padding = MessagePackValue.array([MessagePackValue](repeating: nil, count: 300_000))
            for type in [MessageType.createUser, .deleteUser, .changePassword, .alterUser] {
                let answer = try root.call(
                    type, ["username": "root", "password": "other", "new_password": "other", "padding": padding])
                #expect(answer.code == "TOO_LARGE", "\(type)")
            }
            // The most that a user can have is not too large.
            let databases = (0..<1_000).map { number in
                MessagePackValue.Entry("d" + String(number + 1_000) + String(repeating: "x", count: 115), "write")
            }
            let made = try add(root, "ann", "read", [.init("databases", .map(databases))])
            #expect(made.type == .success, "\(made.value)")
        }
    }

    @Test func withoutUsersANodeServesWhoeverComes() async throws {
        try await LoopbackNode.run { port in
            let (client, answer) = try connect(port, "root", "nexadb123")
            #expect(answer["authenticated"] == true)
            #expect(try client.call(.create, ["collection": "c", "data": ["_id": "k"]]).type == .success)
            #expect(try client.call(.createUser, ["username": "ann", "password": "x", "role": "write"]).code == "BAD_REQUEST")
        }
    }

    @Test func theFirstUserClosesTheDoorAlsoForConnectionsThatAreOpen() async throws {
        try await LoopbackNode.run { port in
            let open = try RawClient(port: port)
            #expect(try open.call(.create, ["collection": "c", "data": ["_id": "k"]]).type == .success)
            #expect(try open.call(.createUser, ["username": "root", "password": "secret", "role": "admin"]).type == .success)
            let refused = try open.call(.read, ["collection": "c", "key": "k"])
            #expect(refused.code == "UNAUTHENTICATED")
            #expect(refused["error"]?.stringValue?.hasPrefix("Not authenticated") == true)
            #expect(try open.call(.ping).type == .pong)
            #expect(try open.call(.connect, ["username": "root"]).code == "UNAUTHENTICATED")
            #expect(try open.call(.connect, ["username": "root", "password": "secret"]).type == .success)
            #expect(try open.call(.read, ["collection": "c", "key": "k"]).type == .success)
        }
    }

    @Test func wrongPasswordsAndUnknownUsersAreAnsweredAlike() async throws {
        try await withRoot { port, _ in
            let wrong = try connect(port, "root", "secreT")
            let unknown = try connect(port, "nobody", "secret")
            #expect(wrong.answer.code == "UNAUTHENTICATED")
            #expect(wrong.answer.value == unknown.answer.value)
            #expect(wrong.answer["error"] == "Invalid username or password")
            #expect(try wrong.client.call(.read, ["collection": "c", "key": "k"]).code == "UNAUTHENTICATED")
            // The connection is still good for another try.
            #expect(try wrong.client.call(.connect, ["username": "root", "password": "secret"]).type == .success)
            // And a failed try ends what was there before.
            #expect(try wrong.client.call(.connect, ["username": "root", "password": "no"]).code == "UNAUTHENTICATED")
            #expect(try wrong.client.call(.listUsers).code == "UNAUTHENTICATED")
        }
    }

    @Test func manyFailuresAreSlowedDown() async throws {
        try await withRoot { port, _ in
            let client = try RawClient(port: port)
            let clock = ContinuousClock()
            let start = clock.now
            for _ in 0..<6 {
                #expect(try client.call(.connect, ["username": "mallory", "password": "x"]).code == "UNAUTHENTICATED")
            }
            let time = clock.now - start
            // Three for nothing; then after the 4th 100 ms, after the 5th 200 ms.
            #expect(time >= .milliseconds(300), "\(time)")
            // Root is known at this address.
            let again = clock.now
            #expect(try connect(port, "root", "secret").answer.type == .success)
            #expect(clock.now - again < .seconds(5))
        }
    }

    @Test func rolesHoldForEveryRequest() async throws {
        try await withRoot { port, root in
            for role in ["read", "write", "replication"] { #expect(try add(root, role, role).type == .success) }
            let write = try connect(port, "write", "write-pw").client
            let read = try connect(port, "read", "read-pw").client
            let node = try connect(port, "replication", "replication-pw").client
            let document: MessagePackValue = ["collection": "c", "data": ["_id": "k", "n": 1]]
            #expect(try read.call(.create, document).code == "FORBIDDEN")
            #expect(try write.call(.create, document).type == .success)
            #expect(try read.call(.read, ["collection": "c", "key": "k"]).type == .success)
            #expect(try node.call(.read, ["collection": "c", "key": "k"]).code == "FORBIDDEN")
            #expect(try node.call(.status).type == .success)
            #expect(try read.call(.batchWrite, ["collection": "c", "documents": [["n": 2]]]).code == "FORBIDDEN")
            #expect(
                try read.call(.batchWrite, ["operations": [["op": "delete", "collection": "c", "key": "k"]]]).code == "FORBIDDEN")
            #expect(try write.call(.dropDatabase, ["database": "x"]).code == "FORBIDDEN")
            #expect(try write.call(.dropCollection, ["database": "x", "drop_database": true]).code == "FORBIDDEN")
            #expect(try write.call(.listUsers).code == "FORBIDDEN")
            #expect(
                try write.call(.connect, ["purpose": "replication", "username": "write", "password": "write-pw"]).type == .error)
        }
    }

    @Test func aConfinedUserSeesItsDatabasesOnly() async throws {
        try await withRoot { port, root in
            let inShop: MessagePackValue = ["database": "shop", "collection": "c", "data": ["_id": "k"]]
            #expect(try root.call(.create, inShop).type == .success)
            #expect(try root.call(.create, ["collection": "c", "data": ["_id": "k"]]).type == .success)
            let more: [MessagePackValue.Entry] = [.init("databases", ["shop": "write"])]
            #expect(try add(root, "app", "write", more).type == .success)
            let app = try connect(port, "app", "app-pw").client
            #expect(try app.call(.read, ["database": "shop", "collection": "c", "key": "k"]).type == .success)
            #expect(try app.call(.read, ["collection": "c", "key": "k"]).code == "FORBIDDEN")
            #expect(try app.call(.listDatabases)["databases"] == ["shop"])
            #expect(try app.call(.listCollections, ["database": true])["databases"] == ["shop"])
            #expect(try app.call(.createDatabase, ["name": "other"]).code == "FORBIDDEN")
            #expect(
                try app.call(
                    .connect,
                    [
                        "username": "app", "password": "app-pw", "database": "shop", "features": ["compact"], "dialect": "plain",
                    ]
                ).type == .success)
            #expect(try app.call(.bind, ["collection": "c", "database": "default"]).code == "FORBIDDEN")
            #expect(try app.call(.bind, ["collection": "c"]).type == .success)
            #expect(try app.call(.read, [0, "k"]).type == .success)
            // A handle of the own database opens no other one beside it.
            let beside: MessagePackValue = ["collection": 0, "database": "default"]
            #expect(try app.call(.getVectors, beside).code == "FORBIDDEN")
            #expect(try app.call(.getDatabaseStats, beside).code == "FORBIDDEN")
            #expect(try app.call(.create, ["collection": 0, "database": "x", "create_database": true]).code == "FORBIDDEN")
            let operations: MessagePackValue = [["op": "create", "collection": "c", "data": ["_id": "z"]]]
            #expect(
                try app.call(.batchWrite, ["collection": 0, "database": "default", "operations": operations]).code == "FORBIDDEN")
            #expect(try add(root, "boss", "admin", more).code == "BAD_REQUEST")
        }
    }

    @Test func changesHoldForOpenConnectionsFromTheNextRequestOn() async throws {
        try await withRoot { port, root in
            #expect(try add(root, "ann", "write").type == .success)
            let document: MessagePackValue = ["collection": "c", "data": ["n": 1]]
            let (ann, _) = try connect(port, "ann", "ann-pw")
            #expect(try ann.call(.create, document).type == .success)
            #expect(try root.call(.alterUser, ["username": "ann", "role": "read"]).type == .success)
            #expect(try ann.call(.create, document).code == "FORBIDDEN")
            #expect(try root.call(.changePassword, ["username": "ann", "new_password": "new"]).type == .success)
            #expect(try ann.call(.query, ["collection": "c"]).code == "UNAUTHENTICATED")
            #expect(try connect(port, "ann", "ann-pw").answer.code == "UNAUTHENTICATED")
            let (again, answer) = try connect(port, "ann", "new")
            #expect(answer["role"] == "read")
            #expect(try root.call(.deleteUser, ["username": "ann"]).type == .success)
            #expect(try again.call(.query, ["collection": "c"]).code == "UNAUTHENTICATED")
            // Another account of that name is somebody else.
            #expect(try add(root, "ann", "admin").type == .success)
            #expect(try again.call(.query, ["collection": "c"]).code == "UNAUTHENTICATED")
        }
    }

    @Test func aUserChangesItsOwnPasswordAndStaysIn() async throws {
        try await withRoot { port, root in
            #expect(try add(root, "ann", "read").type == .success)
            let (ann, _) = try connect(port, "ann", "ann-pw")
            let (other, _) = try connect(port, "ann", "ann-pw")
            #expect(try ann.call(.changePassword, ["username": "root", "new_password": "x"]).code == "FORBIDDEN")
            let changed = try ann.call(.changePassword, ["username": "ann", "new_password": "new"])
            #expect(changed["message"] == "Password changed successfully for user 'ann'")
            #expect(try ann.call(.query, ["collection": "c"]).type == .success)
            #expect(try other.call(.query, ["collection": "c"]).code == "UNAUTHENTICATED")
        }
    }

    @Test func aUserIsChangedInOneWriteOrNotAtAll() async throws {
        try await withRoot { port, root in
            #expect(try add(root, "ann", "read").type == .success)
            let wrong = try root.call(.alterUser, ["username": "ann", "new_password": "new", "role": "king"])
            #expect(wrong["field"] == "role")
            #expect(try connect(port, "ann", "ann-pw").answer["role"] == "read")
            let short = try root.call(.alterUser, ["username": "ann", "new_password": "", "role": "write"])
            #expect(short["field"] == "new_password")
            let changed = try root.call(.alterUser, ["username": "ann", "new_password": "new", "role": "write"])
            #expect(changed["role"] == "write")
            #expect(try connect(port, "ann", "ann-pw").answer.code == "UNAUTHENTICATED")
            #expect(try connect(port, "ann", "new").answer["role"] == "write")
            // Whoever changes the own account goes on.
            #expect(try root.call(.alterUser, ["username": "root", "new_password": "other"]).type == .success)
            #expect(try root.call(.listUsers).type == .success)
        }
    }

    @Test func theLastAdminStaysAndNamesAreUnique() async throws {
        try await withRoot { (_, root) throws in
            #expect(try root.call(.deleteUser, ["username": "root"]).code == "CONFLICT")
            #expect(try root.call(.alterUser, ["username": "root", "role": "write"]).code == "CONFLICT")
            #expect(try add(root, "root", "admin")["error"] == "User 'root' already exists")
            #expect(try root.call(.deleteUser, ["username": "x"])["error"] == "User 'x' not found")
            #expect(try add(root, "a b", "read").code == "BAD_REQUEST")
            #expect(try add(root, "ann", "guest")["error"]?.stringValue?.hasPrefix("Invalid role") == true)
            #expect(try root.call(.createUser, ["username": "ann", "password": ""]).code == "BAD_REQUEST")
            let long = MessagePackValue.string(String(repeating: "x", count: 1_025))
            #expect(try root.call(.createUser, ["username": "ann", "password": long]).code == "BAD_REQUEST")
            #expect(try add(root, "second", "admin").type == .success)
            #expect(try root.call(.deleteUser, ["username": "root"]).type == .success)
            #expect(try root.call(.listUsers).code == "UNAUTHENTICATED")
        }
    }

    @Test func anAPIKeyLogsInUntilThereIsAnother() async throws {
        try await withRoot { port, root in
            let key = try add(root, "app", "write")["api_key"] ?? .null
            let client = try RawClient(port: port)
            #expect(try client.call(.connect, ["api_key": key])["username"] == "app")
            #expect(try client.call(.create, ["collection": "c", "data": ["n": 1]]).type == .success)
            let fresh = try root.call(.alterUser, ["username": "app", "new_api_key": true])["api_key"] ?? .null
            #expect(fresh != key)
            #expect(try client.call(.count, ["collection": "c"]).code == "UNAUTHENTICATED")
            #expect(try client.call(.connect, ["api_key": key])["error"] == "Invalid username or password")
            #expect(try client.call(.connect, ["api_key": fresh]).type == .success)
            let listed = try root.call(.listUsers)["users"]?["app"]
            #expect(listed?["api_key_prefix"]?.stringValue?.hasSuffix("...") == true)
            #expect(listed?["role"] == "write")
        }
    }

    @Test func strangersSendSmallFramesOnly() async throws {
        try await withRoot { port, _ in
            let client = try RawClient(port: port)
            let data: MessagePackValue = ["collection": "c", "data": ["text": .string(String(repeating: "x", count: 20_000))]]
            #expect(try client.call(.create, data).code == "TOO_LARGE")
            #expect(try client.receive() == nil)
            let (known, _) = try connect(port, "root", "secret")
            #expect(try known.call(.create, data).type == .success)
        }
    }

    @Test func aStrangerWhoOnlyPingsIsSentAwayInTime() async throws {
        let impatient: (inout ServerConfiguration) -> Void = { configuration in
            configuration.authentication = .on
            configuration.handshakeLimit = TimeLimit(milliseconds: 500)
        }
        try await LoopbackNode.run(impatient) { port in
            let client = try RawClient(port: port)
            #expect(try client.call(.ping).type == .pong)
            #expect(try client.receive()?.code == "TIMEOUT")
            #expect(try client.receive() == nil)
        }
    }

    @Test func withAuthOnNobodyGetsInBeforeThereIsAUser() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let node = try await LoopbackNode.start(directory) { $0.authentication = .on }
        let port = node.port
        let client = try RawClient(port: port)
        #expect(try client.call(.create, ["collection": "c", "data": ["n": 1]]).code == "UNAUTHENTICATED")
        let refused = try client.call(.createUser, ["username": "root", "password": "x", "role": "admin"])
        #expect(refused["error"]?.stringValue?.contains("nexadb user add") == true)
        try await node.stop()
        try StoppedNode.changeAccounts(in: directory) { catalog throws(DocumentError) in
            _ = try catalog.addUser(Self.admin)
        }
        let again = try await LoopbackNode.start(directory) { $0.authentication = .on }
        let result = await Result.catching { try connect(again.port, "root", "secret").answer["role"] }
        try await again.stop()
        #expect(try result.get() == "admin")
    }

    @Test func withAuthOffAnybodyIsServedButAKnownUserNeedsItsPassword() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try StoppedNode.changeAccounts(in: directory) { catalog throws(DocumentError) in
            _ = try catalog.addUser(Self.admin)
        }
        let node = try await LoopbackNode.start(directory) { $0.authentication = .off }
        let port = node.port
        let result = await Result.catching { () async throws in
            let client = try RawClient(port: port)
            #expect(try client.call(.create, ["collection": "c", "data": ["n": 1]]).type == .success)
            #expect(try connect(port, "somebody", "else").answer.type == .success)
            #expect(try connect(port, "root", "wrong").answer.code == "UNAUTHENTICATED")
        }
        try await node.stop()
        try result.get()
    }

    @Test func usersAreThereAfterARestart() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let node = try await LoopbackNode.start(directory)
        let open = try RawClient(port: node.port)
        #expect(try open.call(.createUser, ["username": "root", "password": "secret", "role": "admin"]).type == .success)
        try await node.stop()
        let again = try await LoopbackNode.start(directory)
        let port = again.port
        let result = await Result.catching { () async throws in
            #expect(try connect(port, "root", "secret").answer.type == .success)
            #expect(try RawClient(port: port).call(.query, ["collection": "c"]).code == "UNAUTHENTICATED")
        }
        try await again.stop()
        try result.get()
    }

    @Test func aConnectWithAnIDHoldsWhatComesBehindIt() async throws {
        try await withRoot { port, root in
            #expect(try add(root, "ann", "read").type == .success)
            let client = try RawClient(port: port)
            // Everything at once: nothing may be served before the log-in is settled.
            try client.send(.connect, ["username": "root", "password": "secret", "features": ["request_id"]], requestID: 1)
            try client.send(.listUsers, requestID: 2)
            try client.send(.connect, ["username": "ann", "password": "ann-pw", "features": ["request_id"]], requestID: 3)
            try client.send(.listUsers, requestID: 4)
            let answers = try (0..<4).map { _ in try client.receive() }
            #expect(answers.map { $0?.requestID } == [1, 2, 3, 4])
            #expect(answers[1]?.type == .success && answers[3]?.code == "FORBIDDEN")
        }
    }

    @Test func thousandsOfLogInsDoNotCostThousandsOfHashes() async throws {
        try await withRoot { (port, _) throws in
            let clock = ContinuousClock()
            let hash = clock.measure { _ = PasswordHash(of: Array("secret".utf8)) }
            let start = clock.now
            for _ in 0..<500 { #expect(try connect(port, "root", "secret").answer.type == .success) }
            let all = clock.now - start
            // One after the other: 500 hashes, if there was one for each.
            #expect(all < hash * 250, "\(all) for 500, \(hash) for one hash")
        }
    }
}
