import NexaWire

/// JSON for people's eyes: what fits stays on one line, larger maps and arrays take one line an entry. The text of the values is
/// `JSONText`'s.
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
            let parts = elements.map { margin + lines($0, indent: inner, width: width) }
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
}
