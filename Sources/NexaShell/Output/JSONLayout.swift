import NexaWire

/// JSON for people's eyes: what fits stays on one line, larger maps and arrays take one line an entry, and long lists of numbers or words
/// (vectors) fill their lines. The text of the values is `JSONText`'s.
package enum JSONLayout {
    private static let indent = 2

    /// `value` within about `width` columns.
    package static func pretty(_ value: MessagePackValue, width: Int = 100) -> String { lines(value, indent: 0, width: width) }

    private static func lines(_ value: MessagePackValue, indent: Int, width: Int) -> String {
        let line = JSONText.write(value)
        if indent + TextWidth.columns(of: line) <= width { return line }
        let inner = indent + Self.indent
        let margin = "\n" + String(repeating: " ", count: inner)
        switch value {
        case .array(let elements):
            let parts =
                elements.allSatisfy(isScalar)
                ? filled(elements, width: width - inner).map { margin + $0 }
                : elements.map { margin + lines($0, indent: inner, width: width) }
            return "[" + parts.joined(separator: ",") + "\n" + String(repeating: " ", count: indent) + "]"
        case .map(let entries):
            let parts = entries.map { entry in
                let key = entry.key.stringValue ?? JSONText.write(entry.key)
                return margin + JSONText.write(.string(key)) + ": " + lines(entry.value, indent: inner, width: width)
            }
            return "{" + parts.joined(separator: ",") + "\n" + String(repeating: " ", count: indent) + "}"
        default: return line
        }
    }

    private static func isScalar(_ value: MessagePackValue) -> Bool {
        switch value {
        case .array, .map: false
        default: true
        }
    }

    /// Values side by side, as many as fit on a line.
    private static func filled(_ values: [MessagePackValue], width: Int) -> [String] {
        var lines: [String] = []
        for text in values.map({ JSONText.write($0) }) {
            if let last = lines.last, TextWidth.columns(of: last) + TextWidth.columns(of: text) + 3 <= width {
                lines[lines.count - 1] = last + ", " + text
            } else {
                lines.append(text)
            }
        }
        return lines
    }
}
