import NexaWire

/// A table with lines around it, no wider than the terminal.
enum BoxTable {
    /// A column is not made narrower than this: rather the last ones are left out.
    static let columnWidthMin = 8

    /// `width` nil: as wide as it needs to be. What it costs grows with the cells that are shown and with the fields of the values.
    static func lines(_ values: [MessagePackValue], width: Int?) -> [String] {
        let table = Table(values, forPerson: true)
        // A column takes three at least, so that no more find a place.
        let count = width.map { min(table.columns.count, max(1, $0 / 3)) } ?? table.columns.count
        let names = table.columns.prefix(count).map { TerminalText.visible($0) }
        let rows = values.map { table.row($0, columnCount: count) }
        let cells = rows.map { row in row.map { $0.map { TerminalText.visible(Table.text($0)) } ?? "" } }
        let natural = names.indices.map { column in
            cells.reduce(TextWidth.columns(of: names[column])) { max($0, TextWidth.columns(of: $1[column])) }
        }
        let widths = widths(natural, available: width)
        let isNumeric = widths.indices.map { column in
            rows.allSatisfy { $0[column].map { $0.doubleValue != nil || $0 == .null } ?? true }
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
        let hidden = table.columns[widths.count...].map { TerminalText.visible($0) }
        if !hidden.isEmpty { result.append("and \(hidden.count) more: \(hidden.joined(separator: ", "))") }
        return result
    }

    /// Widths of the columns that are shown, from the first: those for which there is place when all are as narrow as may be, of which the
    /// widest give way until all fit.
    static func widths(_ natural: [Int], available: Int?) -> [Int] {
        guard let available else { return natural }
        var (count, narrow) = (0, 1)
        while count < natural.count, case let next = narrow + min(natural[count], columnWidthMin) + 3, next <= available {
            (count, narrow) = (count + 1, next)
        }
        var widths = natural.prefix(max(1, count)).map { min($0, available) }
        let least = widths.count > 1 ? columnWidthMin : 1
        var excess = widths.reduce(1) { $0 + $1 + 3 } - available
        while excess > 0, let widest = widths.indices.max(by: { widths[$0] < widths[$1] }), widths[widest] > least {
            widths[widest] -= 1
            excess -= 1
        }
        return widths
    }
}
