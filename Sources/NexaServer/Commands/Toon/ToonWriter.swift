/// Documents as TOON text: one table whose columns are the union of the documents' fields.
///
///     collection: b
///     documents[2]{_id,n,tags}:
///       3343c77f0de8d3b0,1,"[\"x\"]"
///       5b56ed598e32999f,2,null
///     count: 2
///
/// A cell is bare text, or a JSON string when bare text would be read back as something else (a comma, a quote, a line break,
/// blanks at the ends, the look of a number, of true, false or null). A map or list in a cell is the JSON string of its JSON text,
/// and `ToonReader` makes it a map or list again.

import NexaWire

package enum ToonWriter {
    /// - Parameters:
    ///   - documents: maps; anything else is left out.
    ///   - columns: those of the documents, if they are known already.
    ///   - exportedAt: written as a last line by EXPORT_TOON.
    /// Costs a step for each cell of the table and each field of a document.
    package static func write(
        collection: String, documents: [MessagePackValue], columns: [String]? = nil, exportedAt: Double? = nil
    ) -> String {
        var text = "collection: \(cell(.string(collection)))\n"
        let columns = columns ?? self.columns(of: documents)
        if documents.isEmpty {
            text += "documents[0]:\n"
        } else {
            text += "documents[\(documents.count)]{\(columns.map(name).joined(separator: ","))}:\n"
            let places = Dictionary(uniqueKeysWithValues: zip(columns, columns.indices))
            for document in documents {
                var row = [String](repeating: cell(.null), count: columns.count)
                for entry in document.mapValue ?? [] {
                    if let place = entry.key.stringValue.flatMap({ places[$0] }) { row[place] = cell(entry.value) }
                }
                text += "  " + row.joined(separator: ",") + "\n"
            }
        }
        text += "count: \(documents.count)"
        if let exportedAt { text += "\nexported_at: \(exportedAt)" }
        return text
    }

    /// Names of all fields in the order in which they are first seen.
    package static func columns(of documents: [MessagePackValue]) -> [String] {
        var seen: Set<String> = []
        var names: [String] = []
        for document in documents {
            for entry in document.mapValue ?? [] {
                guard let name = entry.key.stringValue, seen.insert(name).inserted else { continue }
                names.append(name)
            }
        }
        return names
    }

    private static func name(_ name: String) -> String {
        name.isEmpty || name.contains(where: { ",\"{}\n\r".contains($0) }) ? quoted(name) : name
    }

    static func cell(_ value: MessagePackValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): "\(number)"
        case .uint(let number): "\(number)"
        case .float32(let number): PythonJSON.number(Double(number))
        case .double(let number): PythonJSON.number(number)
        case .string(let text): isPlain(text) ? text : quoted(text)
        case .binary, .array, .map, .ext: quoted(JSONText.write(value))
        }
    }

    /// Whether bare text is read back as the same string.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last else { return false }
        if first.properties.isWhitespace || last.properties.isWhitespace || first == "{" || first == "[" { return false }
        if text.unicodeScalars.contains(where: { $0 == "," || $0 == "\"" || $0.value < 0x20 }) { return false }
        return ToonReader.scalar(Substring(text)) == .string(text)
    }

    private static func quoted(_ text: String) -> String { JSONText.write(.string(text)) }
}

/// Lengths as Python's `json.dumps` would give them: what upstream compares TOON with.
package enum PythonJSON {
    /// Characters of `json.dumps(value)`: `", "` and `": "` as separators, everything beyond ASCII as `\uXXXX`.
    package static func characterCount(_ value: MessagePackValue) -> Int {
        switch value {
        case .null: 4
        case .bool(let flag): flag ? 4 : 5
        case .int(let number): "\(number)".utf8.count
        case .uint(let number): "\(number)".utf8.count
        case .float32(let number): self.number(Double(number)).utf8.count
        case .double(let number): self.number(number).utf8.count
        case .string(let text): string(text)
        case .binary, .ext: JSONText.write(value).utf8.count
        case .array(let elements): 2 + elements.reduce(0) { $0 + characterCount($1) } + 2 * max(0, elements.count - 1)
        case .map(let entries):
            2 + entries.reduce(0) { $0 + characterCount($1.key) + 2 + characterCount($1.value) } + 2 * max(0, entries.count - 1)
        }
    }

    /// A float as Python writes it.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        return "\(value)"
    }

    private static func string(_ text: String) -> Int {
        2
            + text.unicodeScalars.reduce(0) { count, scalar in
                switch scalar {
                case "\"", "\\", "\n", "\r", "\t", "\u{08}", "\u{0C}": count + 2
                default:
                    count
                        + (scalar.value < 0x20 || scalar.value == 0x7F ? 6 : scalar.isASCII ? 1 : scalar.value > 0xFFFF ? 12 : 6)
                }
            }
    }
}
