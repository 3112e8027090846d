// JSON text to MessagePack bytes, for the shell and imports. Strict (RFC 8259): no comments, no trailing commas, no lone surrogates;
// nesting is limited; keys keep their order and must be unique. Whole numbers become integers of 64 bits (`double(ofWhole:)` tells what becomes
// of larger ones), all other numbers doubles.
// The one-key maps that `JSONText` writes for bin, timestamps, ext and NaN are read back as what they stand for.

/// Where and why JSON text was refused.
package struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    package var message: String
    /// Counted from 1.
    package var line: Int
    /// In bytes, counted from 1.
    package var column: Int

    package var description: String { "\(message) (line \(line), column \(column))" }
}

/// A recursive-descent parser over UTF-8 bytes.
package struct JSONParser {
    private let text: UnsafeRawBufferPointer
    private var position = 0
    private let depthMax: Int
    private let output: OutputBytes

    /// The MessagePack bytes of the one JSON value in `text`.
    package static func parse(_ text: UnsafeRawBufferPointer, depthMax: Int = nestingDepthMax) throws(JSONError) -> [UInt8] {
        let output = OutputBytes(capacity: text.count + 16)
        try parse(text, into: output, depthMax: depthMax)
        return output.withUnsafeBytes { [UInt8]($0) }
    }

    /// The MessagePack bytes of the one JSON value in `text`.
    package static func parse(_ text: String, depthMax: Int = nestingDepthMax) throws(JSONError) -> [UInt8] {
        let output = OutputBytes(capacity: text.utf8.count + 16)
        let bytes = Array(text.utf8)
        var failure: JSONError?
        bytes.withUnsafeBytes { raw in
            do throws(JSONError) { try parse(raw, into: output, depthMax: depthMax) } catch { failure = error }
        }
        if let failure { throw failure }
        return output.withUnsafeBytes { [UInt8]($0) }
    }

    /// Appends the MessagePack bytes of the one JSON value in `text` to `output`; on failure `output` is as before.
    package static func parse(
        _ text: UnsafeRawBufferPointer, into output: OutputBytes, depthMax: Int = nestingDepthMax
    ) throws(JSONError) {
        let start = output.byteCount
        var parser = JSONParser(text: text, depthMax: depthMax, output: output)
        do throws(JSONError) {
            try parser.document()
            // One pass of the C scanner finds what the grammar does not forbid: strings that are not UTF-8, and keys that stand twice.
            let status = validate(UnsafeRawBufferPointer(rebasing: output.bytes[start...]))
            if let fault = status.error {
                throw JSONError(message: fault.message, line: 1, column: 1)
            }
        } catch {
            output.truncate(to: start)
            throw error
        }
    }

    private init(text: UnsafeRawBufferPointer, depthMax: Int, output: OutputBytes) {
        self.text = text
        self.depthMax = depthMax
        self.output = output
    }

    private mutating func document() throws(JSONError) {
        try value(depth: 0)
        skipSpace()
        guard position == text.count else { throw error("nothing may follow the value") }
    }

    private mutating func value(depth: Int) throws(JSONError) {
        skipSpace()
        guard let byte = peek else { throw error("a value is missing") }
        switch byte {
        case UInt8(ascii: "{"): try object(depth: depth)
        case UInt8(ascii: "["): try array(depth: depth)
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "t"):
            try word("true")
            output.writeBool(true)
        case UInt8(ascii: "f"):
            try word("false")
            output.writeBool(false)
        case UInt8(ascii: "n"):
            try word("null")
            output.writeNil()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
        default: throw error("a value cannot begin here")
        }
    }

    // MARK: Containers

    private mutating func array(depth: Int) throws(JSONError) {
        guard depth < depthMax else { throw error("nesting is deeper than \(depthMax)") }
        position += 1
        let start = output.byteCount
        output.appendU8(0x90)
        var count = 0
        if !take("]") {
            repeat {
                try value(depth: depth + 1)
                count += 1
            } while take(",")
            guard take("]") else { throw error("',' or ']' is missing") }
        }
        closeContainer(at: start, count: count, fix: 0x90, wide: 0xDC)
    }

    private mutating func object(depth: Int) throws(JSONError) {
        guard depth < depthMax else { throw error("nesting is deeper than \(depthMax)") }
        position += 1
        let start = output.byteCount
        output.appendU8(0x80)
        var count = 0
        if !take("}") {
            repeat {
                skipSpace()
                guard peek == UInt8(ascii: "\"") else { throw error("a key in double quotes is missing") }
                try string()
                guard take(":") else { throw error("':' is missing") }
                try value(depth: depth + 1)
                count += 1
            } while take(",")
            guard take("}") else { throw error("',' or '}' is missing") }
        }
        closeContainer(at: start, count: count, fix: 0x80, wide: 0xDE)
        if count == 1 { try replaceExtended(from: start) }
    }

    /// Sets the count of the container whose one-byte header stands at `start`, widening the header when the count needs it.
    private func closeContainer(at start: Int, count: Int, fix: UInt8, wide: UInt8) {
        if count < 16 {
            output.storeBE(fix | UInt8(count), at: start)
        } else if count <= 0xFFFF {
            output.insertGap(2, at: start + 1)
            output.storeBE(wide, at: start)
            output.storeBE(UInt16(count), at: start + 1)
        } else {
            output.insertGap(4, at: start + 1)
            output.storeBE(wide + 1, at: start)
            output.storeBE(UInt32(count), at: start + 1)
        }
    }

    /// Turns the one-entry map at `start` into what it stands for, if it is one of those that `JSONText` writes. Looks at no more of it than
    /// that takes: maps of one entry may be nested, and hold much.
    private func replaceExtended(from start: Int) throws(JSONError) {
        guard output.bytes[start + 2] == UInt8(ascii: "$") else { return }
        var reader = MessagePackReader(output.bytes, position: start + 1)
        guard let key = try? reader.readString() else { return }
        guard let replacement = key == "$ext" ? try ext(&reader) : try textual(key, &reader) else { return }
        output.truncate(to: start)
        replacement.encode(into: output)
    }

    /// What a text stands for under `key`.
    private func textual(_ key: String, _ reader: inout MessagePackReader) throws(JSONError) -> MessagePackValue? {
        guard ["$binary", "$date", "$double"].contains(key), let text = try? reader.readString() else { return nil }
        switch (key, text) {
        case ("$binary", _):
            guard let bytes = decodeBase64(text) else { throw error("$binary is not base64") }
            return .binary(bytes)
        case ("$date", _):
            guard let timestamp = Timestamp(text: text) else { throw error("$date is not an ISO 8601 time with zone") }
            return .ext(-1, timestamp.body)
        case ("$double", "NaN"): return .double(.nan)
        case ("$double", "Infinity"): return .double(.infinity)
        case ("$double", "-Infinity"): return .double(-.infinity)
        default: return nil
        }
    }

    /// `{"type": 5, "data": "base64"}`
    private func ext(_ reader: inout MessagePackReader) throws(JSONError) -> MessagePackValue {
        var type: Int8?
        var bytes: [UInt8]?
        if let count = try? reader.readMapHeader(), count == 2 {
            for _ in 0..<2 {
                switch try? reader.readString() {
                case "type": type = (try? reader.readInt64()).flatMap(Int8.init(exactly:))
                case "data": bytes = (try? reader.readString()).flatMap(decodeBase64)
                default: break
                }
            }
        }
        guard let type, let bytes else { throw error("$ext needs a type from -128 to 127 and base64 data, and nothing else") }
        return .ext(type, bytes)
    }

    private func decodeBase64(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { Base64.decode(UnsafeRawBufferPointer($0)) }
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) {
        position += 1
        // Most strings have no escapes: then the text is copied as it stands.
        let end = JSONBytes.firstSpecial(text, from: position)
        guard end < text.count else { throw error("the string does not end") }
        if text[end] == UInt8(ascii: "\"") {
            output.writeString(bytes: UnsafeRawBufferPointer(rebasing: text[position..<end]))
            position = end + 1
            return
        }
        var unescaped = [UInt8](text[position..<end])
        position = end
        while true {
            guard let byte = peek else { throw error("the string does not end") }
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                unescaped.withUnsafeBytes { output.writeString(bytes: $0) }
                return
            case UInt8(ascii: "\\"): try escape(into: &unescaped)
            case 0x00..<0x20: throw error("control characters in strings must be escaped")
            default: unescaped.append(byte)
            }
        }
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = peek else { throw error("the string does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hex4()
            if (0xD800..<0xDC00).contains(code) {
                guard peek == UInt8(ascii: "\\") else { throw error("a lone surrogate is no character") }
                position += 1
                guard peek == UInt8(ascii: "u") else { throw error("a lone surrogate is no character") }
                position += 1
                let low = try hex4()
                guard (0xDC00..<0xE000).contains(low) else { throw error("a lone surrogate is no character") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw error("a lone surrogate is no character") }
            text.append(contentsOf: UTF8.encode(scalar)!)
        default: throw error("no such escape")
        }
    }

    private mutating func hex4() throws(JSONError) -> UInt32 {
        guard text.count - position >= 4 else { throw error("\\u needs four hexadecimal digits") }
        var code: UInt32 = 0
        for byte in text[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw error("\\u needs four hexadecimal digits")
            }
            code = code << 4 | UInt32(digit)
        }
        position += 4
        return code
    }

    // MARK: Numbers

    /// Integers of up to 18 digits and the decimals that people write are read here without a detour over text; `readNumber` takes the rest.
    private mutating func number() throws(JSONError) {
        let start = position
        let isNegative = peek == UInt8(ascii: "-")
        if isNegative { position += 1 }
        let firstDigit = peek
        var digits: UInt64 = 0
        let wholeCount = skipDigits(&digits)
        guard wholeCount > 0 else { throw error("a digit is missing") }
        guard firstDigit != UInt8(ascii: "0") || wholeCount == 1 else { throw error("numbers have no leading zeros") }
        var fractionCount = 0
        if peek == UInt8(ascii: ".") {
            position += 1
            fractionCount = skipDigits(&digits)
            guard fractionCount > 0 else { throw error("a digit is missing") }
        }
        let hasExponent = peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E")
        if hasExponent { try skipExponent() }
        guard position - start <= 1000 else { throw error("the number is too long") }
        if wholeCount + fractionCount <= 18 && !hasExponent {
            if fractionCount == 0 {
                if digits == 0 && isNegative { return output.writeDouble(-0.0) }
                return output.writeInt(isNegative ? -Int64(digits) : Int64(digits))
            }
            // Both are exact in a double, so one division rounds as the whole number would.
            if digits <= 1 << 53 {
                let number = Double(digits) / Self.powersOfTen[fractionCount]
                return output.writeDouble(isNegative ? -number : number)
            }
        }
        try readNumber(start, isWhole: fractionCount == 0 && !hasExponent)
    }

    /// 10^0 to 10^18, all exact in a double.
    private static let powersOfTen: [Double] = (0...18).map { power in (0..<power).reduce(1.0) { number, _ in number * 10 } }

    private mutating func readNumber(_ start: Int, isWhole: Bool) throws(JSONError) {
        let digits = String(decoding: text[start..<position], as: UTF8.self)
        if isWhole {
            if let number = Int64(digits) { return output.writeInt(number) }
            if let number = UInt64(digits) { return output.writeUInt(number) }
            guard let number = Self.double(ofWhole: digits) else {
                throw error(
                    "the integer is beyond 64 bits (-2^63 to 2^64 - 1): write it as text, or with an exponent as a double")
            }
            return output.writeDouble(number)
        }
        guard let number = Double(digits), number.isFinite else { throw error("the number is beyond the range of a double") }
        output.writeDouble(number)
    }

    /// The double that a whole number beyond 64 bits stands for: the one whose shortest text has the same digits, as JavaScript writes
    /// doubles below 10^21. Nil: it is another number than every double, and would be stored as something that nobody sent.
    package static func double(ofWhole digits: String) -> Double? {
        guard let number = Double(digits), number.isFinite else { return nil }
        let shortest = number.description.prefix { $0 != "e" }
        return significand(of: shortest) == significand(of: digits[...]) ? number : nil
    }

    private static func significand(of text: Substring) -> Substring {
        var digits = text.filter { $0 != "-" && $0 != "." }[...]
        while digits.last == "0" { digits.removeLast() }
        return digits
    }

    private mutating func skipExponent() throws(JSONError) {
        position += 1
        if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
        var ignored: UInt64 = 0
        guard skipDigits(&ignored) > 0 else { throw error("a digit is missing") }
    }

    /// Steps over digits and appends them to `digits`, which holds what they say as long as they are at most 19.
    private mutating func skipDigits(_ digits: inout UInt64) -> Int {
        let start = position
        while let byte = peek, byte &- 0x30 <= 9 {
            digits = digits &* 10 &+ UInt64(byte &- 0x30)
            position &+= 1
        }
        return position - start
    }

    // MARK: Bytes

    private var peek: UInt8? { position < text.count ? text[position] : nil }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    /// Consumes `character`, after white space, if it is next.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard peek == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func word(_ word: StaticString) throws(JSONError) {
        for index in 0..<word.utf8CodeUnitCount {
            guard peek == word.utf8Start[index] else { throw error("only true, false and null are words") }
            position += 1
        }
    }

    private func error(_ message: String) -> JSONError {
        var line = 1
        var lineStart = 0
        for index in 0..<min(position, text.count) where text[index] == 0x0A {
            line += 1
            lineStart = index + 1
        }
        return JSONError(message: message, line: line, column: position - lineStart + 1)
    }
}
