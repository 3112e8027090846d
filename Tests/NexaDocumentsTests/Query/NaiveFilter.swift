import NexaWire

/// A second opinion on filters: evaluates them over decoded values, in the plainest way, for the operators of this release.
///
/// Paths yield every value they reach, through maps by name and through arrays by index and by element; a condition holds if
/// it holds for one of these values or for one element of an array among them.
enum NaiveFilter {
    static func matches(_ filter: MessagePackValue, _ document: MessagePackValue) -> Bool {
        (filter.mapValue ?? []).allSatisfy { entry in
            let name = entry.key.stringValue ?? ""
            let parts = entry.value.arrayValue ?? []
            switch name {
            case "$and": return parts.allSatisfy { matches($0, document) }
            case "$or": return parts.contains { matches($0, document) }
            case "$nor": return !parts.contains { matches($0, document) }
            default: return holds(entry.value, name, document)
            }
        }
    }

    private static func holds(_ condition: MessagePackValue, _ path: String, _ document: MessagePackValue) -> Bool {
        guard let operators = condition.mapValue, operators.first?.key.stringValue?.hasPrefix("$") == true else {
            return equals(condition, path, document)
        }
        return operators.allSatisfy { entry in
            let operand = entry.value
            switch entry.key.stringValue {
            case "$eq": return equals(operand, path, document)
            case "$ne": return !equals(operand, path, document)
            case "$gt": return candidates(path, document).contains { ordered($0, operand) { $0 > 0 } }
            case "$gte": return candidates(path, document).contains { ordered($0, operand) { $0 >= 0 } }
            case "$lt": return candidates(path, document).contains { ordered($0, operand) { $0 < 0 } }
            case "$lte": return candidates(path, document).contains { ordered($0, operand) { $0 <= 0 } }
            case "$in": return (operand.arrayValue ?? []).contains { equals($0, path, document) }
            case "$nin": return !(operand.arrayValue ?? []).contains { equals($0, path, document) }
            case "$exists": return (operand.boolValue ?? true) == !reached(path, document).isEmpty
            case "$not": return !holds(operand, path, document)
            default: return false
            }
        }
    }

    private static func equals(_ operand: MessagePackValue, _ path: String, _ document: MessagePackValue) -> Bool {
        let values = candidates(path, document)
        if operand == .null && reached(path, document).isEmpty { return true }
        return values.contains { compare($0, operand) == 0 }
    }

    /// Only values of the operand's class are ordered against it.
    private static func ordered(_ value: MessagePackValue, _ operand: MessagePackValue, _ test: (Int32) -> Bool) -> Bool {
        switch (value, operand) {
        case (.string, .string), (.bool, .bool): break
        default: guard value.doubleValue != nil, operand.doubleValue != nil else { return false }
        }
        return test(compare(value, operand))
    }

    private static func compare(_ left: MessagePackValue, _ right: MessagePackValue) -> Int32 {
        withBytes(left) { left in withBytes(right) { compareValues(left, $0) } }
    }

    private static func candidates(_ path: String, _ document: MessagePackValue) -> [MessagePackValue] {
        reached(path, document).flatMap { value in [value] + (value.arrayValue ?? []) }
    }

    private static func reached(_ path: String, _ document: MessagePackValue) -> [MessagePackValue] {
        walk(path.split(separator: ".").map(String.init)[...], document)
    }

    private static func walk(_ path: ArraySlice<String>, _ value: MessagePackValue) -> [MessagePackValue] {
        guard let name = path.first else { return [value] }
        if value.mapValue != nil { return value[name].map { walk(path.dropFirst(), $0) } ?? [] }
        guard let elements = value.arrayValue else { return [] }
        let byIndex = Int(name).flatMap { value[$0] }.map { walk(path.dropFirst(), $0) } ?? []
        return byIndex + elements.filter { $0.mapValue != nil }.flatMap { walk(path, $0) }
    }
}
