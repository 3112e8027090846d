import NexaWire

/// A value of a document as a tree: for filters, updates and documents whose shape is not known. Order of entries, width of integers,
/// bits of floats, binary and extension values are kept.
public enum DocumentValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    /// Above `Int64.max` only; smaller ones are `int`, so that each integer has one form.
    case uint(UInt64)
    case float(Float)
    case double(Double)
    case string(String)
    case binary([UInt8])
    case array([DocumentValue])
    case document(Document)
    /// An extension value. Type -1 is a timestamp.
    case ext(Int8, [UInt8])

    /// A vector as its index wants it: little-endian float32.
    public static func vector(_ elements: [Float]) -> DocumentValue { .binary(VectorBytes.encode(elements)) }

    public var isNull: Bool { self == .null }
    public var boolValue: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    public var stringValue: String? { if case .string(let text) = self { text } else { nil } }
    public var binaryValue: [UInt8]? { if case .binary(let bytes) = self { bytes } else { nil } }
    public var arrayValue: [DocumentValue]? { if case .array(let elements) = self { elements } else { nil } }
    public var documentValue: Document? { if case .document(let document) = self { document } else { nil } }
    /// An integer, or a float that is one.
    public var intValue: Int? {
        switch self {
        case .int(let number): Int(exactly: number)
        case .double(let number): Int(exactly: number)
        case .float(let number): Int(exactly: number)
        default: nil
        }
    }
    /// Any number, rounded to a double.
    public var doubleValue: Double? {
        switch self {
        case .int(let number): Double(number)
        case .uint(let number): Double(number)
        case .float(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }
    /// The elements of a vector, whether it is binary or a list of numbers.
    public var vectorValue: [Float]? {
        switch self {
        case .binary(let bytes): VectorBytes.decode(bytes)
        case .array(let elements):
            elements.reduce(into: [Float]?([])) { result, element in
                if let number = element.doubleValue { result?.append(Float(number)) } else { result = nil }
            }
        default: nil
        }
    }
}

extension DocumentValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(nilLiteral: ()) { self = .null }
    public init(arrayLiteral elements: DocumentValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, DocumentValue)...) { self = .document(Document(elements)) }
}

extension DocumentValue {
    /// Appends the value's bytes, in shortest forms.
    package func encode(into output: OutputBytes) {
        switch self {
        case .null: output.writeNil()
        case .bool(let flag): output.writeBool(flag)
        case .int(let number): output.writeInt(number)
        case .uint(let number): output.writeUInt(number)
        case .float(let number): output.writeFloat(number)
        case .double(let number): output.writeDouble(number)
        case .string(let text): output.writeString(text)
        case .binary(let bytes): bytes.withUnsafeBytes { output.writeBin($0) }
        case .ext(let type, let bytes): bytes.withUnsafeBytes { output.writeExt(type: type, $0) }
        case .document(let document): document.write(into: output)
        case .array(let elements):
            output.writeArrayHeader(elements.count)
            for element in elements { element.encode(into: output) }
        }
    }

    /// The next value of `reader`, no deeper than `depthMax`.
    package static func decode(
        from reader: inout MessagePackReader, depthMax: Int = nestingDepthMax
    ) throws(MessagePackError) -> DocumentValue {
        switch reader.nextKind {
        case nil: throw MessagePackError(.truncated, at: reader.position)
        case .reserved: throw MessagePackError(.reservedByte, at: reader.position)
        case .null:
            try reader.readNil()
            return .null
        case .bool: return .bool(try reader.readBool())
        case .int:
            if reader.bytes[reader.position] == 0xCF {
                let number = try reader.readUInt64()
                return Int64(exactly: number).map { .int($0) } ?? .uint(number)
            }
            return .int(try reader.readInt64())
        case .float:
            return reader.bytes[reader.position] == 0xCA ? .float(try reader.readFloat()) : .double(try reader.readDouble())
        case .string: return .string(try reader.readString())
        case .binary: return .binary([UInt8](try reader.readBinBytes()))
        case .ext:
            let (type, bytes) = try reader.readExt()
            return .ext(type, [UInt8](bytes))
        case .array:
            guard depthMax > 0 else { throw MessagePackError(.tooDeep, at: reader.position) }
            let count = try reader.readArrayHeader()
            var elements: [DocumentValue] = []
            for _ in 0..<count { elements.append(try decode(from: &reader, depthMax: depthMax - 1)) }
            return .array(elements)
        case .map: return .document(Document(copying: try reader.readRawValue()))
        }
    }
}

/// Vectors between Swift's arrays and little-endian float32.
package enum VectorBytes {
    package static func encode(_ elements: [Float]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: elements.count * 4) { room, count in
            for (index, element) in elements.enumerated() {
                UnsafeMutableRawBufferPointer(room).storeBytes(
                    of: element.bitPattern.littleEndian, toByteOffset: index * 4, as: UInt32.self)
            }
            count = elements.count * 4
        }
    }

    package static func decode(_ bytes: [UInt8]) -> [Float]? {
        guard bytes.count % 4 == 0 else { return nil }
        return bytes.withUnsafeBytes { raw in
            (0..<raw.count / 4).map {
                Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
            }
        }
    }
}
