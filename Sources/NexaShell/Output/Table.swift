import NexaWire

/// Rows of values as cells under columns: the columns are the fields in the order in which they first come. What is no document stands
/// in a column of its own.
struct Table {
    private(set) var columns: [String]
    private var known: Set<String>
    /// Cells by row, nil where a document lacks the field.
    private(set) var rows: [[MessagePackValue?]] = []

    private static let valueColumn = "value"

    /// The table of `values`, with all their fields; for a person without `id` where it only repeats `_id`.
    init(_ values: [MessagePackValue], forPerson: Bool = false) {
        columns = []
        known = []
        for value in values {
            for name in Self.fields(of: value).map(\.name) where known.insert(name).inserted { columns.append(name) }
        }
        if forPerson, values.allSatisfy({ $0["id"] == $0["_id"] }) { columns.removeAll { $0 == "id" } }
        rows = values.map { row($0) }
    }

    /// The cells of one more value; fields without a column are left out.
    func row(_ value: MessagePackValue) -> [MessagePackValue?] {
        let fields = Self.fields(of: value)
        return columns.map { column in fields.first { $0.name == column }?.value }
    }

    /// How many fields of `value` have no column.
    func strangerCount(in value: MessagePackValue) -> Int { Self.fields(of: value).count { !known.contains($0.name) } }

    static func fields(of value: MessagePackValue) -> [(name: String, value: MessagePackValue)] {
        guard let entries = value.mapValue else { return [(valueColumn, value)] }
        return entries.map { ($0.key.stringValue ?? JSONText.write($0.key), $0.value) }
    }

    /// Text without its quotes, a time without the map around it, all else as JSON.
    static func text(_ value: MessagePackValue) -> String {
        if case .string(let text) = value { return text }
        let text = JSONText.write(value)
        if case .ext(-1, _) = value, let date = text.split(separator: "\"").dropFirst(3).first { return String(date) }
        return text
    }
}
