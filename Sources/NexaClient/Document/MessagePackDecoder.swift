import NexaWire

/// Decodes Codable values straight from MessagePack bytes: no tree in between.
///
/// The bytes are copied once into memory that the containers keep alive, so a type that keeps its decoder reads old bytes and never
/// freed ones. A map is walked by a cursor: fields that are asked for in the order of the bytes, as generated code does, are found at
/// once. Floats stand in for integers only where they are whole; integers for floats only where nothing is lost.
package struct MessagePackDecoder {
    private let memory: DecodingMemory

    package init(_ bytes: UnsafeRawBufferPointer) { memory = DecodingMemory(bytes) }

    /// The one value that the bytes hold.
    package func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try decode(type, at: 0..<memory.bytes.count)
    }

    /// The value that stands at `range`.
    package func decode<Value: Decodable>(_ type: Value.Type, at range: Range<Int>) throws -> Value {
        try ValueDecoder(memory: memory, range: range, codingPath: []).value(type)
    }
}

/// What reads its own MessagePack.
protocol DirectlyDecodable {
    /// Nil when the value is of another kind.
    static func decodeDirectly(from reader: inout MessagePackReader) throws(MessagePackError) -> Self?
}

/// The bytes, owned. `nonisolated(unsafe)` nowhere: decoding stays on the thread that began it.
private final class DecodingMemory {
    let bytes: UnsafeRawBufferPointer

    init(_ source: UnsafeRawBufferPointer) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 8)
        copy.copyMemory(from: source)
        bytes = UnsafeRawBufferPointer(copy)
    }

    deinit { bytes.deallocate() }

    func reader(at position: Int) -> MessagePackReader { MessagePackReader(bytes, position: position) }
}

private struct ValueDecoder: Decoder {
    let memory: DecodingMemory
    let range: Range<Int>
    var codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(try MapDecoding<Key>(memory, range.lowerBound, codingPath))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { try ArrayDecoding(memory, range.lowerBound, codingPath) }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    /// Decodes the value here as `type`.
    func value<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if let direct = type as? any DirectlyDecodable.Type {
            var reader = memory.reader(at: range.lowerBound)
            if let result = try translating(
                codingPath, { () throws(MessagePackError) in try direct.decodeDirectly(from: &reader) })
            {
                return result as! Value
            }
        }
        return try type.init(from: self)
    }
}

/// Runs `body`; what the reader finds wrong becomes a DecodingError.
private func translating<R>(_ path: [any CodingKey], _ body: () throws(MessagePackError) -> R) throws -> R {
    do throws(MessagePackError) {
        return try body()
    } catch {
        let text = error.wireError.message
        let context = DecodingError.Context(codingPath: path, debugDescription: text)
        throw error.reason == .wrongType ? DecodingError.typeMismatch(R.self, context) : DecodingError.dataCorrupted(context)
    }
}

/// Scalars as Swift's types.
private enum Scalar {
    static func bool(_ reader: inout MessagePackReader) throws(MessagePackError) -> Bool { try reader.readBool() }
    static func string(_ reader: inout MessagePackReader) throws(MessagePackError) -> String { try reader.readString() }

    static func double(_ reader: inout MessagePackReader) throws(MessagePackError) -> Double {
        let start = reader.position
        let isInteger = reader.nextKind == .int
        guard isInteger || reader.nextKind == .float else { throw MessagePackError(.wrongType, at: start) }
        guard isInteger else { return try reader.readDouble() }
        var again = reader
        let number = try reader.readDouble()
        let isExact =
            if let signed = try? again.readInt64() { Int64(exactly: number) == signed } else {
                UInt64(exactly: number) == (try again.readUInt64())
            }
        guard isExact else { throw MessagePackError(.outOfRange, at: start) }
        return number
    }

    static func float(_ reader: inout MessagePackReader) throws(MessagePackError) -> Float {
        let start = reader.position
        if reader.nextKind == .float, reader.bytes[start] == 0xCA { return try reader.readFloat() }
        return Float(try double(&reader))
    }

