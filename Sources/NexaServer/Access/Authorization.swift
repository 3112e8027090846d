/// Who may do what: one pure function over the role, the request and the database it concerns.
///
/// Every message type has a row in `MessageType.need`, and every operation of a batch one in `BatchElement.need`; a type without one
/// does not compile. docs/security.md shows the table to users, and a test walks all of it.

import NexaDocuments
import NexaWire

/// What a request asks of whoever sends it.
package enum Need: Equatable, Sendable {
    /// Served before log-in.
    case nothing
    /// Any user: it concerns the connection, the node's figures or the user's own account.
    case login
    case read, write, admin
    /// To be another node, or an administrator of the cluster.
    case replication
    /// No client may send it.
    case never
}

/// What an operation in a BATCH_WRITE does. Each is allowed or not as the request of that name would be.
package enum BatchElement: CaseIterable, Sendable {
    case create, put, update, delete

    package var need: Need {
        switch self {
        case .create: MessageType.create.need
        case .put: MessageType.update.need
        case .update: MessageType.update.need
        case .delete: MessageType.delete.need
        }
    }
}

/// What a request concerns.
package enum Scope: Equatable, Sendable {
    /// The node: nothing of one database.
    case node
    case database(String)
}

package enum Authorization {
    package enum Decision: Equatable, Sendable {
        case allowed
        /// Log in first.
        case unauthenticated
        /// With the sentence of the FORBIDDEN answer.
        case forbidden(String)
    }

    /// - Parameters:
    ///   - user: nil before log-in.
    ///   - need: of the request, as it turned out when its fields were read.
    package static func decide(_ user: User?, _ type: MessageType, needs need: Need, in scope: Scope) -> Decision {
        if need == .nothing { return .allowed }
        guard let user else { return .unauthenticated }
        if need == .never || need == .login { return .allowed }
        guard user.role.meets(need) else {
            return .forbidden(
                "Permission denied: \(type.name) needs the role \(need.roles), and '\(user.name)' has \(user.role.rawValue)")
        }
        guard !user.databases.isEmpty, case .database(let name) = scope else { return .allowed }
        guard let permission = user.databases[name], user.role.limited(to: permission).meets(need) else {
            return .forbidden("Permission denied: '\(user.name)' has no \(need.roles) permission in database '\(name)'")
        }
        return .allowed
    }

    /// Whether a list of databases shows this one to the user.
    package static func shows(_ database: String, to user: User) -> Bool {
        user.databases.isEmpty || user.databases[database] != nil
    }
}

extension Role {
    fileprivate func meets(_ need: Need) -> Bool {
        switch need {
        case .nothing, .login, .never: true
        case .read: self == .read || self == .write || self == .admin
        case .write: self == .write || self == .admin
        case .admin: self == .admin
        case .replication: self == .replication || self == .admin
        }
    }
}

extension Need {
    fileprivate var roles: String {
        switch self {
        case .nothing, .login, .never: "none"
        case .read: "read"
        case .write: "write"
        case .admin: "admin"
        case .replication: "replication"
        }
    }
}

extension MessageType {
    /// What this request needs. A field that makes it another one (`drop_database: true`) makes it need what that one needs.
    package var need: Need {
        switch self {
        case .connect, .ping, .disconnect: .nothing
        case .status, .cancel, .cursorCredit, .unsubscribeChanges, .changePassword: .login
        case .read, .query, .vectorSearch, .multiRead, .count, .aggregate, .explain, .queryToon, .exportToon, .listCollections,
            .listDatabases, .listIndexes, .collectionStats, .getDatabaseStats, .getVectors, .bind, .subscribeChanges:
            .read
        case .create, .update, .delete, .batchWrite, .importToon, .createCollection, .dropCollection, .createDatabase,
            .createIndex, .dropIndex, .buildHNSWIndex:
            .write
        case .dropDatabase, .createUser, .deleteUser, .listUsers, .alterUser: .admin
        case .replHello, .snapshotBegin, .snapshotGet, .snapshotDone, .streamStartAt, .replAck, .readIndex, .fence, .promote,
            .promoted, .switchover, .verify, .nodeStatus, .slotAdmin, .replStop:
            .replication
        case .replWelcome, .snapshotManifest, .snapshotChunk, .walBatch, .heartbeat, .readIndexReply, .topology, .fenced,
            .switchoverProgress, .verifyProgress, .nodeStatusReply, .slotAdminReply, .success, .error, .notFound, .duplicate,
            .streamStart, .streamChunk, .streamEnd, .pong, .changeEvent:
            .never
        }
    }
}
