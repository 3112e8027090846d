/// TOON text back into values: maps by indentation, tables, lists of scalars.
///
///     key: scalar          key:                 key[2]{a,b}:        key[3]: 1,2,3       key[0]:
///                            inner: scalar        1,x
///                                                 2,y
///
/// Bare `true`, `false`, `null` and numbers are those; a cell in double quotes is a JSON string, and a JSON string that holds a
/// JSON map or list is that map or list (see `ToonWriter`). Depth and lines are bounded by the frame that brought the text.

import NexaWire

/// Where a text stopped being TOON.
package struct ToonError: Error, Equatable, CustomStringConvertible {
    package var line: Int
    package var reason: String
    package var description: String { "line \(line): \(reason)" }
}

package struct ToonReader {
    private static let depthMax = 50

    private struct Line {
        var number: Int
        var indent: Int
        var text: Substring
    }

    private var lines: [Line] = []
    private var next = 0

    private init(_ text: String) {
        for (index, raw) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let indent = raw.prefix { $0 == " " || $0 == "\t" }.count
            let content = Self.trimmed(raw)
            if !content.isEmpty { lines.append(Line(number: index + 1, indent: indent, text: content)) }
        }
    }

    /// The value of the whole text, a map.
    package static func parse(_ text: String) throws(ToonError) -> MessagePackValue {
        var reader = ToonReader(text)
        guard let first = reader.lines.first else { return .map([]) }
        let value = try reader.map(indent: first.indent, depth: 0)
        if reader.next < reader.lines.count {
            throw ToonError(line: reader.lines[reader.next].number, reason: "the indentation fits no line above")
        }
        return value
    }

    private mutating func map(indent: Int, depth: Int) throws(ToonError) -> MessagePackValue {
        var entries: [MessagePackValue.Entry] = []
        while next < lines.count, lines[next].indent == indent {
            let line = lines[next]
            next += 1
            guard depth < Self.depthMax else { throw ToonError(line: line.number, reason: "nested too deep") }
            let (head, rest) = try split(line)
            entries.append(.init(head.name, try value(head, rest, line, depth)))
        }
        return .map(entries)
    }

    /// What stands before the colon: `name`, `name[3]`, `name[3]{a,b}`.
    private struct Head {
        var name: String
        var count: Int?
        var fields: [String]?
    }

    private func split(_ line: Line) throws(ToonError) -> (Head, Substring) {
        var rest = line.text
        let name = rest.prefix { $0 != ":" && $0 != "[" }
        rest = rest.dropFirst(name.count)
        var head = Head(name: String(Self.trimmed(name)))
        if rest.first == "[" {
            let digits = rest.dropFirst().prefix { $0 != "]" }
            guard let count = Int(digits), count >= 0 else {
                throw ToonError(line: line.number, reason: "no length in the brackets")
            }
            head.count = count
            rest = rest.dropFirst(digits.count + 2)
            if rest.first == "{" {
                let inner = rest.dropFirst().prefix { $0 != "}" }
                head.fields = try Self.cells(inner, line: line.number).map { $0.stringValue ?? String(inner) }
                rest = rest.dropFirst(inner.count + 2)
            }
        }
        guard rest.first == ":", !head.name.isEmpty else { throw ToonError(line: line.number, reason: "expected 'name: value'") }
        return (head, Self.trimmed(rest.dropFirst()))
    }

    private mutating func value(_ head: Head, _ rest: Substring, _ line: Line, _ depth: Int) throws(ToonError) -> MessagePackValue
    {
        if let count = head.count {
            if let fields = head.fields { return try table(fields, count, line) }
            let elements = rest.isEmpty ? [] : try Self.cells(rest, line: line.number)
            guard elements.count == count else {
                throw ToonError(line: line.number, reason: "\(count) values were announced and \(elements.count) are there")
            }
            return .array(elements)
        }
        if !rest.isEmpty { return try Self.cell(rest, line: line.number) }
        guard next < lines.count, lines[next].indent > line.indent else { return .string("") }
        return try map(indent: lines[next].indent, depth: depth + 1)
    }

    private mutating func table(_ fields: [String], _ count: Int, _ head: Line) throws(ToonError) -> MessagePackValue {
        var rows: [MessagePackValue] = []
        while next < lines.count, lines[next].indent > head.indent {
            let line = lines[next]
            next += 1
            let cells = try Self.cells(line.text, line: line.number)
            guard cells.count == fields.count else {
                throw ToonError(line: line.number, reason: "\(fields.count) columns were announced and \(cells.count) are there")
            }
            rows.append(.map(zip(fields, cells).map { .init($0, $1) }))
        }
        guard rows.count == count else {
            throw ToonError(line: head.number, reason: "\(count) rows were announced and \(rows.count) are there")
        }
        return .array(rows)
    }

    // MARK: Cells

    private static func cells(_ text: Substring, line: Int) throws(ToonError) -> [MessagePackValue] {
        var cells: [MessagePackValue] = []
        var start = text.startIndex
        var index = text.startIndex
        var isQuoted = false
        while index < text.endIndex {
            let character = text[index]
            if isQuoted, character == "\\" {
                index = text.index(index, offsetBy: 2, limitedBy: text.endIndex) ?? text.endIndex
                continue
            }
            if character == "\"", isQuoted || trimmed(text[start..<index]).isEmpty { isQuoted.toggle() }
            if character == ",", !isQuoted {
                cells.append(try cell(text[start..<index], line: line))
                start = text.index(after: index)
            }
            index = text.index(after: index)
        }
        guard !isQuoted else { throw ToonError(line: line, reason: "a quote is not closed") }
        cells.append(try cell(text[start...], line: line))
        return cells
    }

    private static func cell(_ raw: Substring, line: Int) throws(ToonError) -> MessagePackValue {
        let text = trimmed(raw)
        guard text.first == "\"" else { return scalar(text) }
        guard case .string(let content)? = json(String(text)) else { throw ToonError(line: line, reason: "not a JSON string") }
        if content.first == "{" || content.first == "[", let nested = json(content) { return nested }
        return .string(content)
    }

    private static func json(_ text: String) -> MessagePackValue? {
        guard let bytes = try? JSONParser.parse(text) else { return nil }
        return try? MessagePackValue(decoding: bytes)
    }

    /// Bare text: a literal, a number, or a string.
    static func scalar(_ text: Substring) -> MessagePackValue {
        switch text {
        case "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: break
        }
        guard let first = text.utf8.first, first == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
        else {
            return .string(String(text))
        }
        if let number = Int64(text) { return .int(number) }
        if let number = UInt64(text) { return .uint(number) }
        if text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }), let number = Double(text) { return .double(number) }
        return .string(String(text))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}
