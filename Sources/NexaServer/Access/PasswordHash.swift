/// A password as it is stored: Argon2id with its salt and cost, in the usual text form.
///
///     $argon2id$v=19$m=19456,t=2,p=1$<salt, base64 without padding>$<digest, the same>
///
/// The cost stands with each hash, so that a later default leaves older hashes valid. A text that asks for more memory or time than
/// `Cost` allows is no hash: reading one never costs more than that.

import CSupport
import NexaWire

package struct PasswordHash: Equatable, Sendable {
    package struct Cost: Equatable, Sendable {
        package var memoryKiB: UInt32
        package var passes: UInt32
        package var lanes: UInt32

        package init(memoryKiB: UInt32, passes: UInt32, lanes: UInt32) {
            self.memoryKiB = memoryKiB
            self.passes = passes
            self.lanes = lanes
        }

        /// 19 MiB and some 25 ms on a core of 2020.
        package static let standard = Cost(memoryKiB: 19 << 10, passes: 2, lanes: 1)
        /// For what no one can guess anyway: keys of 256 random bits.
        static let cheap = Cost(memoryKiB: 8, passes: 1, lanes: 1)

        var isAllowed: Bool {
            (1...4).contains(lanes) && (1...16).contains(passes) && (8 * lanes...256 << 10).contains(memoryKiB)
        }
    }

    /// What a password may be: 1 to 1,024 bytes.
    package static let passwordByteCounts = 1...1_024
    private static let saltByteCount = 16
    private static let digestByteCount = 32
    private static let textByteCountMax = 512

    package let cost: Cost
    private let salt: [UInt8]
    private let digest: [UInt8]

    /// Hashes a password under a salt of its own.
    package init(of password: [UInt8], cost: Cost = .standard) {
        self.cost = cost
        salt = Self.randomBytes(Self.saltByteCount)
        digest = Self.derive(password, cost: cost, salt: salt, count: Self.digestByteCount)
    }

    /// Whether this is the hash of `password`. Takes the same time whatever the answer.
    package func matches(_ password: [UInt8]) -> Bool {
        let other = Self.derive(password, cost: cost, salt: salt, count: digest.count)
        return nexa_equal_in_constant_time(digest, other, digest.count)
    }

    /// Spends what `matches` costs; for a user that does not exist.
    package static func spend(on password: [UInt8]) { _ = PasswordHash(of: password) }

    // MARK: Text

    package var text: String {
        "$argon2id$v=19$m=\(cost.memoryKiB),t=\(cost.passes),p=\(cost.lanes)$\(Self.unpadded(salt))$\(Self.unpadded(digest))"
    }

    package init?(parsing text: String) {
        guard text.utf8.count <= Self.textByteCountMax else { return nil }
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].isEmpty, parts[1] == "argon2id", parts[2] == "v=19",
            let cost = Self.cost(parts[3]), let salt = Self.bytes(parts[4]), let digest = Self.bytes(parts[5]),
            (8...64).contains(salt.count), (16...64).contains(digest.count)
        else { return nil }
        self.cost = cost
        self.salt = salt
        self.digest = digest
    }

    private static func cost(_ text: Substring) -> Cost? {
        let fields = text.split(separator: ",", omittingEmptySubsequences: false)
        guard fields.count == 3, let memoryKiB = number(fields[0], after: "m="), let passes = number(fields[1], after: "t="),
            let lanes = number(fields[2], after: "p=")
        else { return nil }
        let cost = Cost(memoryKiB: memoryKiB, passes: passes, lanes: lanes)
        return cost.isAllowed ? cost : nil
    }

    private static func number(_ text: Substring, after name: String) -> UInt32? {
        let digits = text.dropFirst(name.count)
        guard text.hasPrefix(name), !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt32(digits)
    }

    private static func unpadded(_ bytes: [UInt8]) -> String {
        let text = bytes.withUnsafeBytes { Base64.encode($0) }
        return String(decoding: text.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
    }

    private static func bytes(_ text: Substring) -> [UInt8]? {
        var padded = Array(text.utf8)
        guard !padded.contains(UInt8(ascii: "=")) else { return nil }
        while padded.count % 4 != 0 { padded.append(UInt8(ascii: "=")) }
        return padded.withUnsafeBytes { Base64.decode($0) }
    }

    // MARK: Bytes

    static func derive(_ password: [UInt8], cost: Cost, salt: [UInt8], secret: [UInt8] = [], count: Int) -> [UInt8] {
        precondition(cost.isAllowed)
        var output = [UInt8](repeating: 0, count: count)
        let isDone = nexa_argon2id(
            nexa_argon2_cost(memory_kib: cost.memoryKiB, passes: cost.passes, lanes: cost.lanes), password, password.count, salt,
            salt.count, secret, secret.count, &output, count)
        // Out of memory: better no node than one that takes any password.
        precondition(isDone, "Argon2id failed")
        return output
    }

    static func randomBytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }
}
