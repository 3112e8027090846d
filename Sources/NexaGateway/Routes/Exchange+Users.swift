/// Log-in and users.

import HTTPTypes
import NIOCore
import NexaServer
import NexaWire

extension Exchange {
    /// POST /auth/login: whether name and password are right, and what they are good for. There is no session: every request carries its
    /// credentials, and the node keeps connections that are logged in.
    func logIn() async throws(Problem) -> Answer {
        let map = try await map()
        guard let user = try map.text("username"), let password = try map.text("password") else {
            throw Problem(.badRequest, "Missing 'username' or 'password' field", details: [.init("field", "username")])
        }
        let frame = try await access.logIn(.password(user: user, password: password), channel)
        return Answer(
            value: .map([
                .init("status", "success"), .init("username", .string(try frame.payload.text("username") ?? user)),
                .init("role", .string(try frame.payload.text("role") ?? "")),
                .init(
                    "message",
                    "Send these credentials as 'Authorization: Basic', or an API key as 'X-API-Key', with every request"),
            ]))
    }

    func listUsers() async throws(Problem) -> Answer { try await success(try await ask(NodeRequest(.listUsers).frame())) }

    func createUser() async throws(Problem) -> Answer {
        let map = try await map()
        var create = NodeRequest(.createUser)
        create.add("username", from: map, "username", "name")
        create.add("password", from: map, "password")
        create.add("role", from: map, "role")
        create.add("databases", from: map, "databases", "database_permissions")
        try create.addWriteOptions(self, isRepeatable: false)
        return try await success(try await ask(create.frame(), isWrite: true), status: 201)
    }

    /// PUT /users/{name}: what is given changes, in one write. A password by itself may be changed by its user.
    func changeUser(_ name: String) async throws(Problem) -> Answer {
        let map = try await map()
        let changesPassword = map.value("new_password", "password") != nil
        let changesMore = map.value("role", "databases", "database_permissions", "new_api_key") != nil
        var change = NodeRequest(changesPassword && !changesMore ? .changePassword : .alterUser)
        change.add("username", name)
        change.add("new_password", from: map, "new_password", "password")
        change.add("role", from: map, "role")
        change.add("databases", from: map, "databases", "database_permissions")
        change.add("new_api_key", from: map, "new_api_key")
        try change.addWriteOptions(self, isRepeatable: false)
        return try await success(try await ask(change.frame(), isWrite: true))
    }

    func deleteUser(_ name: String) async throws(Problem) -> Answer {
        var delete = NodeRequest(.deleteUser)
        delete.add("username", name)
        try delete.addWriteOptions(self, isRepeatable: false)
        return try await success(try await ask(delete.frame(), isWrite: true))
    }
}
