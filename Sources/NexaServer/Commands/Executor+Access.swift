/// Where a request meets the rules: by its type before its payload is looked at, and by what it concerns once its fields are read.
/// A request of an admin, or on a node that asks for no log-in, passes with one comparison.

import NexaDocuments
import NexaWire

extension Executor {
    /// Refuses what a stranger may not send, and brings the session up to the accounts of now.
    @inline(never)
    func admit(_ type: MessageType, _ session: inout Session) throws(DocumentError) {
        if session.usersVersion != catalog.usersVersion { node.authenticator.refresh(&session) }
        if session.isUnlimited || type.need == .nothing || session.principal != nil { return }
        throw catalog.view.users.isEmpty ? noUsers : notAuthenticated
    }

    /// Refuses what this user may not do.
    @inline(never)
    func authorize(_ type: MessageType, _ session: Session) throws(DocumentError) {
        let need = try need(of: type)
        let user = session.principal?.user
        // Names are made for those alone whom they matter to.
        let scopes = user?.databases.isEmpty == false ? try scopes(of: type, session) : [.node]
        for scope in scopes {
            switch Authorization.decide(user, type, needs: need, in: scope) {
            case .allowed: continue
            case .unauthenticated: throw notAuthenticated
            case .forbidden(let message): throw DocumentError(.forbidden, message)
            }
        }
    }

    /// What the request needs: a field of an existing client's request can make it another one.
    private func need(of type: MessageType) throws(DocumentError) -> Need {
        if type == .dropCollection, fields.has(.dropDatabase), try fields.flag(.dropDatabase) == true {
            return MessageType.dropDatabase.need
        }
        return type.need
    }

    /// What the request concerns. A handle of the compact form names a database as well as the field does: where a command looks at both,
    /// or at the field alone, both have to be allowed.
    private func scopes(of type: MessageType, _ session: Session) throws(DocumentError) -> [Scope] {
        let makesDatabase = type == .create ? try fields.flag(.createDatabase) == true : false
        switch type {
        case .connect, .ping, .disconnect, .status, .cancel, .cursorCredit, .unsubscribeChanges, .createUser, .deleteUser,
            .listUsers, .changePassword, .alterUser, .listDatabases, .snapshotBegin, .snapshotGet, .snapshotDone:
            return [.node]
        case .listCollections where asksForDatabases: return [.node]
        case .createDatabase, .dropDatabase: return [.database(namedDatabase(session))]
        case .create where makesDatabase: return [.database(namedDatabase(session))]
        case .read, .create, .update, .delete, .multiRead, .query, .count, .vectorSearch:
            return [.database(requestedNames(session).database)]
        case .batchWrite where !fields.has(.operations): return [.database(requestedNames(session).database)]
        default: return [.database(requestedNames(session).database), .database(requestedDatabase(session))]
        }
    }

    /// `database: true` in LIST_COLLECTIONS: an existing client asks for databases this way.
    var asksForDatabases: Bool { fields.raw(.database).map { $0.count == 1 && $0[0] == 0xC3 } ?? false }

    /// These two take the name from `name` as well.
    private func namedDatabase(_ session: Session) -> String {
        if !fields.has(.database), let name = (try? fields.text(.name)) ?? nil { return String(decoding: name, as: UTF8.self) }
        return requestedDatabase(session)
    }

    // MARK: Credentials

    /// What a CONNECT proves itself with; nil when it does not try.
    func credentials() throws(DocumentError) -> Credentials? {
        if let key = try fields.text(.apiKey) { return .apiKey(String(decoding: key, as: UTF8.self)) }
        guard let user = try fields.text(.username), let password = try fields.text(.password) else { return nil }
        return .password(user: String(decoding: user, as: UTF8.self), Array(password))
    }

    /// The texts that existing clients know.
    var missingCredentials: DocumentError {
        if catalog.view.users.isEmpty { return noUsers }
        return DocumentError(
            .unauthenticated, "Missing 'username' or 'password' field in CONNECT message", details: [.init("field", "username")])
    }

    private var notAuthenticated: DocumentError {
        DocumentError(.unauthenticated, "Not authenticated. Send CONNECT with 'username' and 'password', or 'api_key', first.")
    }

    private var noUsers: DocumentError {
        DocumentError(
            .unauthenticated,
            "Not authenticated. This node serves nobody before it has a user: stop it, make one with nexadb user add NAME --role admin "
                + "--data-dir DIRECTORY, and start it again")
    }
}
