import NexaWire

/// Rows of values as cells under columns: the columns are the fields in the order in which they first come. What is no document stands
/// in a column of its own.
struct Table {
    let columns: [String]
    /// Where the column of a field stands.
    private let places: [String: Int]

    private static let valueColumn = "value"

    /// The columns of `values`, with all their fields; for a person without `id` where it only repeats `_id`.
    init(_ values: [MessagePackValue], forPerson: Bool = false) {
        var (columns, known): ([String], Set<String>) = ([], [])
        for value in values {
            for name in Self.fields(of: value).map(\.name) where known.insert(name).inserted { columns.append(name) }
        }
        if forPerson, values.allSatisfy({ $0["id"] == $0["_id"] }) { columns.removeAll { $0 == "id" } }
        self.columns = columns
        places = Dictionary(uniqueKeysWithValues: zip(columns, columns.indices))
    }

    /// The cells of a value under the first columns, nil where it lacks the field; fields without a column are left out.
    func row(_ value: MessagePackValue, columnCount: Int? = nil) -> [MessagePackValue?] {
        var cells = [MessagePackValue?](repeating: nil, count: columnCount ?? columns.count)
        for field in Self.fields(of: value) {
            guard let place = places[field.name], place < cells.count, case .none = cells[place] else { continue }
            cells[place] = field.value
        }
        return cells
    }

    /// How many fields of `value` have no column.
    func strangerCount(in value: MessagePackValue) -> Int { Self.fields(of: value).count { places[$0.name] == nil } }

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
