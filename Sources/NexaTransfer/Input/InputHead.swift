import NexaWire

/// What stands in front of the first record.
struct InputHead {
    private(set) var byteCount = 0
    private(set) var shape: RecordCutter.Shape
    private(set) var columns: [String] = []
    private(set) var hasHeaderRow = false

    init(_ input: InputPlan, _ window: InputWindow) throws(TransferError) {
        if input.format != .msgpack, window.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { byteCount = 3 }
        switch input.format {
        case .jsonl: shape = .lines
        case .msgpack: shape = .messagePack
        case .json:
            shape = .values
            try findBracket(window)
        case .csv, .tsv:
            shape = .delimited(by: input.delimiter)
            if input.columns.isEmpty { try readHeaderRow(input, window) } else { columns = input.columns }
            try checkTypes(input.types)
        }
    }

    private mutating func findBracket(_ window: InputWindow) throws(TransferError) {
        var at = byteCount
        while true {
            if at == window.bytes.count {
                if window.isAtEnd || at > BatchSource.recordByteCountMax { return }
                try window.fill()
                continue
            }
            let byte = window.bytes[at]
            if byte == UInt8(ascii: "[") {
                shape = .arrayElements
                byteCount = at + 1
            }
            guard byte == 0x20 || (0x09...0x0A).contains(byte) || byte == 0x0D else { return }
            at += 1
        }
    }

    private mutating func readHeaderRow(_ input: InputPlan, _ window: InputWindow) throws(TransferError) {
        var cutter = RecordCutter(shape, isFirst: true)
        hasHeaderRow = true
        while true {
            switch cutter.next(in: window.bytes, from: byteCount, isWhole: window.isAtEnd) {
            case .needsMore where window.bytes.count <= BatchSource.recordByteCountMax: try window.fill()
            case .record(let range, let next):
                let row = UnsafeRawBufferPointer(rebasing: window.bytes[range])
                byteCount = next
                columns = try Self.names(row, input.delimiter)
                return
            default: throw .unusable("there is no header row with the names of the columns; --fields gives them")
            }
        }
    }

    private func checkTypes(_ types: [String: ColumnType]) throws(TransferError) {
        let strangers = Set(types.keys).subtracting(columns).sorted()
        guard let stranger = strangers.first else { return }
        let known = printable(columns.joined(separator: ", "), characterCountMax: 500)
        throw .unusable("--types: there is no column '\(printable(stranger, characterCountMax: 60))'; there are \(known)")
    }

    private static func holdsLoneReturn(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        return bytes.indices.contains { bytes[$0] == 13 && (bytes.indices.contains($0 + 1) ? bytes[$0 + 1] != 10 : true) }
    }

    private static func names(_ row: UnsafeRawBufferPointer, _ delimiter: UInt8) throws(TransferError) -> [String] {
        var names: [String] = []
        var fields = DelimitedFields(row, delimiter: delimiter, scratch: OutputBytes())
        do throws(RecordProblem) {
            while let field = try fields.next() {
                guard let name = String(validating: field.bytes, as: UTF8.self) else { throw RecordProblem("it is not UTF-8") }
                names.append(name)
            }
        } catch {
            throw .unusable("the header row: \(error.reason)")
        }
        guard !row.contains(UInt8(ascii: "\r")) || names.allSatisfy({ !Self.holdsLoneReturn($0) }) else {
            throw .unusable("the header row holds a carriage return: lines end with a line feed, alone or behind it")
        }
        guard !names.contains("") else { throw .unusable("the header row has a column without a name; --fields gives them") }
        guard Set(names).count == names.count else { throw .unusable("the header row names a column twice") }
        return names
    }
}
