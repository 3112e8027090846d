/// CREATE_USER, DELETE_USER, LIST_USERS, CHANGE_PASSWORD, ALTER_USER. Hashing and committing run in the work pool.
///
/// Texts and fields of the answers are those that existing clients show to people. A password or a key is in no log line and in no error.

import Logging
import NexaDocuments
import NexaStorage
import NexaWire

extension Executor {
    func createUser(
        _ call: Call, _ payload: Bytes, _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) -> Outcome {
        let request = try UserRequest(payload, mayBlock: mayBlock)
        let name = try request.username()
        let password = try request.password("password")
        let role = try request.role() ?? .read
        let databases = try request.databases(for: role) ?? [:]
        try checkWriteConcern()
        // Before the hash, so that a name that is taken costs nothing; the catalog decides.
        if catalog.view.users[name] != nil {
            throw DocumentError(.conflict, "User '\(name)' already exists", details: [.init("username", .string(name))])
        }
        let key = APIKey()
        let user = User(
            name: name, role: role, databases: databases, passwordHash: PasswordHash(of: password).text, apiKey: key.stored,
            createdAt: WallClock.system.microseconds())
        let lsn = try catalog.addUser(user, durability: node.configuration.durability)
        note("user created", name, session, ["role": "\(role.rawValue)"])
        var entries: [MessagePackValue.Entry] = [
            .init("message", .string("User '\(name)' created successfully")), .init("username", .string(name)),
        ]
        // Existing clients show it beside the key.
        if session.dialect == .envelope { entries.append(.init("password", .string(String(decoding: password, as: UTF8.self)))) }
        entries.append(.init("api_key", .string(key.text)))
        entries.append(.init("role", .string(role.rawValue)))
        entries.append(.init("note", "Save these credentials! Password and API key are only shown once."))
        return answer(.map(entries), lsn, call, session, output)
    }

    func deleteUser(
        _ call: Call, _ payload: Bytes, _ session: Session, _ output: OutputBytes
    ) throws(DocumentError) -> Outcome {
        let name = try UserRequest(payload, mayBlock: mayBlock).username()
        try checkWriteConcern()
        let lsn = try catalog.removeUser(name, durability: node.configuration.durability)
        note("user deleted", name, session)
        return answer(["message": .string("User '\(name)' deleted successfully")], lsn, call, session, output)
    }

    func listUsers(_ call: Call, _ session: Session, _ output: OutputBytes) -> Outcome {
        let view = catalog.view
        let users = view.users.all
        return answer(
            .map([
                .init("users", .map(users.map { .init($0.name, $0.publicValue) })), .init("count", .int(Int64(users.count))),
            ]), view.lsn, commitCount: 0, call, session, output)
    }

    func changePassword(
        _ call: Call, _ payload: Bytes, _ session: inout Session, _ output: OutputBytes
    ) throws(DocumentError) -> Outcome {
        let request = try UserRequest(payload, mayBlock: mayBlock)
        let name = try request.username()
        let isOwn = session.principal?.user.name == name
        guard session.isUnlimited || isOwn else {
            throw DocumentError(.forbidden, "Permission denied. Only admins can change another user's password.")
        }
        let password = try request.password("new_password")
        try checkWriteConcern()
        let hash = PasswordHash(of: password).text
        let now = WallClock.system.microseconds()
        let lsn = try catalog.changeUser(name, durability: node.configuration.durability) { user in
            user.passwordHash = hash
            user.passwordChangedAt = now
        }
        passwordChanged(name, hash, &session)
        return answer(
            ["message": .string("Password changed successfully for user '\(name)'")], lsn, call, session, output)
    }

    /// A role, permissions, a password, a new key: what is given changes, all of it or nothing.
    func alterUser(
        _ call: Call, _ payload: Bytes, _ session: inout Session, _ output: OutputBytes
    ) throws(DocumentError) -> Outcome {
        let request = try UserRequest(payload, mayBlock: mayBlock)
        let name = try request.username()
        guard let before = catalog.view.users[name] else { throw Catalog.noSuchUser(name) }
        let role = try request.role()
        let databases = try request.databases(for: role ?? before.role)
        let password = try request.optionalPassword("new_password")
        let key = try request.flag("new_api_key") ? APIKey() : nil
        try checkWriteConcern()
        let hash = password.map { PasswordHash(of: $0).text }
        let now = WallClock.system.microseconds()
        let lsn = try catalog.changeUser(name, durability: node.configuration.durability) { user in
            if let hash {
                user.passwordHash = hash
                user.passwordChangedAt = now
            }
            if let role { user.role = role }
            if let databases { user.databases = databases }
            if user.role == .admin || user.role == .replication { user.databases = [:] }
            if let key { user.apiKey = key.stored }
        }
        if let hash { passwordChanged(name, hash, &session) }
        note("user changed", name, session, ["role": "\((role ?? before.role).rawValue)"])
        var entries: [MessagePackValue.Entry] = [
            .init("message", .string("User '\(name)' changed successfully")), .init("username", .string(name)),
            .init("role", .string((role ?? before.role).rawValue)),
        ]
        if let key { entries.append(.init("api_key", .string(key.text))) }
        return answer(.map(entries), lsn, call, session, output)
    }

    /// All other sessions of the user have to log in again; its own, if this is one, goes on.
    private func passwordChanged(_ name: String, _ hash: String, _ session: inout Session) {
        if session.principal?.user.name == name { session.principal = session.principal?.takingPassword(hash) }
        note("password changed", name, session)
    }

    private func answer(
        _ value: MessagePackValue, _ lsn: LSN, commitCount: Int = 1, _ call: Call, _ session: Session, _ output: OutputBytes
    ) -> Outcome {
        let mark = begin(.success, call, lsn: lsn, output)
        value.encode(into: output)
        end(mark, session, output)
        return .answered(hold: lsn, commitCount: commitCount)
    }

    /// The line by which people find out who changed whom.
    private func note(_ what: String, _ name: String, _ session: Session, _ more: Logger.Metadata = [:]) {
        var metadata = more
        metadata["user"] = "\(name)"
        metadata["by"] = "\(session.principal?.user.name ?? "anonymous")"
        node.logger.notice("\(what)", metadata: metadata)
    }
}

extension User {
    /// What an administrator sees of it.
    fileprivate var publicValue: MessagePackValue {
        func seconds(_ microseconds: Int64?) -> MessagePackValue { microseconds.map { .double(Double($0) / 1e6) } ?? .null }
        let permissions = databases.sorted { $0.key < $1.key }
        return .map([
            .init("role", .string(role.rawValue)),
            .init("database_permissions", .map(permissions.map { .init($0.key, .string($0.value.rawValue)) })),
            .init("api_key_prefix", .string(apiKey?.prefix ?? "")), .init("created_at", seconds(createdAt)),
            // Log-ins are not written down: they would make every one of them a write.
            .init("last_login", .null), .init("password_changed_at", seconds(passwordChangedAt)),
        ])
    }
}
