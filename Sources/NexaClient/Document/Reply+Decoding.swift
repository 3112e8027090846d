import NIOCore
import NexaWire

// From the payload of an answer to values, checked first: see `Reply.check`.

extension Reply {
    /// The payload, a map, as `type`.
    func decode<Value: Decodable>(_ type: Value.Type) throws(NexaError) -> Value {
        try payload.withUnsafeReadableBytes { raw throws(NexaError) in
            try check(raw, is: .map)
            if type == Document.self { return Document(copying: raw) as! Value }
            return try Reply.decoding { try MessagePackDecoder(raw).decode(type) }
        }
    }

    /// The elements of the payload, a list, as `type`.
    func elements<Value: Decodable>(of type: Value.Type) throws(NexaError) -> [Value] {
        try payload.withUnsafeReadableBytes { raw throws(NexaError) in
            try check(raw, is: .array)
            return try Reply.elements(of: type, raw, at: 0)
        }
    }

    /// The list under `name` in the payload, a map, as values of `type`.
    func elements<Value: Decodable>(_ name: String, of type: Value.Type) throws(NexaError) -> [Value] {
        try payload.withUnsafeReadableBytes { raw throws(NexaError) in
            try check(raw, is: .map)
            guard let reader = Document.find(name, in: raw), reader.nextKind == .array else {
                throw NexaError(.protocolViolation, "A \(self.type.name) answer has no list '\(name)'")
            }
            return try Reply.elements(of: type, raw, at: reader.position)
        }
    }

    /// The elements of the list at `position` of checked bytes.
    private static func elements<Value: Decodable>(
        of type: Value.Type, _ raw: UnsafeRawBufferPointer, at position: Int
    ) throws(NexaError) -> [Value] {
        try decoding {
            var reader = MessagePackReader(raw, position: position)
            let count = try reader.readArrayHeader()
            var values: [Value] = []
            values.reserveCapacity(min(count, raw.count))
            if type == Document.self {
                for _ in 0..<count {
                    guard reader.nextKind == .map else { throw MessagePackError(.wrongType, at: reader.position) }
                    values.append(Document(copying: try reader.readRawValue()) as! Value)
                }
                return values
            }
            let decoder = MessagePackDecoder(raw)
            for _ in 0..<count {
                let start = reader.position
                try reader.skipValue()
                values.append(try decoder.decode(type, at: start..<reader.position))
            }
            return values
        }
    }

    /// The payload, whatever it is.
    func value() throws(NexaError) -> DocumentValue {
        try payload.withUnsafeReadableBytes { raw throws(NexaError) in
            guard let kind = MessagePackReader(raw).nextKind else {
                throw NexaError(.protocolViolation, "A \(type.name) answer without a payload")
            }
            try check(raw, is: kind)
            return try Reply.decoding {
                var reader = MessagePackReader(raw)
                return try DocumentValue.decode(from: &reader)
            }
        }
    }

    /// A document that is not what the type of the program wants is the program's concern, not the node's fault: `validation`.
    static func decoding<Value>(_ body: () throws -> Value) throws(NexaError) -> Value {
        do { return try body() } catch { throw NexaError(.validation, "The document does not fit the type: \(describe(error))") }
    }

    static func describe(_ error: any Error) -> String {
        func place(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? context.debugDescription : "'\(path)': \(context.debugDescription)"
        }
        switch error {
        case DecodingError.keyNotFound(_, let context), DecodingError.typeMismatch(_, let context),
            DecodingError.valueNotFound(_, let context), DecodingError.dataCorrupted(let context):
            return place(context)
        case EncodingError.invalidValue(_, let context): return context.debugDescription
        default: return "\(error)"
        }
    }
}

extension Document {
    /// The document as `type`; `validation` when it does not fit.
    public func decode<Value: Decodable>(_ type: Value.Type) throws(NexaError) -> Value {
        try Reply.decoding { try bytes.withUnsafeBytes { raw in try MessagePackDecoder(raw).decode(type) } }
    }

    /// `value` as a document; `validation` when it does not encode as one.
    public init<Value: Encodable>(encoding value: Value) throws(NexaError) {
        let output = OutputBytes(capacity: 256)
        try Request.encodeDocument(value, into: output)
        self.init(copying: output.bytes)
    }
}

extension Request {
    /// Adds `value` encoded, which has to become a map.
    mutating func addDocument<Value: Encodable>(_ name: StaticString, _ value: Value) throws(NexaError) {
        try add { output throws(NexaError) in
            output.writeString(name)
            try Request.encodeDocument(value, into: output)
            return 1
        }
    }

    /// Appends `value` encoded, which has to become a map.
    static func encodeDocument<Value: Encodable>(_ value: Value, into output: OutputBytes) throws(NexaError) {
        if let document = value as? Document { return document.write(into: output) }
        let start = output.byteCount
        try encode(value, into: output)
        guard MessagePackReader(UnsafeRawBufferPointer(rebasing: output.bytes[start...])).nextKind == .map else {
            throw NexaError(.validation, "\(Value.self) does not encode as a document")
        }
    }

    /// Adds a list of documents.
    mutating func addDocuments<Value: Encodable>(_ name: StaticString, _ values: [Value]) throws(NexaError) {
        try add { output throws(NexaError) in
            output.writeString(name)
            output.writeArrayHeader(values.count)
            for value in values { try Request.encodeDocument(value, into: output) }
            return 1
        }
    }

    private static func encode<Value: Encodable>(_ value: Value, into output: OutputBytes) throws(NexaError) {
        do {
            try MessagePackEncoder(into: output).encode(value)
        } catch {
            throw NexaError(.validation, "\(Value.self) cannot be encoded: \(Reply.describe(error))")
        }
    }
}
