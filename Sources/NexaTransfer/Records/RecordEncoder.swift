import CSupport
import NexaWire

/// Turns the bytes of a record into a document in MessagePack, on the way to the frame it is sent in: no tree in between.
///
/// Invariant: the same record gives the same bytes each time, its id included, so that a batch can be sent again. Confined to one thread.
struct RecordEncoder {
    private let format: TransferFormat
    private let delimiter: UInt8
    private let columns: [Column]
    private let skipsEmpty: Bool
    private let idField: String?
    private let importID: ImportID
    private let depthMax: Int
    private let field = OutputBytes()

    private struct Column {
        let name: String
        let type: ColumnType
    }

    /// `depthMax`: of lists and maps in a document.
    init(_ input: InputPlan, columns: [String], idField: String?, importID: ImportID, depthMax: Int) {
        format = input.format
        delimiter = input.delimiter
        self.columns = columns.map { name in Column(name: name, type: input.types[name] ?? input.defaultType) }
        skipsEmpty = input.skipsEmpty
        self.idField = idField
        self.importID = importID
        self.depthMax = depthMax
    }

    /// Whether a record is nothing at all, and no reject either. A row of one column is a blank line where the field is empty.
    @inline(__always)
    func isBlank(_ record: UnsafeRawBufferPointer) -> Bool {
        switch format {
        case .jsonl: record.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
        case .csv, .tsv: record.isEmpty && columns.count > 1
        case .json, .msgpack: false
        }
    }

    /// Appends the document of record `number`, with an `_id`; on failure `output` is as before.
    func encode(_ record: UnsafeRawBufferPointer, number: UInt64, into output: OutputBytes) throws(RecordProblem) {
        let start = output.byteCount
        do throws(RecordProblem) {
            switch format {
            case .jsonl, .json:
                do throws(JSONError) {
                    try JSONParser.parse(record, into: output, depthMax: depthMax)
                } catch {
                    throw RecordProblem(format == .jsonl ? "\(error.message) (column \(error.column))" : error.description)
                }
            case .csv, .tsv: try encodeFields(record, into: output)
            case .msgpack:
                output.writeRaw(record)
                try check(record)
            }
            try ensureID(number, at: start, output)
        } catch {
            output.truncate(to: start)
            throw error
        }
    }

    /// The key of the document at the end of `output`, which `encode` put there.
    static func key(of document: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard let value = find("_id", in: document) else { return nil }
        var reader = MessagePackReader(value)
        return try? reader.readStringBytes()
    }

    // MARK: Delimited records

    private func encodeFields(_ record: UnsafeRawBufferPointer, into output: OutputBytes) throws(RecordProblem) {
        let start = output.byteCount
        var fields = DelimitedFields(record, delimiter: delimiter, scratch: field)
        output.writeMapHeader(columns.count)
        var count = 0
        var written = 0
        while let field = try fields.next() {
            guard count < columns.count else { throw RecordProblem("there are more fields than the \(columns.count) columns") }
            let column = columns[count]
            count += 1
            if skipsEmpty && field.bytes.isEmpty { continue }
            output.writeString(column.name)
            try column.type.write(field, column: column.name, into: output)
            written += 1
        }
        guard count == columns.count else { throw RecordProblem("there are \(count) fields in place of \(columns.count)") }
        if written != columns.count { MapHeader.replace(at: start, newCount: written, in: output) }
        try check(UnsafeRawBufferPointer(rebasing: output.bytes[start...]))
    }

    private func check(_ document: UnsafeRawBufferPointer) throws(RecordProblem) {
        let status = validate(document, depthMax: depthMax)
        if status.fault == .tooDeep { throw RecordProblem("nesting is deeper than \(depthMax)") }
        if let fault = status.error { throw RecordProblem(fault.message) }
    }

    // MARK: Ids

    private func ensureID(_ number: UInt64, at start: Int, _ output: OutputBytes) throws(RecordProblem) {
        let document = UnsafeRawBufferPointer(rebasing: output.bytes[start...])
        var reader = MessagePackReader(document)
        guard let count = try? reader.readMapHeader() else { throw RecordProblem("a document is a map of fields") }
        let given = Self.find("_id", in: document)
        if let idField, idField != "_id" {
            guard given == nil else { throw RecordProblem("it has an _id beside '\(idField)'") }
            guard let value = Self.find(idField, in: document) else {
                throw RecordProblem("there is no '\(idField)' to be its id")
            }
            let id = try Self.text(value, idField)
            MapHeader.replace(at: start, newCount: count + 1, in: output)
            output.writeString("_id")
            output.writeString(id)
        } else if let given {
            guard given[0] != 0xC0 else { throw RecordProblem("its _id is null") }
        } else {
            MapHeader.replace(at: start, newCount: count + 1, in: output)
            output.writeString("_id")
            importID.writeDocumentID(number, into: output)
        }
    }

    /// An id is text; a whole number that the user named as the id becomes its decimal digits.
    private static func text(_ value: UnsafeRawBufferPointer, _ name: String) throws(RecordProblem) -> String {
        switch try? MessagePackValue(decoding: value) {
        case .string(let text)? where !text.isEmpty: return text
        case .int(let number)?: return String(number)
        case .uint(let number)?: return String(number)
        default: throw RecordProblem("'\(name)' is neither text nor a whole number, so it cannot be an id")
        }
    }

    private static func find(_ name: String, in document: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var name = name
        let found = name.withUTF8 { nexa_mp_map_find(document.baseAddress, document.count, $0.baseAddress, $0.count) }
        return found.ptr == nil ? nil : UnsafeRawBufferPointer(start: found.ptr, count: found.len)
    }
}
