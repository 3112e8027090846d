// MessagePack as JSON text: the HTTP gateway, the shell, logs, exports. What JSON has no word for is written as a map of one key,
// which `JSONParser` reads back:
//
//     bin               {"$binary": "base64"}
//     timestamp         {"$date": "2026-11-22T14:22:46.595872Z"}
//     other ext         {"$ext": {"type": 13, "data": "base64"}}
//     NaN, infinities   {"$double": "NaN" | "Infinity" | "-Infinity"}
//
// Integers are exact to 64 bits; floats take the shortest text that reads back as the same value, always with a point or exponent.

/// Renders MessagePack as JSON.
package enum JSONText {
    package struct Style: Sendable {
        /// Spaces per level; nil: all on one line.
        package var indent: Int?
        /// What is read back equals what was written: a float32 is written as the double that equals it (0.10000000149011612, not 0.1), and a
        /// timestamp of a year that has more than four digits as an ext. Without, people's eyes come first.
        package var isExact: Bool
        /// No blanks between the parts of a line.
        package var isCompact: Bool
        /// Integers that a double does not hold exactly (beyond 2^53) as strings: for readers whose only number is a double.
        package var writesLargeIntegersAsStrings: Bool

        package init(
            indent: Int? = nil, isExact: Bool = false, isCompact: Bool = false, writesLargeIntegersAsStrings: Bool = false
        ) {
            self.indent = indent
            self.isExact = isExact
            self.isCompact = isCompact
            self.writesLargeIntegersAsStrings = writesLargeIntegersAsStrings
        }

        /// For programs: exact, and no byte more than needed.
        package static let compact = Style(isExact: true, isCompact: true)
    }

    /// Appends the JSON text, in UTF-8, of the one value in `value`; on failure `output` is as before.
    package static func write(
        _ value: UnsafeRawBufferPointer, into output: OutputBytes, style: Style = Style()
    ) throws(MessagePackError) {
        let start = output.byteCount
        var reader = MessagePackReader(value)
        do throws(MessagePackError) {
            try Writer(output: output, style: style).write(&reader, depth: 0)
            guard reader.isAtEnd else { throw MessagePackError(.wrongType, at: reader.position) }
        } catch {
            output.truncate(to: start)
            throw error
        }
    }

    /// Appends an object of the next `count` entries of `reader`, which has read the map's header. On failure `output` holds a part of it.
    package static func writeEntries(
        _ count: Int, of reader: inout MessagePackReader, into output: OutputBytes, style: Style
    ) throws(MessagePackError) {
        try Writer(output: output, style: style).writeEntries(count, of: &reader, depth: 0)
    }

    /// Appends `text` in quotes, escaped.
    package static func writeString(_ text: UnsafeRawBufferPointer, into output: OutputBytes) {
        Writer(output: output, style: .compact).writeString(text)
    }

    /// The JSON text, in UTF-8, of the one value in `value`. `indent` spaces per level, or on one line when nil.
    package static func write(_ value: UnsafeRawBufferPointer, indent: Int? = nil) throws(MessagePackError) -> [UInt8] {
        let output = OutputBytes(capacity: value.count * 2)
        try write(value, into: output, style: Style(indent: indent))
        return output.withUnsafeBytes { [UInt8]($0) }
    }

    /// The JSON text of `value`.
    package static func write(_ value: MessagePackValue, indent: Int? = nil) -> String {
        let bytes = value.encoded()
        let text = bytes.withUnsafeBytes { raw in (try? write(raw, indent: indent)) ?? [] }
        return String(decoding: text, as: UTF8.self)
    }
}

private struct Writer {
    let output: OutputBytes
    let style: JSONText.Style

    func write(_ reader: inout MessagePackReader, depth: Int) throws(MessagePackError) {
        guard depth <= nestingDepthMax else { throw MessagePackError(.tooDeep, at: reader.position) }
        switch reader.nextKind {
        case nil: throw MessagePackError(.truncated, at: reader.position)
        case .reserved: throw MessagePackError(.reservedByte, at: reader.position)
        case .null:
            try reader.readNil()
            append("null")
        case .bool: append(try reader.readBool() ? "true" : "false")
        case .int:
            if reader.bytes[reader.position] == 0xCF {
                let number = try reader.readUInt64()
                writeInteger(String(number), isLarge: number > 1 << 53)
            } else {
                let number = try reader.readInt64()
                writeInteger(String(number), isLarge: number.magnitude > 1 << 53)
            }
        case .float:
            if reader.bytes[reader.position] == 0xCA {
                let number = try reader.readFloat()
                writeFloat(Double(number), text: style.isExact ? Double(number).description : number.description)
            } else {
                let number = try reader.readDouble()
                writeFloat(number, text: number.description)
            }
        case .string: writeString(try reader.readStringBytes())
        case .binary:
            openSingle("$binary")
            append("\"")
            output.append(Base64.encode(try reader.readBinBytes()))
            append("\"}")
        case .ext: try writeExt(&reader)
        case .array: try writeArray(&reader, depth: depth)
        case .map: try writeEntries(try reader.readMapHeader(), of: &reader, depth: depth)
        }
    }

