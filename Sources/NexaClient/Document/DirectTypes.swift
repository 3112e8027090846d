import NexaWire

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

// Types that have a MessagePack form of their own, which their generated coding does not know: documents and values as they are, dates
// as timestamps, data and vectors as binary.

extension Document: Codable, DirectlyEncodable, DirectlyDecodable {
    func encodeDirectly(into output: OutputBytes) { write(into: output) }

    static func decodeDirectly(from reader: inout MessagePackReader) throws(MessagePackError) -> Document? {
        guard reader.nextKind == .map else { throw MessagePackError(.wrongType, at: reader.position) }
        return Document(copying: try reader.readRawValue())
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: FieldName.self)
        var entries: [(String, DocumentValue)] = []
        for key in container.allKeys { entries.append((key.stringValue, try container.decode(DocumentValue.self, forKey: key))) }
        self.init(entries)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: FieldName.self)
        for (name, value) in entries { try container.encode(value, forKey: FieldName(stringValue: name)) }
    }
}

private struct FieldName: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension DocumentValue: Codable, DirectlyEncodable, DirectlyDecodable {
    func encodeDirectly(into output: OutputBytes) { encode(into: output) }

    static func decodeDirectly(from reader: inout MessagePackReader) throws(MessagePackError) -> DocumentValue? {
        try decode(from: &reader)
    }

    /// For other formats than MessagePack, as far as they have a word for it.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .bool(flag)
        } else if let number = try? container.decode(Int64.self) {
            self = .int(number)
        } else if let number = try? container.decode(UInt64.self) {
            self = .uint(number)
        } else if let number = try? container.decode(Double.self) {
            self = .double(number)
        } else if let text = try? container.decode(String.self) {
            self = .string(text)
        } else if let elements = try? container.decode([DocumentValue].self) {
            self = .array(elements)
        } else {
            self = .document(try container.decode(Document.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let flag): try container.encode(flag)
        case .int(let number): try container.encode(number)
        case .uint(let number): try container.encode(number)
        case .float(let number): try container.encode(number)
        case .double(let number): try container.encode(number)
        case .string(let text): try container.encode(text)
        case .binary(let bytes): try container.encode(Data(bytes))
        case .array(let elements): try container.encode(elements)
        case .document(let document): try container.encode(document)
        case .ext:
            throw EncodingError.invalidValue(
                self, .init(codingPath: encoder.codingPath, debugDescription: "only MessagePack has extension values"))
        }
    }
}

/// A vector: in documents little-endian float32 in a `bin`, which is what a vector search reads fastest. Read from lists of numbers too.
public struct Vector: Sendable, Hashable, Codable, ExpressibleByArrayLiteral, DirectlyEncodable, DirectlyDecodable {
    public var elements: [Float]

    public init(_ elements: [Float]) { self.elements = elements }
    public init(arrayLiteral elements: Float...) { self.elements = elements }

    func encodeDirectly(into output: OutputBytes) { VectorBytes.encode(elements).withUnsafeBytes { output.writeBin($0) } }

    static func decodeDirectly(from reader: inout MessagePackReader) throws(MessagePackError) -> Vector? {
        let start = reader.position
        guard let elements = try DocumentValue.decode(from: &reader).vectorValue else {
            throw MessagePackError(.wrongType, at: start)
        }
        return Vector(elements)
    }

    public init(from decoder: any Decoder) throws { elements = try decoder.singleValueContainer().decode([Float].self) }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(elements)
    }
}

extension Data: DirectlyEncodable, DirectlyDecodable {
    func encodeDirectly(into output: OutputBytes) { withUnsafeBytes { output.writeBin($0) } }

    static func decodeDirectly(from reader: inout MessagePackReader) throws(MessagePackError) -> Data? {
        Data(try reader.readBinBytes())
    }
}

extension Date: DirectlyEncodable, DirectlyDecodable {
    /// To the nanosecond that the date's double can tell.
    func encodeDirectly(into output: OutputBytes) {
        let whole = timeIntervalSince1970.rounded(.down)
        let nanoseconds = UInt32(min(999_999_999, ((timeIntervalSince1970 - whole) * 1e9).rounded()))
        let seconds = Int64(max(-9.2e18, min(9.2e18, whole)))
        Timestamp(seconds: seconds, nanoseconds: nanoseconds).body.withUnsafeBytes { output.writeExt(type: -1, $0) }
    }

    static func decodeDirectly(from reader: inout MessagePackReader) throws(MessagePackError) -> Date? {
        let start = reader.position
        // `_created_at` and `_updated_at` are text.
        if reader.nextKind == .string {
            guard let timestamp = Timestamp(text: try reader.readString()) else { throw MessagePackError(.outOfRange, at: start) }
            return Date(timestamp)
        }
        let (type, body) = try reader.readExt()
        guard type == -1, let timestamp = Timestamp(body) else { throw MessagePackError(.wrongType, at: start) }
        return Date(timestamp)
    }

    private init(_ timestamp: Timestamp) {
        self.init(timeIntervalSince1970: Double(timestamp.seconds) + Double(timestamp.nanoseconds) / 1e9)
    }
}
