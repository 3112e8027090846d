import NexaClient
import Testing

/// Accounts, and the two ways to log in.
@Suite(.timeLimit(.minutes(1))) struct UsersTests {
    @Test func aUserLogsInByPasswordOrByKeyAndMayDoWhatItsRoleAllows() async throws {
        try await ClientNode.run { stranger, node in
            // The first user is the administrator whatever is asked for, and ends the time without log-in.
            try await stranger.createUser("ann", password: "first secret", role: .admin)
            let admin = try NexaClient("nexadb://ann:first%20secret@127.0.0.1:\(node.port)")
            defer { admin.close() }
            let key = try await admin.createUser("app", password: "second secret", role: .write, databases: ["shop": .read])
            try await admin.collection("c").create(["_id": "k"])

            let byKey = try NexaClient("nexadb://127.0.0.1:\(node.port)/shop") { $0.apiKey = key }
            defer { byKey.close() }
            #expect(try await byKey.get("c", "k") == nil)
            #expect(await failure { try await byKey.create("c", ["_id": "k"]) }?.code == "FORBIDDEN")
            try await admin.alterUser("app", databases: ["shop": .write])
            try await byKey.create("c", ["_id": "k"])
            #expect(try await admin.listUsers()["app"]?.documentValue?["role"] == "write")

            let renewed = try await admin.renewAPIKey(of: "app")
            #expect(renewed != key)
            let late = try NexaClient("nexadb://127.0.0.1:\(node.port)/shop?serverSelectionTimeoutMS=3000") { $0.apiKey = key }
            defer { late.close() }
            #expect(await failure { _ = try await late.get("c", "k") }?.code == "UNAUTHENTICATED")
            try await admin.changePassword(of: "app", to: "third secret")
            let byPassword = try NexaClient("nexadb://app:third%20secret@127.0.0.1:\(node.port)/shop")
            defer { byPassword.close() }
            #expect(try await byPassword.get("c", "k") != nil)
            try await admin.deleteUser("app")
            #expect(try await admin.listUsers()["app"] == nil)
        }
    }

    @Test func aUserAndAKeyAtOnceAreAMistake() {
        #expect(throws: NexaError.self) { try NexaClient("nexadb://ann:x@localhost") { $0.apiKey = "nxdb_x" } }
    }
}