    static func integer<I: FixedWidthInteger>(_ reader: inout MessagePackReader) throws(MessagePackError) -> I {
        let start = reader.position
        guard reader.nextKind == .int || reader.nextKind == .float else { throw MessagePackError(.wrongType, at: start) }
        let result: I? =
            if start < reader.bytes.count, reader.bytes[start] == 0xCF { I(exactly: try reader.readUInt64()) } else {
                I(exactly: try reader.readInt64())
            }
        guard let result else { throw MessagePackError(.outOfRange, at: start) }
        return result
    }
}

/// Where a walk through a map stands: shared by the copies of a container.
private final class MapCursor {
    var position: Int
    var index = 0
    init(_ position: Int) { self.position = position }
}

private struct MapDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let memory: DecodingMemory
    let codingPath: [any CodingKey]
    private let first: Int
    private let count: Int
    private let cursor: MapCursor

    init(_ memory: DecodingMemory, _ position: Int, _ path: [any CodingKey]) throws {
        self.memory = memory
        codingPath = path
        var reader = memory.reader(at: position)
        guard reader.nextKind == .map else {
            throw DecodingError.typeMismatch(
                [String: Any].self, .init(codingPath: path, debugDescription: "a map was expected at byte \(position)"))
        }
        count = try translating(path) { () throws(MessagePackError) in try reader.readMapHeader() }
        first = reader.position
        cursor = MapCursor(first)
    }

    /// The position of the value of `name`: looked for from the cursor on, then from the beginning.
    private func find(_ name: String) throws -> Int? {
        var name = name
        return try name.withUTF8 { wanted in
            let wanted = UnsafeRawBufferPointer(wanted)
            let (start, index) = (cursor.position, cursor.index)
            if let found = try scan(for: wanted, from: start, index: index, to: count) { return found }
            return try scan(for: wanted, from: first, index: 0, to: index)
        }
    }

    private func scan(for wanted: UnsafeRawBufferPointer, from position: Int, index: Int, to end: Int) throws -> Int? {
        var reader = memory.reader(at: position)
        return try translating(codingPath) { () throws(MessagePackError) in
            for index in index..<max(index, end) {
                let key = try reader.readStringBytes()
                let value = reader.position
                try reader.skipValue()
                if key.count == wanted.count, key.elementsEqual(wanted) {
                    cursor.position = reader.position
                    cursor.index = index + 1
                    return value
                }
            }
            return nil
        }
    }

    private func require(_ key: Key) throws -> Int {
        guard let position = try find(key.stringValue) else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "the document has no field \"\(key.stringValue)\""))
        }
        return position
    }

    private func scalar<R>(_ key: Key, _ read: (inout MessagePackReader) throws(MessagePackError) -> R) throws -> R {
        var reader = memory.reader(at: try require(key))
        return try translating(codingPath + [key]) { () throws(MessagePackError) in try read(&reader) }
    }

    private func nested(_ key: Key) throws -> ValueDecoder {
        let position = try require(key)
        return ValueDecoder(memory: memory, range: position..<memory.bytes.count, codingPath: codingPath + [key])
    }

    var allKeys: [Key] {
        var reader = memory.reader(at: first)
        var keys: [Key] = []
        for _ in 0..<count {
            guard let name = try? reader.readString(), (try? reader.skipValue()) != nil else { break }
            if let key = Key(stringValue: name) { keys.append(key) }
        }
        return keys
    }

    func contains(_ key: Key) -> Bool { (try? find(key.stringValue)) ?? nil != nil }
    func decodeNil(forKey key: Key) throws -> Bool { memory.reader(at: try require(key)).nextKind == .null }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try scalar(key, Scalar.bool) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try scalar(key, Scalar.string) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try scalar(key, Scalar.double) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try scalar(key, Scalar.float) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try scalar(key, Scalar.integer) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try scalar(key, Scalar.integer) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try scalar(key, Scalar.integer) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try scalar(key, Scalar.integer) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try scalar(key, Scalar.integer) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try scalar(key, Scalar.integer) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try scalar(key, Scalar.integer) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try scalar(key, Scalar.integer) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try scalar(key, Scalar.integer) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try scalar(key, Scalar.integer) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try nested(key).value(type) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        try nested(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try nested(key).unkeyedContainer() }
    func superDecoder() throws -> any Decoder {
        guard let position = try find("super") else {
            throw DecodingError.valueNotFound(
                (any Decoder).self, .init(codingPath: codingPath, debugDescription: "the document has no field \"super\""))
        }
        return ValueDecoder(memory: memory, range: position..<memory.bytes.count, codingPath: codingPath)
    }
    func superDecoder(forKey key: Key) throws -> any Decoder { try nested(key) }
}

