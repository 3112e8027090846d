import NexaWire

/// MessagePack values as JSON text, for people and scripts.
///
/// What JSON lacks is written as MongoDB's extended JSON does, and read back by `RelaxedJSON`: `{"$binary": "BASE64"}`,
/// `{"$ext": {"type": N, "data": "BASE64"}}`; NaN and infinities as `{"$double": "NaN"}`. Integers stay integers up to 2^64 - 1. Map
/// order is kept; a key that is not a string is written as its JSON text. Output is UTF-8, control characters escaped.
struct JSONWriter {
    /// Spaces per level; nil puts everything on one line.
    private let indent: Int?
    /// Maps and arrays whose one-line form fits in this many characters stay on one line.
    private let widthMax: Int
    private(set) var text = ""

    init(indent: Int? = nil, widthMax: Int = 80) {
        self.indent = indent
        self.widthMax = widthMax
    }

    static func line(_ value: MessagePackValue) -> String {
        var writer = JSONWriter()
        writer.write(value, level: 0)
        return writer.text
    }

    static func pretty(_ value: MessagePackValue) -> String {
        var writer = JSONWriter(indent: 2)
        writer.write(value, level: 0)
        return writer.text
    }

    private mutating func write(_ value: MessagePackValue, level: Int) {
        switch value {
        case .null: text += "null"
        case .bool(let flag): text += flag ? "true" : "false"
        case .int(let number): text += String(number)
        case .uint(let number): text += String(number)
        case .float32(let number): write(Double(number), shortest: "\(number)")
        case .double(let number): write(number, shortest: "\(number)")
        case .string(let string): text += Self.quoted(string)
        case .binary(let bytes): text += "{\"$binary\": \"\(Base64.encode(bytes))\"}"
        case .ext(let type, let bytes): text += "{\"$ext\": {\"type\": \(type), \"data\": \"\(Base64.encode(bytes))\"}}"
        case .array(let elements):
            write(elements, open: "[", close: "]", whole: value, level: level) { writer, element, inner in
                writer.write(element, level: inner)
            }
        case .map(let entries):
            write(entries, open: "{", close: "}", whole: value, level: level) { writer, entry, inner in
                writer.text += Self.quoted(entry.key.stringValue ?? Self.line(entry.key)) + ": "
                writer.write(entry.value, level: inner)
            }
        }
    }

    private mutating func write<Part>(
        _ parts: [Part], open: String, close: String, whole: MessagePackValue, level: Int,
        each: (inout JSONWriter, Part, Int) -> Void
    ) {
        if parts.isEmpty {
            text += open + close
            return
        }
        var step = indent
        if step != nil, parts.count * 3 <= widthMax {
            let line = Self.line(whole)
            if line.count + level * indent! <= widthMax { step = nil }
            if step == nil {
                text += line
                return
            }
        }
        text += open
        for (index, part) in parts.enumerated() {
            if index > 0 { text += step == nil ? ", " : "," }
            if let step { text += "\n" + String(repeating: " ", count: (level + 1) * step) }
            each(&self, part, level + 1)
        }
        if let step { text += "\n" + String(repeating: " ", count: level * step) }
        text += close
    }

    private mutating func write(_ number: Double, shortest: String) {
        text += number.isFinite ? shortest : "{\"$double\": \"\(number.isNaN ? "NaN" : number > 0 ? "Infinity" : "-Infinity")\"}"
    }

    static func quoted(_ string: String) -> String {
        var result = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
