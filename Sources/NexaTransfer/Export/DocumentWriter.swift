import CSupport
import NexaWire

/// Writes documents, which are MessagePack, in the form of a file. Nothing is built in between. Confined to one thread.
struct DocumentWriter {
    private let format: TransferFormat
    private let delimiter: UInt8
    private let names: [String]
    /// The same as paths into maps.
    private let columns: [[String]]
    private var count = 0
    private let scratch = OutputBytes()

    init(_ plan: ExportPlan) {
        format = plan.format
        delimiter = plan.delimiter
        names = plan.fields
        columns = plan.fields.map { $0.split(separator: ".", omittingEmptySubsequences: false).map(String.init) }
    }

    /// What stands in front of the first document.
    func begin(_ output: OutputBytes) {
        if format == .json { output.appendU8(UInt8(ascii: "[")) }
        guard format.isDelimited else { return }
        for (index, name) in names.enumerated() {
            if index > 0 { output.appendU8(delimiter) }
            DelimitedText.write(Array(name.utf8), delimiter: delimiter, isQuoted: false, into: output)
        }
        output.appendU8(UInt8(ascii: "\n"))
    }

    mutating func write(_ document: UnsafeRawBufferPointer, into output: OutputBytes) throws(MessagePackError) {
        switch format {
        case .msgpack: output.writeRaw(document)
        case .jsonl:
            try JSONText.write(document, into: output, style: .init(isExact: true))
            output.appendU8(UInt8(ascii: "\n"))
        case .json:
            if count > 0 { output.appendU8(UInt8(ascii: ",")) }
            output.appendU8(UInt8(ascii: "\n"))
            try JSONText.write(document, into: output, style: .init(isExact: true))
        case .csv, .tsv:
            for (index, column) in columns.enumerated() {
                if index > 0 { output.appendU8(delimiter) }
                if let value = Self.find(column, in: document) { try writeField(value, into: output) }
            }
            output.appendU8(UInt8(ascii: "\n"))
        }
        count += 1
    }

    /// What stands behind the last document.
    func end(_ output: OutputBytes) {
        guard format == .json else { return }
        if count > 0 { output.appendU8(UInt8(ascii: "\n")) }
        output.appendU8(UInt8(ascii: "]"))
        output.appendU8(UInt8(ascii: "\n"))
    }

    // MARK: Fields

    private static func find(_ path: [String], in document: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var value = document
        for step in path {
            guard let next = find(step, in: value) else { return nil }
            value = next
        }
        return value
    }

    private static func find(_ name: String, in map: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var name = name
        let found = name.withUTF8 { nexa_mp_map_find(map.baseAddress, map.count, $0.baseAddress, $0.count) }
        return found.ptr.map { UnsafeRawBufferPointer(start: $0, count: found.len) }
    }

    /// Text as it stands, in quotes when it is empty, for nothing at all is null; numbers and times as text; maps and lists as JSON.
    private func writeField(_ value: UnsafeRawBufferPointer, into output: OutputBytes) throws(MessagePackError) {
        var reader = MessagePackReader(value)
        switch reader.nextKind {
        case .null: break
        case .string:
            let text = try reader.readStringBytes()
            DelimitedText.write(text, delimiter: delimiter, isQuoted: text.isEmpty, into: output)
        case .binary: writeText(String(decoding: Base64.encode(try reader.readBinBytes()), as: UTF8.self), into: output)
        case .float:
            let number = try reader.readDouble()
            writeText(
                number.isNaN ? "NaN" : number.isInfinite ? (number > 0 ? "Infinity" : "-Infinity") : number.description,
                into: output)
        case .ext:
            if case (let type, let body) = try reader.readExt(), type == -1, let timestamp = Timestamp(body) {
                writeText(timestamp.text, into: output)
            } else {
                try writeJSON(value, into: output)
            }
        default: try writeJSON(value, into: output)
        }
    }

    private func writeText(_ text: String, into output: OutputBytes) {
        DelimitedText.write(text.utf8, delimiter: delimiter, isQuoted: false, into: output)
    }

    private func writeJSON(_ value: UnsafeRawBufferPointer, into output: OutputBytes) throws(MessagePackError) {
        scratch.removeAll()
        try JSONText.write(value, into: scratch, style: .init(isExact: true))
        DelimitedText.write(scratch.bytes, delimiter: delimiter, isQuoted: false, into: output)
    }
}
