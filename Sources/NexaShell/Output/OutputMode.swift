/// How results are shown.
package enum OutputMode: String, CaseIterable, Sendable {
    /// Tables with lines, cut to the width of the terminal.
    case box
    /// JSON that is laid out for people.
    case json
    /// JSON, one value a line.
    case jsonl
    /// RFC 4180, with a line of names.
    case csv
    /// A line a field.
    case line
    /// Tables of Markdown.
    case markdown

    /// By name; `pretty` is an older name of `json`.
    package init?(_ name: String) { self.init(rawValue: name == "pretty" ? "json" : name) }
}
