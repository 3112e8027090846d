import Glibc

/// What a backup is called within its repository: 1 to 64 letters, digits, `.`, `_` and `-`, the first a letter or a digit. It becomes a file's
/// name, so it never leads anywhere else.
package struct BackupName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package static let byteCountMax = 64

    package let text: String

    /// Nil when it is no name.
    package init?(_ text: String) {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        guard let first = text.utf8.first, isAlphanumeric(first), text.utf8.count <= Self.byteCountMax,
            text.utf8.allSatisfy({ isAlphanumeric($0) || [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains($0) })
        else { return nil }
        self.text = text
    }

    /// The moment as a name that sorts like time: `20261126T070012Z`.
    package init(at seconds: Int64) { text = Self.format(seconds, "%Y%m%dT%H%M%SZ") }

    package var description: String { text }

    package static func < (left: BackupName, right: BackupName) -> Bool { left.text < right.text }

    /// The moment in UTC, for people: `2026-11-26T07:00:12Z`.
    package static func time(_ seconds: Int64) -> String { format(seconds, "%Y-%m-%dT%H:%M:%SZ") }

    private static func format(_ seconds: Int64, _ pattern: String) -> String {
        var (time, fields) = (time_t(seconds), tm())
        gmtime_r(&time, &fields)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            let count = strftime(buffer.baseAddress!, buffer.count, pattern, &fields)
            return String(decoding: UnsafeRawBufferPointer(buffer)[..<count], as: UTF8.self)
        }
    }
}
