import NexaStorage
import NexaWire

/// Accounts are entries of the catalog: changed like it, in the log, in snapshots and on every follower.
///
/// Invariant: once there is a user there is an admin. The first user is one, and the last one is neither removed nor made less.
extension Catalog {
    /// Adds an account. CONFLICT when the name is taken.
    package func addUser(_ user: User, durability: Durability = .disk) throws(DocumentError) -> LSN {
        try changeUsers(durability) { users throws(DocumentError) in
            guard NameRules.isValidUserName(user.name) else { throw Self.badUserName }
            if users[user.name] != nil {
                throw DocumentError(
                    .conflict, "User '\(user.name)' already exists", details: [.init("username", .string(user.name))])
            }
            guard users.count < User.countMax else {
                throw DocumentError(.tooLarge, "A node holds at most \(User.countMax) users")
            }
            if users.isEmpty && user.role != .admin {
                throw DocumentError(.badRequest, "The first user must be an admin: nobody could make another one")
            }
            return .put(user)
        }
    }

    /// Changes an account. NO_SUCH_USER when there is none.
    package func changeUser(
        _ name: String, durability: Durability = .disk, _ body: (inout User) -> Void
    ) throws(DocumentError) -> LSN {
        try changeUsers(durability) { users throws(DocumentError) in
            guard var user = users[name] else { throw Self.noSuchUser(name) }
            body(&user)
            if user.role != .admin && users.isLastAdmin(name) { throw Self.lastAdmin("change the role of", name) }
            return .put(user)
        }
    }

    /// Removes an account. NO_SUCH_USER when there is none.
    package func removeUser(_ name: String, durability: Durability = .disk) throws(DocumentError) -> LSN {
        try changeUsers(durability) { users throws(DocumentError) in
            guard users[name] != nil else { throw Self.noSuchUser(name) }
            if users.isLastAdmin(name) { throw Self.lastAdmin("delete", name) }
            return .remove(name)
        }
    }

    private enum UserChange {
        case put(User)
        case remove(String)
    }

    private func changeUsers(
        _ durability: Durability, _ decide: (UserTable) throws(DocumentError) -> UserChange
    ) throws(DocumentError) -> LSN {
        changes.lock()
        defer { changes.unlock() }
        let before = view
        var users = before.users
        let batch = WriteBatch(reserve: 512)
        switch try decide(users) {
        case .put(let user):
            users.put(user)
            put(CatalogRecord.key(.user, user.name.utf8), user.storedValue, to: batch)
        case .remove(let name):
            users.remove(name)
            CatalogRecord.key(.user, name.utf8).withUnsafeBytes { batch.delete(key: $0) }
        }
        let lsn = try commit(batch, durability)
        publish(before.replacing(users: users, at: lsn))
        return lsn
    }

    package static func noSuchUser(_ name: String) -> DocumentError {
        DocumentError(.noSuchUser, "User '\(name)' not found", details: [.init("username", .string(name))])
    }

    private static func lastAdmin(_ verb: String, _ name: String) -> DocumentError {
        DocumentError(.conflict, "Cannot \(verb) '\(name)': it is the last admin", details: [.init("username", .string(name))])
    }

    private static var badUserName: DocumentError {
        DocumentError(
            .badRequest,
            "A user name has 1 to \(NameRules.nameByteCountMax) bytes: a letter, digit or _, then those and . - @ +",
            details: [.init("field", "username")])
    }
}
