import NexaWire

/// Walks the fields of one record of a delimited file: RFC 4180, with a quote in the middle of an unquoted field taken as it stands.
package struct DelimitedFields {
    package struct Field {
        /// Without quotes. Valid until the next call.
        package let bytes: UnsafeRawBufferPointer
        let isQuoted: Bool
    }

    private static let quote = UInt8(ascii: "\"")

    private let row: UnsafeRawBufferPointer
    private let delimiter: UInt8
    private var position = 0
    private var isAtEnd = false
    /// The last field that had doubled quotes, with single ones.
    private let unquoted: OutputBytes

    /// `scratch` holds a field at a time.
    package init(_ row: UnsafeRawBufferPointer, delimiter: UInt8, scratch: OutputBytes) {
        self.row = row
        self.delimiter = delimiter
        unquoted = scratch
    }

    /// nil behind the last field. A row always has one, if only an empty one.
    package mutating func next() throws(RecordProblem) -> Field? {
        if isAtEnd { return nil }
        if position < row.count && row[position] == Self.quote { return try quoted() }
        let start = position
        while position < row.count && row[position] != delimiter { position += 1 }
        return finish(UnsafeRawBufferPointer(rebasing: row[start..<position]), isQuoted: false)
    }

    private mutating func quoted() throws(RecordProblem) -> Field {
        position += 1
        let start = position
        var doubledCount = 0
        while true {
            while position < row.count && row[position] != Self.quote { position += 1 }
            guard position < row.count else { throw RecordProblem("a quote is not closed") }
            guard position + 1 < row.count && row[position + 1] == Self.quote else { break }
            doubledCount += 1
            position += 2
        }
        let text = UnsafeRawBufferPointer(rebasing: row[start..<position])
        position += 1
        guard position == row.count || row[position] == delimiter else {
            throw RecordProblem("a closing quote is followed by more text")
        }
        if doubledCount == 0 { return finish(text, isQuoted: true) }
        unquoted.removeAll()
        var isSecond = false
        for byte in text {
            isSecond = byte == Self.quote && !isSecond
            if byte != Self.quote || isSecond { unquoted.appendU8(byte) }
        }
        return finish(unquoted.bytes, isQuoted: true)
    }

    private mutating func finish(_ bytes: UnsafeRawBufferPointer, isQuoted: Bool) -> Field {
        if position == row.count { isAtEnd = true } else { position += 1 }
        return Field(bytes: bytes, isQuoted: isQuoted)
    }
}
