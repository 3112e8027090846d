/// Who a connection has logged in as: the account as it was then, and by what it proved itself.
///
/// Sessions are checked against the accounts of now whenever those have changed: with the account, its password or its key the log-in
/// is gone, and a new role holds from the next request on.

import NexaDocuments
import NexaWire

package final class Principal: Sendable {
    package let user: User
    private let usesKey: Bool

    init(_ user: User, usesKey: Bool) {
        self.user = user
        self.usesKey = usesKey
    }

    /// The same log-in with the account as it is now; nil when it does not hold any more.
    func renewed(in users: UserTable) -> Principal? {
        guard let now = users[user.name], now.createdAt == user.createdAt else { return nil }
        let isSame = usesKey ? now.apiKey?.hash == user.apiKey?.hash : now.passwordHash == user.passwordHash
        return isSame ? Principal(now, usesKey: usesKey) : nil
    }

    /// The same log-in after this user itself has taken another password.
    func takingPassword(_ passwordHash: String) -> Principal {
        var changed = user
        changed.passwordHash = passwordHash
        return Principal(changed, usesKey: usesKey)
    }
}

/// What a CONNECT proves itself with.
package enum Credentials: Sendable {
    case password(user: String, [UInt8])
    case apiKey(String)

    /// Whom failures count for, besides the address; nobody in particular for a key.
    var claimedUser: String {
        switch self {
        case .password(let user, _): user
        case .apiKey: ""
        }
    }
}
