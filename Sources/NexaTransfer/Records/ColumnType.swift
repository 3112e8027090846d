import NexaWire

/// What the text of a delimited field becomes.
package enum ColumnType: String, CaseIterable, Sendable {
    /// Text as it stands; the default.
    case string
    case int, double, bool
    /// ISO 8601 with a zone, or a day (its midnight in UTC).
    case date
    /// Base64.
    case binary
    /// Any JSON value.
    case json
    /// Unquoted numbers and true and false as such, unquoted nothing as null, all else text.
    case auto

    /// Appends the value; an empty field that is to be more than text is null.
    func write(_ field: DelimitedFields.Field, column: String, into output: OutputBytes) throws(RecordProblem) {
        let text = field.bytes
        if self == .string { return output.writeString(bytes: text) }
        if text.isEmpty && !(self == .auto && field.isQuoted) { return output.writeNil() }
        switch self {
        case .string: break
        case .auto: Self.writeGuess(field, into: output)
        case .int:
            let word = String(decoding: text, as: UTF8.self)
            if let number = Int64(word) {
                output.writeInt(number)
            } else if let number = UInt64(word) {
                output.writeUInt(number)
            } else {
                throw problem(column, text)
            }
        case .double:
            guard let number = Self.double(text) else { throw problem(column, text) }
            output.writeDouble(number)
        case .bool:
            switch String(decoding: text, as: UTF8.self) {
            case "true", "1": output.writeBool(true)
            case "false", "0": output.writeBool(false)
            default: throw problem(column, text)
            }
        case .date:
            let word = String(decoding: text, as: UTF8.self)
            guard let timestamp = Timestamp(text: text.count == 10 ? word + "T00:00:00Z" : word) else {
                throw problem(column, text)
            }
            timestamp.body.withUnsafeBytes { output.writeExt(type: -1, $0) }
        case .binary:
            guard let bytes = Base64.decode(text) else { throw problem(column, text) }
            bytes.withUnsafeBytes { output.writeBin($0) }
        case .json:
            do throws(JSONError) { try JSONParser.parse(text, into: output) } catch { throw problem(column, text) }
        }
    }

    private func problem(_ column: String, _ text: UnsafeRawBufferPointer) -> RecordProblem {
        RecordProblem(
            "column '\(printable(column, characterCountMax: 60))': "
                + "'\(printable(String(decoding: text, as: UTF8.self), characterCountMax: 60))' is no \(rawValue)")
    }

    private static func double(_ text: UnsafeRawBufferPointer) -> Double? {
        switch String(decoding: text, as: UTF8.self) {
        case "NaN", "nan": .nan
        case "Infinity", "inf": .infinity
        case "-Infinity", "-inf": -.infinity
        case let word: text.contains { !isOfNumber($0) } ? nil : Double(word).flatMap { $0.isFinite ? $0 : nil }
        }
    }

    private static func isOfNumber(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "e"),
            UInt8(ascii: "E"):
            true
        default: false
        }
    }

    /// Numbers as JSON writes them, so that "007" and "+49" stay text.
    private static func writeGuess(_ field: DelimitedFields.Field, into output: OutputBytes) {
        if !field.isQuoted, let first = field.bytes.first {
            let isNumber = first == UInt8(ascii: "-") || (0x30...0x39).contains(first)
            let isWord = first == UInt8(ascii: "t") || first == UInt8(ascii: "f")
            if isNumber || isWord, (try? JSONParser.parse(field.bytes, into: output)) != nil { return }
        }
        output.writeString(bytes: field.bytes)
    }
}
