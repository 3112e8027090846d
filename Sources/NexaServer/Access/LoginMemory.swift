/// Passwords that were right, remembered so that a thousand clients that come back after a restart of their own do not cost a thousand
/// Argon2 runs.
///
/// What is kept is a hash under a random key that exists in this process alone, and the stored hash that it belongs to: with a new
/// password the entry means nothing. Only a right password is answered from here; a wrong one costs what it always costs.

import CSupport

struct LoginMemory: Sendable {
    static let entryCountMax = 1_024

    private struct Entry {
        var passwordHash: String
        var digest: [UInt8]
    }

    private var entries: [String: Entry] = [:]

    /// What `remembers` compares.
    struct Token: Sendable { fileprivate let digest: [UInt8] }

    /// The random key of this process.
    struct Key: Sendable {
        private let bytes = PasswordHash.randomBytes(32)

        func token(_ username: String, _ password: [UInt8]) -> Token {
            // A salt has 8 bytes at least.
            let salt = Array("nexadb user ".utf8) + Array(username.utf8)
            return Token(digest: PasswordHash.derive(password, cost: .cheap, salt: salt, secret: bytes, count: 32))
        }
    }

    func remembers(_ token: Token, of username: String, passwordHash: String) -> Bool {
        guard let entry = entries[username], entry.passwordHash == passwordHash else { return false }
        return nexa_equal_in_constant_time(entry.digest, token.digest, token.digest.count)
    }

    mutating func remember(_ token: Token, of username: String, passwordHash: String) {
        if entries.count >= Self.entryCountMax, entries[username] == nil, let other = entries.keys.first { entries[other] = nil }
        entries[username] = Entry(passwordHash: passwordHash, digest: token.digest)
    }
}
