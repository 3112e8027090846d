/// Words side by side, read downwards, as `ls` prints names.
package enum ColumnLayout {
    /// So many words are shown; a person types on rather than reading more.
    private static let wordCountMax = 200

    package static func text(_ words: [String], width: Int) -> String {
        let shown = words.prefix(wordCountMax).map { TerminalText.visible($0) }
        let cell = (shown.map { TextWidth.columns(of: $0) }.max() ?? 0) + 2
        let columnCount = max(1, (width + 2) / cell)
        let rowCount = (shown.count + columnCount - 1) / columnCount
        var lines = (0..<rowCount).map { row in
            stride(from: row, to: shown.count, by: rowCount).map { index in
                index + rowCount < shown.count ? TextWidth.fit(shown[index], cell) : shown[index]
            }.joined()
        }
        if words.count > shown.count { lines.append("and \(words.count - shown.count) more") }
        return lines.joined(separator: "\n")
    }
}
