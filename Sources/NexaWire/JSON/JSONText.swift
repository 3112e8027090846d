// MessagePack as JSON text, for people: the shell, logs, exports. What JSON has no word for is written as a map of one key, which
// `JSONParser` reads back:
//
//     bin               {"$binary": "base64"}
//     timestamp         {"$date": "2026-11-22T14:22:46.595872Z"}
//     other ext         {"$ext": {"type": 13, "data": "base64"}}
//     NaN, infinities   {"$double": "NaN" | "Infinity" | "-Infinity"}
//
// Integers are exact to 64 bits; floats take the shortest text that reads back as the same value, always with a point or exponent.

/// Renders MessagePack as JSON.
package enum JSONText {
    /// The JSON text, in UTF-8, of the one value in `value`. `indent` spaces per level, or on one line when nil.
    package static func write(_ value: UnsafeRawBufferPointer, indent: Int? = nil) throws(MessagePackError) -> [UInt8] {
        var reader = MessagePackReader(value)
        var writer = Writer(indent: indent)
        try writer.write(&reader, depth: 0)
        guard reader.isAtEnd else { throw MessagePackError(.wrongType, at: reader.position) }
        return writer.output
    }

    /// The JSON text of `value`.
    package static func write(_ value: MessagePackValue, indent: Int? = nil) -> String {
        let bytes = value.encoded()
        let text = bytes.withUnsafeBytes { raw in (try? write(raw, indent: indent)) ?? [] }
        return String(decoding: text, as: UTF8.self)
    }
}

private struct Writer {
    var output: [UInt8] = []
    let indent: Int?

    init(indent: Int?) {
        self.indent = indent
    }

    mutating func write(_ reader: inout MessagePackReader, depth: Int) throws(MessagePackError) {
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
                append(String(try reader.readUInt64()))
            } else {
                append(String(try reader.readInt64()))
            }
        case .float:
            if reader.bytes[reader.position] == 0xCA {
                let number = try reader.readFloat()
                writeFloat(Double(number), text: number.description)
            } else {
                let number = try reader.readDouble()
                writeFloat(number, text: number.description)
            }
        case .string: writeString(try reader.readStringBytes())
        case .binary:
            append("{\"$binary\": \"")
            output.append(contentsOf: Base64.encode(try reader.readBinBytes()))
            append("\"}")
        case .ext: try writeExt(&reader)
        case .array:
            let count = try reader.readArrayHeader()
            try writeMembers("[", "]", count: count, depth: depth) { (writer, _) throws(MessagePackError) in
                try writer.write(&reader, depth: depth + 1)
            }
        case .map:
            let count = try reader.readMapHeader()
            try writeMembers("{", "}", count: count, depth: depth) { (writer, _) throws(MessagePackError) in
                try writer.writeKey(&reader)
                writer.append(": ")
                try writer.write(&reader, depth: depth + 1)
            }
        }
    }

    private mutating func writeMembers(
        _ open: StaticString, _ close: StaticString, count: Int, depth: Int,
        _ member: (inout Writer, Int) throws(MessagePackError) -> Void
    ) throws(MessagePackError) {
        append(open)
        for index in 0..<count {
            if index > 0 { append(indent == nil ? ", " : ",") }
            newLine(depth: depth + 1)
            try member(&self, index)
        }
        if count > 0 { newLine(depth: depth) }
        append(close)
    }

    private mutating func newLine(depth: Int) {
        guard let indent else { return }
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent * depth))
    }

    /// Keys that are not strings are never in a document, but tools show foreign data too: a scalar is written as its JSON text, a
    /// container as the base64 of its bytes. (As JSON within JSON its quotes would double with each level of nesting.)
    private mutating func writeKey(_ reader: inout MessagePackReader) throws(MessagePackError) {
        switch reader.nextKind {
        case .string: writeString(try reader.readStringBytes())
        case .array, .map:
            append("\"")
            output.append(contentsOf: Base64.encode(try reader.readRawValue()))
            append("\"")
        default:
            let text = try JSONText.write(try reader.readRawValue())
            text.withUnsafeBytes { writeString($0) }
        }
    }

    private mutating func writeExt(_ reader: inout MessagePackReader) throws(MessagePackError) {
        let (type, body) = try reader.readExt()
        if type == -1, let timestamp = Timestamp(body) {
            append("{\"$date\": \"")
            append(timestamp.text)
            append("\"}")
        } else {
            append("{\"$ext\": {\"type\": \(type), \"data\": \"")
            output.append(contentsOf: Base64.encode(body))
            append("\"}}")
        }
    }

    private mutating func writeFloat(_ number: Double, text: String) {
        if number.isFinite {
            append(text)
        } else {
            append("{\"$double\": \"")
            append(number.isNaN ? "NaN" : number > 0 ? "Infinity" : "-Infinity")
            append("\"}")
        }
    }

    private mutating func writeString(_ bytes: UnsafeRawBufferPointer) {
        let hex: StaticString = "0123456789abcdef"
        output.append(UInt8(ascii: "\""))
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case 0x00..<0x20, 0x7F:
                append("\\u00")
                output.append(hex.utf8Start[Int(byte >> 4)])
                output.append(hex.utf8Start[Int(byte & 15)])
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    private mutating func append(_ text: StaticString) {
        output.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func append(_ text: String) {
        output.append(contentsOf: text.utf8)
    }
}
