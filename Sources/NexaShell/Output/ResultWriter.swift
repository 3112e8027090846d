import NexaWire

/// Turns the values of one result into lines, in one of the modes.
///
/// Invariant: at most `rowCountMax` values are held, however large the result. A box is drawn for that many rows at a time, each with the
/// columns that its rows need; CSV and Markdown have the columns of the first rows, and `notes` says what found no place in them.
package struct ResultWriter {
    private let mode: OutputMode
    private let width: Int?
    private let isForTerminal: Bool
    private let emit: (String) -> Void
    private var held: [MessagePackValue] = []
    /// The columns of a CSV or Markdown table whose head was written.
    private var columns: Table?
    private var strangerCount = 0
    package private(set) var count = 0

    package static let rowCountMax = 100
    private static let jsonWidthMax = 100

    /// `width` is that of the terminal; nil: nothing is cut. `emit` takes a line without its end.
    package init(mode: OutputMode, width: Int?, isForTerminal: Bool, emit: @escaping (String) -> Void) {
        self.mode = mode
        self.width = width
        self.isForTerminal = isForTerminal
        self.emit = emit
    }

    package mutating func add(_ value: MessagePackValue) {
        count += 1
        switch mode {
        case .json:
            let text = JSONLayout.pretty(value, width: min(width ?? Self.jsonWidthMax, Self.jsonWidthMax))
            emit(TerminalText.visible(text, keepsLineEnds: true))
        case .jsonl: emit(TerminalText.visible(JSONText.write(value)))
        case .line: addLines(value)
        case .box, .csv, .markdown:
            held.append(value)
            if held.count >= Self.rowCountMax || columns != nil { flush() }
        }
    }

    /// Writes what is held.
    package mutating func finish() { flush() }

    /// What a person should know about the result beside it.
    package var notes: [String] {
        strangerCount == 0 ? [] : ["\(strangerCount) fields of later documents have no column; mode jsonl shows everything"]
    }

    private mutating func flush() {
        guard !held.isEmpty else { return }
        switch mode {
        case .csv: writeRows(.csv(isVisible: isForTerminal))
        case .markdown: writeRows(.markdown)
        default: for line in BoxTable.lines(held, width: width) { emit(line) }
        }
        held.removeAll(keepingCapacity: true)
    }

    private mutating func writeRows(_ form: PlainTable) {
        let table: Table
        if let columns {
            table = columns
        } else {
            table = Table(held)
            columns = table
            for line in form.head(table.columns) { emit(line) }
        }
        for value in held {
            emit(form.row(table.row(value)))
            strangerCount += table.strangerCount(in: value)
        }
    }

    private func addLines(_ value: MessagePackValue) {
        if count > 1 { emit("") }
        let fields = Table.fields(of: value).map { (TerminalText.visible($0.name), TerminalText.visible(Table.text($0.value))) }
        let nameWidth = fields.reduce(0) { max($0, TextWidth.columns(of: $1.0)) }
        for (name, text) in fields { emit(TextWidth.fit(name, nameWidth) + "  " + text) }
    }
}
