/// An account of a store. Secrets are here as hashes only: whoever reads the data directory learns no password and no API key.

import NexaWire

package struct User: Equatable, Sendable {
    /// What the accounts of one store may number; each costs a few hundred bytes of memory.
    package static let countMax = 10_000

    package let name: String
    package var role: Role
    /// The databases that the user is confined to, with the most that it may do in each; empty: all of them.
    package var databases: [String: Role]
    /// Argon2id, in the usual text form with its salt and cost.
    package var passwordHash: String
    package var apiKey: StoredKey?
    /// Microseconds since 1970. Tells an account from a later one of the same name.
    package let createdAt: Int64
    package var passwordChangedAt: Int64?

    /// What is kept of an API key.
    package struct StoredKey: Equatable, Sendable {
        package var hash: [UInt8]
        /// Its first characters, which tell people which key it is.
        package var prefix: String

        package init(hash: [UInt8], prefix: String) {
            self.hash = hash
            self.prefix = prefix
        }
    }

    package init(
        name: String, role: Role, databases: [String: Role] = [:], passwordHash: String, apiKey: StoredKey? = nil,
        createdAt: Int64
    ) {
        self.name = name
        self.role = role
        self.databases = databases
        self.passwordHash = passwordHash
        self.apiKey = apiKey
        self.createdAt = createdAt
    }
}

// MARK: - As it is stored

extension User {
    /// The entry's value in the catalog: a map whose unknown fields are ignored. See `CatalogRecord`.
    var storedValue: [UInt8] {
        var entries: [MessagePackValue.Entry] = [
            .init("role", .string(role.rawValue)), .init("password", .string(passwordHash)), .init("created_at", .int(createdAt)),
        ]
        if let passwordChangedAt { entries.append(.init("password_changed_at", .int(passwordChangedAt))) }
        if let apiKey {
            entries.append(.init("key", .binary(apiKey.hash)))
            entries.append(.init("key_prefix", .string(apiKey.prefix)))
        }
        if !databases.isEmpty {
            let permissions = databases.sorted { $0.key < $1.key }
            entries.append(.init("databases", .map(permissions.map { .init($0.key, .string($0.value.rawValue)) })))
        }
        return MessagePackValue.map(entries).encoded()
    }

    /// Nil when the value makes no sense: an account that cannot be read in full must not grant anything.
    init?(name: String, storedValue: UnsafeRawBufferPointer) {
        guard let map = try? MessagePackValue(decoding: storedValue), let role = map["role"]?.stringValue.flatMap(Role.init),
            let passwordHash = map["password"]?.stringValue, let createdAt = map["created_at"]?.intValue
        else { return nil }
        self.init(name: name, role: role, passwordHash: passwordHash, createdAt: createdAt)
        passwordChangedAt = map["password_changed_at"]?.intValue
        if case .binary(let hash)? = map["key"] {
            apiKey = StoredKey(hash: hash, prefix: map["key_prefix"]?.stringValue ?? "")
        }
        guard let permissions = map["databases"] else { return }
        guard let entries = permissions.mapValue else { return nil }
        for entry in entries {
            guard let database = entry.key.stringValue, let role = entry.value.stringValue.flatMap(Role.init) else { return nil }
            databases[database] = role
        }
    }
}
