import NexaWire

/// What stands between the parentheses of a call.
extension ShellParser {
    /// The values between parentheses, and where they stand.
    struct Arguments {
        var values: [MessagePackValue] = []
        var offset: Int
        func value(_ index: Int) -> MessagePackValue? { values.indices.contains(index) ? values[index] : .none }
    }

    mutating func arguments() throws(TextProblem) -> Arguments {
        var arguments = Arguments(offset: scanner.position)
        try scanner.expect("(", "with the arguments")
        while !scanner.take(")") {
            arguments.values.append(try scanner.value())
            if scanner.take(")") { break }
            try scanner.expect(",", "or ')' in the arguments")
        }
        return arguments
    }

    func value(_ arguments: Arguments, _ index: Int, _ what: String) throws(TextProblem) -> MessagePackValue {
        guard let value = arguments.value(index) else {
            throw scanner.problem("argument \(index + 1) is \(what)", at: arguments.offset)
        }
        return value
    }

    func text(_ arguments: Arguments, _ index: Int, _ what: String) throws(TextProblem) -> String {
        guard let text = arguments.value(index)?.stringValue else {
            throw scanner.problem("argument \(index + 1) is \(what), in quotes", at: arguments.offset)
        }
        return text
    }

    /// The key of one document: a text, or `{_id: "text"}` as MongoDB's shell wants it.
    func key(_ arguments: Arguments) throws(TextProblem) -> String {
        if let entries = arguments.value(0)?.mapValue, entries.count == 1, let key = arguments.value(0)?["_id"]?.stringValue {
            return key
        }
        return try text(arguments, 0, "the _id of one document")
    }

    func number(_ arguments: Arguments) throws(TextProblem) -> Int64 {
        guard let number = arguments.value(0)?.intValue, number >= 0 else {
            throw scanner.problem("expected a number that is not negative", at: arguments.offset)
        }
        return number
    }
}
