/// One change of the accounts, as a message to a node or as a call on the catalog of one that is stopped.

import NexaBlockingClient
import NexaDocuments
import NexaServer
import NexaWire

enum AccountChange {
    case add(name: String, password: String, role: Role, databases: [String: Role])
    case remove(name: String)
    case setPassword(name: String, password: String)
    case setRole(name: String, role: Role, databases: [String: Role])
    case newKey(name: String)

    struct Outcome {
        var message: String
        var apiKey: String?
    }

    func send(to node: NodeOptions) throws -> Outcome {
        let connection = try ClientConnection.open(node.endpoint(), node.clientOptions(name: "nexadb-user"))
        let answer = try connection.request(type, payload).payload
        return Outcome(message: answer["message"]?.stringValue ?? "done", apiKey: answer["api_key"]?.stringValue)
    }

    private var type: MessageType {
        switch self {
        case .add: .createUser
        case .remove: .deleteUser
        case .setPassword: .changePassword
        case .setRole, .newKey: .alterUser
        }
    }

    private var payload: MessagePackValue {
        func map(_ databases: [String: Role]) -> MessagePackValue {
            .map(databases.map { .init($0.key, .string($0.value.rawValue)) })
        }
        return switch self {
        case .add(let name, let password, let role, let databases):
            [
                "username": .string(name), "password": .string(password), "role": .string(role.rawValue),
                "databases": databases.isEmpty ? .null : map(databases),
            ]
        case .remove(let name): ["username": .string(name)]
        case .setPassword(let name, let password): ["username": .string(name), "new_password": .string(password)]
        case .setRole(let name, let role, let databases):
            ["username": .string(name), "role": .string(role.rawValue), "databases": map(databases)]
        case .newKey(let name): ["username": .string(name), "new_api_key": true]
        }
    }

    func apply(to catalog: Catalog) throws(DocumentError) -> Outcome {
        switch self {
        case .add(let name, let password, let role, let databases):
            let key = APIKey()
            let user = User(
                name: name, role: role, databases: databases, passwordHash: try Self.hash(password), apiKey: key.stored,
                createdAt: WallClock.system.microseconds())
            _ = try catalog.addUser(user)
            return Outcome(message: "User '\(name)' created successfully", apiKey: key.text)
        case .remove(let name):
            _ = try catalog.removeUser(name)
            return Outcome(message: "User '\(name)' deleted successfully")
        case .setPassword(let name, let password):
            let hash = try Self.hash(password)
            let now = WallClock.system.microseconds()
            _ = try catalog.changeUser(name) { user in
                user.passwordHash = hash
                user.passwordChangedAt = now
            }
            return Outcome(message: "Password changed successfully for user '\(name)'")
        case .setRole(let name, let role, let databases):
            _ = try catalog.changeUser(name) { user in
                user.role = role
                user.databases = databases
            }
            return Outcome(message: "User '\(name)' changed successfully")
        case .newKey(let name):
            let key = APIKey()
            _ = try catalog.changeUser(name) { $0.apiKey = key.stored }
            return Outcome(message: "User '\(name)' changed successfully", apiKey: key.text)
        }
    }

    private static func hash(_ password: String) throws(DocumentError) -> String {
        guard PasswordHash.passwordByteCounts.contains(password.utf8.count) else {
            throw DocumentError(.badRequest, "A password has 1 to \(PasswordHash.passwordByteCounts.upperBound) bytes")
        }
        return PasswordHash(of: Array(password.utf8)).text
    }
}
