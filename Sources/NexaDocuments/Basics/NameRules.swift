/// What a name of a database or collection, and the key of a document, may look like.
///
///     name  = [A-Za-z_] [A-Za-z0-9_.-]*      1 to 120 bytes
///     key   = 1 to 1,024 bytes of UTF-8       (the UTF-8 was checked when the payload was validated)
///
///     user  = [A-Za-z0-9_] [A-Za-z0-9_.@+-]* 1 to 120 bytes
///
/// Pure functions over bytes: they neither allocate nor throw on the good path.
package enum NameRules {
    package static let nameByteCountMax = 120
    package static let keyByteCountMax = 1024

    /// Whether `bytes` may name a database or a collection.
    package static func isValidName(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard (1...nameByteCountMax).contains(bytes.count) else { return false }
        guard isLetter(bytes[0]) else { return false }
        for byte in bytes.dropFirst() where !isLetter(byte) && !isDigitOrPunctuation(byte) { return false }
        return true
    }

    /// Whether `name` may name a user.
    package static func isValidUserName(_ name: String) -> Bool {
        guard (1...nameByteCountMax).contains(name.utf8.count), let first = name.utf8.first else { return false }
        guard isLetter(first) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
        return name.utf8.allSatisfy {
            isLetter($0) || isDigitOrPunctuation($0) || $0 == UInt8(ascii: "@") || $0 == UInt8(ascii: "+")
        }
    }

    /// Whether `bytes`, known to be UTF-8, may be the key of a document.
    package static func isValidKey(_ bytes: UnsafeRawBufferPointer) -> Bool {
        (1...keyByteCountMax).contains(bytes.count)
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"): true
        default: false
        }
    }

    private static func isDigitOrPunctuation(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"): true
        default: false
        }
    }
}