    private func writeArray(_ reader: inout MessagePackReader, depth: Int) throws(MessagePackError) {
        let count = try reader.readArrayHeader()
        output.appendU8(UInt8(ascii: "["))
        for index in 0..<count {
            separate(index, depth: depth)
            try write(&reader, depth: depth + 1)
        }
        if count > 0 { newLine(depth: depth) }
        output.appendU8(UInt8(ascii: "]"))
    }

    func writeEntries(_ count: Int, of reader: inout MessagePackReader, depth: Int) throws(MessagePackError) {
        output.appendU8(UInt8(ascii: "{"))
        for index in 0..<count {
            separate(index, depth: depth)
            try writeKey(&reader)
            append(colon)
            try write(&reader, depth: depth + 1)
        }
        if count > 0 { newLine(depth: depth) }
        output.appendU8(UInt8(ascii: "}"))
    }

    private func separate(_ index: Int, depth: Int) {
        if index > 0 { append(style.indent == nil && !style.isCompact ? ", " : ",") }
        newLine(depth: depth + 1)
    }

    private var colon: StaticString { style.isCompact ? ":" : ": " }

    /// The beginning of a map of one key.
    private func openSingle(_ key: StaticString) {
        append("{\"")
        append(key)
        append("\"")
        append(colon)
    }

    private func writeInteger(_ text: String, isLarge: Bool) {
        let isQuoted = isLarge && style.writesLargeIntegersAsStrings
        if isQuoted { output.appendU8(UInt8(ascii: "\"")) }
        append(text)
        if isQuoted { output.appendU8(UInt8(ascii: "\"")) }
    }

    private func newLine(depth: Int) {
        guard let indent = style.indent else { return }
        output.appendU8(UInt8(ascii: "\n"))
        for _ in 0..<indent * depth { output.appendU8(UInt8(ascii: " ")) }
    }

    /// Keys that are not strings are never in a document, but tools show foreign data too: a scalar is written as its JSON text, a
    /// container as the base64 of its bytes. (As JSON within JSON its quotes would double with each level of nesting.)
    private func writeKey(_ reader: inout MessagePackReader) throws(MessagePackError) {
        switch reader.nextKind {
        case .string: writeString(try reader.readStringBytes())
        case .array, .map:
            append("\"")
            output.append(Base64.encode(try reader.readRawValue()))
            append("\"")
        default:
            let text = try JSONText.write(try reader.readRawValue())
            text.withUnsafeBytes { writeString($0) }
        }
    }

    private func writeExt(_ reader: inout MessagePackReader) throws(MessagePackError) {
        let (type, body) = try reader.readExt()
        if type == -1, let timestamp = Timestamp(body), !style.isExact || timestamp.hasPlainYear {
            openSingle("$date")
            append("\"")
            append(timestamp.text)
            append("\"}")
        } else {
            openSingle("$ext")
            openSingle("type")
            append("\(type)")
            append(style.isCompact ? ",\"data\"" : ", \"data\"")
            append(colon)
            append("\"")
            output.append(Base64.encode(body))
            append("\"}}")
        }
    }

    private func writeFloat(_ number: Double, text: @autoclosure () -> String) {
        if number.isFinite {
            append(text())
        } else {
            openSingle("$double")
            append(number.isNaN ? "\"NaN\"}" : number > 0 ? "\"Infinity\"}" : "\"-Infinity\"}")
        }
    }

    func writeString(_ bytes: UnsafeRawBufferPointer) {
        output.appendU8(UInt8(ascii: "\""))
        var start = 0
        while true {
            let end = JSONBytes.firstSpecial(bytes, from: start, andDelete: true)
            if end > start { output.append(UnsafeRawBufferPointer(rebasing: bytes[start..<end])) }
            if end == bytes.count { break }
            writeEscape(bytes[end])
            start = end + 1
        }
        output.appendU8(UInt8(ascii: "\""))
    }

    private func writeEscape(_ byte: UInt8) {
        let hex: StaticString = "0123456789abcdef"
        output.appendU8(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): output.appendU8(byte)
        case 0x0A: output.appendU8(UInt8(ascii: "n"))
        case 0x0D: output.appendU8(UInt8(ascii: "r"))
        case 0x09: output.appendU8(UInt8(ascii: "t"))
        default:
            append("u00")
            output.appendU8(hex.utf8Start[Int(byte >> 4)])
            output.appendU8(hex.utf8Start[Int(byte & 15)])
        }
    }

    private func append(_ text: StaticString) {
        output.append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private func append(_ text: String) {
        var text = text
        text.withUTF8 { output.append(UnsafeRawBufferPointer($0)) }
    }
}
