import NexaWire

/// Tables without lines around them, for other programs: a head, then a line a row.
enum PlainTable {
    case csv(isVisible: Bool)
    case markdown

    func head(_ columns: [String]) -> [String] {
        switch self {
        case .csv: [line(columns)]
        case .markdown: [line(columns), line(columns.map { _ in "---" })]
        }
    }

    func row(_ cells: [MessagePackValue?]) -> String {
        line(cells.map { cell in cell.map { $0 == .null ? "" : Table.text($0) } ?? "" })
    }

    private func line(_ texts: [String]) -> String {
        switch self {
        case .csv(let isVisible):
            // On a terminal a quoted line's end is shown as \n; a file gets it as it is.
            texts.map { Self.quoted(isVisible ? TerminalText.visible($0) : $0) }.joined(separator: ",")
        case .markdown:
            "| "
                + texts.map { Self.marked(TerminalText.visible($0), "|", by: "\\") }.joined(separator: " | ") + " |"
        }
    }

    /// RFC 4180: quotes where they are needed, doubled inside.
    private static func quoted(_ text: String) -> String {
        let needsQuotes = text.utf8.contains { [0x22, 0x2C, 0x0A, 0x0D].contains($0) } || text.first == " " || text.last == " "
        guard needsQuotes else { return text }
        return "\"" + marked(text, "\"", by: "\"") + "\""
    }

    /// `text` with `mark` in front of each `scalar`. Not by characters: with an accent behind it a quote is another character, and the same byte.
    private static func marked(_ text: String, _ scalar: Unicode.Scalar, by mark: Unicode.Scalar) -> String {
        var result = String.UnicodeScalarView()
        for next in text.unicodeScalars {
            if next == scalar { result.append(mark) }
            result.append(next)
        }
        return String(result)
    }
}
