/// The accounts at one moment, by name and by what their API keys hash to. Immutable within a view of the catalog.
package struct UserTable: Sendable {
    private var users: [String: User] = [:]
    private var owners: [[UInt8]: String] = [:]
    /// Grows with each change.
    private(set) var version: UInt64 = 0

    package var isEmpty: Bool { users.isEmpty }
    package var count: Int { users.count }
    /// In the order of their names.
    package var all: [User] { users.values.sorted { $0.name < $1.name } }

    package subscript(name: String) -> User? { users[name] }

    package func user(withKeyHash hash: [UInt8]) -> User? { owners[hash].flatMap { users[$0] } }

    /// Whether nobody could change the accounts any more without this user.
    package func isLastAdmin(_ name: String) -> Bool {
        users[name]?.role == .admin && !users.values.contains { $0.role == .admin && $0.name != name }
    }

    mutating func put(_ user: User) {
        remove(user.name)
        users[user.name] = user
        if let key = user.apiKey { owners[key.hash] = user.name }
    }

    mutating func remove(_ name: String) {
        version += 1
        if let key = users.removeValue(forKey: name)?.apiKey { owners[key.hash] = nil }
    }
}
