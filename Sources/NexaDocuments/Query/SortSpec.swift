import NexaWire

/// The `sort` of a request, compiled: at most eight paths with a direction each.
///
///     "age"   "-age"   {"age": -1, "name": 1}   [["age", -1], ["name", "asc"]]
///
/// Order of values: `nexa_mp_compare`. A missing field sorts as null, an array by its smallest (descending: largest) element.
struct SortSpec: Sendable {
    static let keyCountMax = 8

    struct Key: Sendable {
        let path: FieldPath
        let isDescending: Bool
    }

    private(set) var keys: [Key] = []

    /// Nil if `bytes` ask for no order.
    init?(_ bytes: UnsafeRawBufferPointer) throws(DocumentError) {
        var reader = MessagePackReader(bytes)
        switch reader.nextKind {
        case nil, .null: return nil
        case .string: try append(signed: Self.text(&reader))
        case .map: try readMap(&reader)
        case .array: try readList(&reader)
        default: throw Self.malformed()
        }
        if keys.isEmpty { return nil }
    }

    /// The order that a scan has anyway: keys are unique, so nothing after an ascending `_id` matters.
    var isKeyOrder: Bool { !keys[0].isDescending && keys[0].path.text == Array("_id".utf8) }

    private mutating func readMap(_ reader: inout MessagePackReader) throws(DocumentError) {
        guard let count = try? reader.readMapHeader() else { throw Self.malformed() }
        for _ in 0..<count {
            let name = try Self.text(&reader)
            try append(name, isDescending: Self.direction(&reader))
        }
    }

    private mutating func readList(_ reader: inout MessagePackReader) throws(DocumentError) {
        guard let count = try? reader.readArrayHeader() else { throw Self.malformed() }
        for _ in 0..<count {
            if reader.nextKind == .string {
                try append(signed: Self.text(&reader))
            } else {
                guard let parts = try? reader.readArrayHeader(), parts == 2 else { throw Self.malformed() }
                let name = try Self.text(&reader)
                try append(name, isDescending: Self.direction(&reader))
            }
        }
    }

    private mutating func append(signed text: UnsafeRawBufferPointer) throws(DocumentError) {
        let isDescending = text.first == UInt8(ascii: "-")
        try append(isDescending ? UnsafeRawBufferPointer(rebasing: text[1...]) : text, isDescending: isDescending)
    }

    private mutating func append(_ path: UnsafeRawBufferPointer, isDescending: Bool) throws(DocumentError) {
        guard keys.count < Self.keyCountMax else {
            throw DocumentError(.badRequest, "'sort' has at most \(Self.keyCountMax) fields", details: [.init("field", "sort")])
        }
        keys.append(Key(path: try FieldPath(request: path, field: "sort"), isDescending: isDescending))
    }

    private static func text(_ reader: inout MessagePackReader) throws(DocumentError) -> UnsafeRawBufferPointer {
        guard let text = try? reader.readStringBytes() else { throw malformed() }
        return text
    }

    /// 1, "asc": ascending; -1, "desc": descending.
    private static func direction(_ reader: inout MessagePackReader) throws(DocumentError) -> Bool {
        if reader.nextKind == .string {
            switch try text(&reader).text {
            case "asc": return false
            case "desc": return true
            default: throw malformed()
            }
        }
        switch try? reader.readInt64() {
        case 1: return false
        case -1: return true
        default: throw malformed()
        }
    }

    private static func malformed() -> DocumentError {
        DocumentError(
            .badRequest,
            "'sort' is a map of fields to 1 or -1, a list of [field, 1 or -1], or a field such as \"age\" or \"-age\"",
            details: [.init("field", "sort")])
    }
}
