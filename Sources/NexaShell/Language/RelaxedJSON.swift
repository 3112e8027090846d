import NexaWire

/// JSON as people type it: a superset of RFC 8259 with names as keys, single quotes, trailing commas, comments, hexadecimal numbers,
/// NaN and Infinity, and the one-key maps that `JSONText` writes for what JSON lacks ($binary, $date, $ext, $double).
///
/// The scanner stands on UTF-8 bytes and remembers its position, so that the shell's command parser uses it in the middle of a line.
/// Integers become integers (up to 2^64 - 1), everything with a point or exponent a double. Nesting is bounded.
package struct RelaxedJSON {
    package let bytes: [UInt8]
    package var position: Int
    private static let nestingMax = 100

    package init(_ text: String, position: Int = 0) {
        bytes = Array(text.utf8)
        self.position = position
    }

    /// The one value that `text` holds.
    package static func parse(_ text: String) throws(TextProblem) -> MessagePackValue {
        var scanner = RelaxedJSON(text)
        let value = try scanner.value()
        scanner.skipSpace()
        guard scanner.isAtEnd else { throw scanner.problem("expected nothing more after the value") }
        return value
    }

    // MARK: Scanning

    package var isAtEnd: Bool { position >= bytes.count }
    package var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    package func problem(_ message: String, at offset: Int? = nil) -> TextProblem {
        TextProblem(message: message, offset: offset ?? position)
    }

    /// Skips white space and comments (`//` and `#` to the end of the line).
    package mutating func skipSpace() {
        while let byte = next {
            if byte == 32 || (9...13).contains(byte) {
                position += 1
            } else if isAtComment {
                while let byte = next, byte != 10 { position += 1 }
            } else {
                return
            }
        }
    }

    var isAtComment: Bool { next == UInt8(ascii: "#") || (next == UInt8(ascii: "/") && peek(1) == UInt8(ascii: "/")) }

    func peek(_ distance: Int) -> UInt8? { position + distance < bytes.count ? bytes[position + distance] : nil }

    /// Takes `character` if it is next after white space.
    package mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    package mutating func expect(_ character: Unicode.Scalar, _ what: String) throws(TextProblem) {
        guard take(character) else { throw problem("expected '\(character)' \(what)") }
    }

    /// Letters, digits, `_`, `$` and bytes beyond ASCII; nil when something else is next.
    package mutating func name() -> String? {
        skipSpace()
        let start = position
        while let byte = next, Self.isNameByte(byte) { position += 1 }
        return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...:
            true
        default: false
        }
    }

    // MARK: Values

    /// The next value.
    package mutating func value() throws(TextProblem) -> MessagePackValue { try value(depth: 0) }

    private mutating func value(depth: Int) throws(TextProblem) -> MessagePackValue {
        skipSpace()
        guard depth <= Self.nestingMax else { throw problem("nested deeper than \(Self.nestingMax)") }
        guard let byte = next else { throw problem("expected a value, found the end") }
        switch byte {
        case UInt8(ascii: "{"): return try map(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try quoted())
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."): return try number()
        default: return try word()
        }
    }

    private mutating func word() throws(TextProblem) -> MessagePackValue {
        let start = position
        switch name() {
        case "true": return true
        case "false": return false
        case "null", "undefined": return nil
        case "NaN": return .double(.nan)
        case "Infinity": return .double(.infinity)
        case let word?: throw problem("expected a value; a text needs quotes: \"\(word)\"", at: start)
        case nil: throw problem("expected a value")
        }
    }

    private mutating func array(_ depth: Int) throws(TextProblem) -> MessagePackValue {
        try expect("[", "to begin an array")
        var elements: [MessagePackValue] = []
        while !take("]") {
            elements.append(try value(depth: depth + 1))
            if take("]") { break }
            try expect(",", "or ']' in an array")
        }
        return .array(elements)
    }

    private mutating func map(_ depth: Int) throws(TextProblem) -> MessagePackValue {
        let start = position
        try expect("{", "to begin a document")
        var entries: [MessagePackValue.Entry] = []
        var keys: Set<String> = []
        while !take("}") {
            skipSpace()
            let keyStart = position
            let key = try key()
            guard keys.insert(key).inserted else {
                throw problem("the key \(JSONText.write(.string(key))) is there twice", at: keyStart)
            }
            try expect(":", "after the key \(JSONText.write(.string(key)))")
            entries.append(.init(key, try value(depth: depth + 1)))
            if take("}") { break }
            try expect(",", "or '}' in a document")
        }
        return try extended(entries, at: start) ?? .map(entries)
    }

    private mutating func key() throws(TextProblem) -> String {
        if next == UInt8(ascii: "\"") || next == UInt8(ascii: "'") { return try quoted() }
        guard var key = name() else { throw problem("expected a key or '}'") }
        // A dotted path needs no quotes either.
        while next == UInt8(ascii: "."), let byte = peek(1), Self.isNameByte(byte) {
            position += 1
            key += "." + (name() ?? "")
        }
        return key
    }

    /// What a one-key map with `$binary`, `$date`, `$ext` or `$double` stands for, as the strict parser reads it.
    private func extended(_ entries: [MessagePackValue.Entry], at start: Int) throws(TextProblem) -> MessagePackValue? {
        guard entries.count == 1, ["$binary", "$date", "$ext", "$double"].contains(entries[0].key.stringValue) else { return nil }
        do throws(JSONError) {
            let bytes = try JSONParser.parse(JSONText.write(.map(entries)))
            return try? MessagePackValue(decoding: bytes)
        } catch {
            throw problem(error.message, at: start)
        }
    }

    private mutating func number() throws(TextProblem) -> MessagePackValue {
        let start = position
        while let byte = next,
            Self.isNameByte(byte) || byte == UInt8(ascii: ".")
                || ((byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")) && (position == start || isExponentBefore))
        { position += 1 }
        var text = String(decoding: bytes[start..<position], as: UTF8.self)
        if text.hasPrefix("+") { text.removeFirst() }
        if text == "Infinity" { return .double(.infinity) }
        if text == "-Infinity" { return .double(-.infinity) }
        if text.hasPrefix("0x") {
            guard let number = UInt64(text.dropFirst(2), radix: 16) else {
                throw problem("'\(text)' is no integer of 64 bits", at: start)
            }
            return Self.integer(number)
        }
        if let number = Int64(text) { return .int(number) }
        if let number = UInt64(text) { return Self.integer(number) }
        if let number = Double(text), number.isFinite {
            let isWhole = text.utf8.allSatisfy { $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) }
            guard !isWhole || JSONParser.double(ofWhole: text) != nil else {
                throw problem("'\(text)' is no integer of 64 bits", at: start)
            }
            return .double(number)
        }
        throw problem("'\(text)' is no number", at: start)
    }

    private var isExponentBefore: Bool { bytes[position - 1] | 0x20 == UInt8(ascii: "e") }

    private static func integer(_ number: UInt64) -> MessagePackValue { Int64(exactly: number).map { .int($0) } ?? .uint(number) }
}
