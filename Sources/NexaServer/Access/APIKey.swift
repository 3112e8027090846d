/// An API key: `nxdb_` and 43 url-safe characters that stand for 32 random bytes. Shown once, when it is made; only its hash is stored.
///
/// A key has 256 random bits, so a hash that is cheap to compute gives nothing away, and it can be looked up: all are hashed alike.

import NexaDocuments

package struct APIKey: Sendable {
    package let text: String

    /// A new one.
    package init() { text = Self.marker + Self.digits(of: PasswordHash.randomBytes(32)) }

    /// One that a client sent; nil when it cannot be a key.
    package init?(parsing text: String) {
        guard text.hasPrefix(Self.marker), text.utf8.count == Self.marker.utf8.count + 43 else { return nil }
        self.text = text
    }

    package var stored: User.StoredKey { User.StoredKey(hash: hash, prefix: String(text.prefix(15)) + "...") }

    package var hash: [UInt8] {
        PasswordHash.derive(Array(text.utf8), cost: .cheap, salt: Array("nexadb api key 1".utf8), count: 32)
    }

    private static let marker = "nxdb_"
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// Base64 of RFC 4648, section 5, without padding.
    private static func digits(of bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        var held: UInt32 = 0
        var heldBitCount = 0
        for byte in bytes {
            held = held << 8 | UInt32(byte)
            heldBitCount += 8
            while heldBitCount >= 6 {
                heldBitCount -= 6
                result.append(alphabet[Int(held >> UInt32(heldBitCount) & 63)])
            }
        }
        if heldBitCount > 0 { result.append(alphabet[Int(held << UInt32(6 - heldBitCount) & 63)]) }
        return String(decoding: result, as: UTF8.self)
    }
}
