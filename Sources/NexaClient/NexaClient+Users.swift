import NexaWire

// Accounts of the node; an administrator's, except for the own password. See docs/security.md.

/// What a user may do where nothing confines it.
public enum UserRole: String, Sendable, CaseIterable {
    case read, write, admin, replication
}

extension NexaClient {
    /// Makes a user, confined to `databases` (names to `read` or `write`) unless that is empty. Answers its API key, which is shown this once.
    @discardableResult
    public func createUser(
        _ name: String, password: String, role: UserRole = .read, databases: [String: UserRole] = [:]
    ) async throws(NexaError) -> String {
        var request = Request(.createUser)
        request.add("username", .string(name))
        request.add("password", .string(password))
        request.add("role", .string(role.rawValue))
        request.add("databases", databases.isEmpty ? nil : Self.permissions(databases))
        return try await apiKey(request)
    }

    /// Changes the role of a user, or the databases that it is confined to (an empty map: to none); nil leaves each as it is.
    public func alterUser(_ name: String, role: UserRole? = nil, databases: [String: UserRole]? = nil) async throws(NexaError) {
        var request = Request(.alterUser)
        request.add("username", .string(name))
        request.add("role", role.map { .string($0.rawValue) })
        request.add("databases", databases.map(Self.permissions))
        _ = try await perform(request)
    }

    /// Gives a user another API key; the old one is worth nothing from now on.
    public func renewAPIKey(of name: String) async throws(NexaError) -> String {
        var request = Request(.alterUser)
        request.add("username", .string(name))
        request.add("new_api_key", true)
        return try await apiKey(request)
    }

    /// Connections of the user end their rights with their next request, except this client's own.
    public func changePassword(of name: String, to password: String) async throws(NexaError) {
        var request = Request(.changePassword)
        request.add("username", .string(name))
        request.add("new_password", .string(password))
        _ = try await perform(request)
    }

    public func deleteUser(_ name: String) async throws(NexaError) {
        var request = Request(.deleteUser)
        request.add("username", .string(name))
        _ = try await perform(request)
    }

    /// What is known of each user, by name.
    public func listUsers() async throws(NexaError) -> Document {
        try await perform(Request(.listUsers)).document()["users"]?.documentValue ?? [:]
    }

    private func apiKey(_ request: Request) async throws(NexaError) -> String {
        guard let key = try await perform(request).document()["api_key"]?.stringValue else {
            throw NexaError(.protocolViolation, "The answer holds no api_key")
        }
        return key
    }

    private static func permissions(_ databases: [String: UserRole]) -> DocumentValue {
        .document(Document(databases.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value.rawValue)) }))
    }
}
