/// Quoted texts and their escapes.
extension RelaxedJSON {
    /// A string in double or single quotes.
    package mutating func quoted() throws(TextProblem) -> String {
        skipSpace()
        let start = position
        guard let quote = next, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
            throw problem("expected a quoted text")
        }
        position += 1
        var result: [UInt8] = []
        while let byte = next {
            position += 1
            if byte == quote { return String(decoding: result, as: UTF8.self) }
            if byte == UInt8(ascii: "\\") {
                result += Array(String(try escape()).utf8)
            } else {
                result.append(byte)
            }
        }
        throw problem("the text has no closing quote", at: start)
    }

    /// What stands behind a backslash.
    private mutating func escape() throws(TextProblem) -> Character {
        guard let byte = next else { throw problem("the text ends in a backslash") }
        position += 1
        switch byte {
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "0"): return "\0"
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Character(Unicode.Scalar(byte))
        case UInt8(ascii: "u"): return Character(try unicodeEscape())
        default: throw problem("'\\\(Character(Unicode.Scalar(byte)))' is no escape", at: position - 2)
        }
    }

    private mutating func unicodeEscape() throws(TextProblem) -> Unicode.Scalar {
        let start = position - 2
        let unit = try hexUnit()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        // The first half of a surrogate pair: the second must follow.
        guard (0xD800..<0xDC00).contains(unit), next == UInt8(ascii: "\\"), peek(1) == UInt8(ascii: "u") else {
            throw problem("half of a surrogate pair", at: start)
        }
        position += 2
        let low = try hexUnit()
        guard (0xDC00..<0xE000).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
        else { throw problem("half of a surrogate pair", at: start) }
        return scalar
    }

    private mutating func hexUnit() throws(TextProblem) -> UInt32 {
        guard position + 4 <= bytes.count,
            let unit = UInt32(String(decoding: bytes[position..<(position + 4)], as: UTF8.self), radix: 16)
        else { throw problem("\\u needs four hexadecimal digits", at: position - 2) }
        position += 4
        return unit
    }
}