private struct ArrayDecoding: UnkeyedDecodingContainer {
    let memory: DecodingMemory
    var codingPath: [any CodingKey]
    private let elementCount: Int
    private var position: Int
    private(set) var currentIndex = 0

    init(_ memory: DecodingMemory, _ position: Int, _ path: [any CodingKey]) throws {
        self.memory = memory
        codingPath = path
        var reader = memory.reader(at: position)
        elementCount = try translating(path) { () throws(MessagePackError) in try reader.readArrayHeader() }
        self.position = reader.position
    }

    var count: Int? { elementCount }
    var isAtEnd: Bool { currentIndex >= elementCount }

    /// Takes the next element.
    private mutating func next<R>(_ type: R.Type) throws -> ValueDecoder {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(type, .init(codingPath: codingPath, debugDescription: "the array has ended"))
        }
        let start = position
        var reader = memory.reader(at: start)
        try translating(codingPath) { () throws(MessagePackError) in try reader.skipValue() }
        position = reader.position
        currentIndex += 1
        return ValueDecoder(memory: memory, range: start..<position, codingPath: codingPath)
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, memory.reader(at: position).nextKind == .null else { return false }
        _ = try next(Never?.self)
        return true
    }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next(type).value(type) }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
        try next([String: Any].self).container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next([Any].self).unkeyedContainer() }
    mutating func superDecoder() throws -> any Decoder { try next((any Decoder).self) }
}

extension ValueDecoder: SingleValueDecodingContainer {
    private func scalar<R>(_ read: (inout MessagePackReader) throws(MessagePackError) -> R) throws -> R {
        var reader = memory.reader(at: range.lowerBound)
        return try translating(codingPath) { () throws(MessagePackError) in try read(&reader) }
    }

    func decodeNil() -> Bool { memory.reader(at: range.lowerBound).nextKind == .null }
    func decode(_ type: Bool.Type) throws -> Bool { try scalar(Scalar.bool) }
    func decode(_ type: String.Type) throws -> String { try scalar(Scalar.string) }
    func decode(_ type: Double.Type) throws -> Double { try scalar(Scalar.double) }
    func decode(_ type: Float.Type) throws -> Float { try scalar(Scalar.float) }
    func decode(_ type: Int.Type) throws -> Int { try scalar(Scalar.integer) }
    func decode(_ type: Int8.Type) throws -> Int8 { try scalar(Scalar.integer) }
    func decode(_ type: Int16.Type) throws -> Int16 { try scalar(Scalar.integer) }
    func decode(_ type: Int32.Type) throws -> Int32 { try scalar(Scalar.integer) }
    func decode(_ type: Int64.Type) throws -> Int64 { try scalar(Scalar.integer) }
    func decode(_ type: UInt.Type) throws -> UInt { try scalar(Scalar.integer) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try scalar(Scalar.integer) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try scalar(Scalar.integer) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try scalar(Scalar.integer) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try scalar(Scalar.integer) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try value(type) }
}
