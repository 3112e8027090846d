/// What a user may do, from its account. `NexaServer/Access/Authorization.swift` says what each request needs.
package enum Role: String, CaseIterable, Sendable {
    /// Everything, users and databases included.
    case admin
    /// Reads and changes documents, collections and indexes.
    case write
    /// Reads documents and what exists.
    case read
    /// Another node: it follows, votes and leads, and reads no document through a client's requests.
    case replication

    /// Of two roles over documents, the one that may do less.
    package func limited(to other: Role) -> Role {
        let order: [Role] = [.read, .write, .admin]
        guard let mine = order.firstIndex(of: self), let its = order.firstIndex(of: other) else { return self }
        return order[min(mine, its)]
    }
}
