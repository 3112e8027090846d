import NexaWire

/// A table with lines around it, no wider than the terminal.
enum BoxTable {
    /// A column is not made narrower than this: rather the last ones are left out.
    static let columnWidthMin = 8

    /// `width` nil: as wide as it needs to be.
    static func lines(_ table: Table, width: Int?) -> [String] {
        let names = table.columns.map { TerminalText.visible($0) }
        let cells = table.rows.map { row in row.map { $0.map { TerminalText.visible(Table.text($0)) } ?? "" } }
        let natural = names.indices.map { column in
            cells.reduce(TextWidth.columns(of: names[column])) { max($0, TextWidth.columns(of: $1[column])) }
        }
        let widths = widths(natural, available: width)
        let isNumeric = widths.indices.map { column in
            table.rows.allSatisfy { $0[column].map { $0.doubleValue != nil || $0 == .null } ?? true }
        }
        func line(_ texts: [String], isHead: Bool) -> String {
            let parts = widths.indices.map { TextWidth.fit(texts[$0], widths[$0], isRight: isNumeric[$0] && !isHead) }
            return "│ " + parts.joined(separator: " │ ") + " │"
        }
        func rule(_ left: String, _ middle: String, _ right: String) -> String {
            left + widths.map { String(repeating: "─", count: $0 + 2) }.joined(separator: middle) + right
        }
        var result = [rule("┌", "┬", "┐"), line(names, isHead: true), rule("├", "┼", "┤")]
        result += cells.map { line($0, isHead: false) }
        result.append(rule("└", "┴", "┘"))
        let hidden = names[widths.count...]
        if !hidden.isEmpty { result.append("and \(hidden.count) more: \(hidden.joined(separator: ", "))") }
        return result
    }

    /// Widths of the columns that are shown, from the first: the widest give way until all fit, then the last are left out.
    static func widths(_ natural: [Int], available: Int?) -> [Int] {
        guard let available else { return natural }
        var widths = natural.map { min($0, available) }
        while widths.count > 1 || (widths.first ?? 0) > 1, widths.reduce(1, { $0 + $1 + 3 }) > available {
            let widest = widths.indices.max { widths[$0] < widths[$1] }!
            if widths[widest] > (widths.count > 1 ? columnWidthMin : 1) {
                widths[widest] -= 1
            } else {
                widths.removeLast()
            }
        }
        return widths
    }
}
