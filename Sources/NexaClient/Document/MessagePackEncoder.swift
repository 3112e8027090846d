import NexaWire

/// Encodes Codable values straight into MessagePack bytes: no tree in between.
///
/// A container's header is written when it begins, one byte long, and patched when it is complete; `scopes` are the containers that are
/// not. A container is complete as soon as one that encloses it is written to again, as generated code always does; writing to a
/// complete one is an error, never damaged bytes. Confined to the call of `encode`.
package final class MessagePackEncoder {
    package let output: OutputBytes
    fileprivate var scopes: [Scope] = []
    private var serial = 0
    fileprivate var codingPath: [any CodingKey] = []

    /// An array or map whose count is not known yet.
    fileprivate struct Scope {
        let offset: Int
        let isMap: Bool
        let serial: Int
        var count = 0
    }

    package init(into output: OutputBytes) { self.output = output }

    /// Appends `value` to the output.
    package func encode<Value: Encodable>(_ value: Value) throws {
        let outer = scopes.count
        let start = output.byteCount
        if try !encodeDirectly(value) {
            try value.encode(to: ValueEncoder(state: self, codingPath: codingPath))
        }
        close(downTo: outer)
        // A type that encodes nothing at all.
        if output.byteCount == start { output.writeMapHeader(0) }
    }

    fileprivate func open(isMap: Bool) -> ScopeHandle {
        serial += 1
        scopes.append(Scope(offset: output.byteCount, isMap: isMap, serial: serial))
        output.appendU8(isMap ? 0x80 : 0x90)
        return ScopeHandle(index: scopes.count - 1, serial: serial)
    }

    /// Makes `handle` the innermost scope and counts one more element of it.
    fileprivate func advance(_ handle: ScopeHandle, _ value: Any, _ path: [any CodingKey]) throws {
        guard handle.index < scopes.count, scopes[handle.index].serial == handle.serial else {
            throw EncodingError.invalidValue(
                value, .init(codingPath: path, debugDescription: "a nested container was written to after its parent went on"))
        }
        close(downTo: handle.index + 1)
        scopes[handle.index].count += 1
    }

    fileprivate func count(_ handle: ScopeHandle) -> Int {
        handle.index < scopes.count && scopes[handle.index].serial == handle.serial ? scopes[handle.index].count : 0
    }

    private func close(downTo count: Int) {
        while scopes.count > count {
            let scope = scopes.removeLast()
            switch scope.count {
            case 0..<16:
                output.patchU8(UInt8(scope.count) | (scope.isMap ? 0x80 : 0x90), at: scope.offset)
            case 16...0xFFFF:
                output.insertGap(2, at: scope.offset + 1)
                output.patchU8(scope.isMap ? 0xDE : 0xDC, at: scope.offset)
                output.storeBE(UInt16(scope.count), at: scope.offset + 1)
            default:
                output.insertGap(4, at: scope.offset + 1)
                output.patchU8(scope.isMap ? 0xDF : 0xDD, at: scope.offset)
                output.storeBE(UInt32(scope.count), at: scope.offset + 1)
            }
        }
    }

    /// Types that MessagePack has a form for which their own `encode(to:)` does not know.
    fileprivate func encodeDirectly<Value: Encodable>(_ value: Value) throws -> Bool {
        if Value.self == String.self {
            output.writeString(value as! String)
        } else if Value.self == Int.self {
            output.writeInt(value as! Int)
        } else if let special = value as? any DirectlyEncodable {
            special.encodeDirectly(into: output)
        } else {
            return false
        }
        return true
    }
}

/// What writes its own MessagePack.
protocol DirectlyEncodable {
    func encodeDirectly(into output: OutputBytes)
}

/// Which scope a container writes to.
private struct ScopeHandle {
    let index: Int
    let serial: Int
}

extension OutputBytes {
    fileprivate func patchU8(_ value: UInt8, at offset: Int) { storeBE(value, at: offset) }
}

private struct ValueEncoder: Encoder {
    let state: MessagePackEncoder
    var codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(MapEncoding(state: state, handle: state.open(isMap: true), codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        ArrayEncoding(state: state, handle: state.open(isMap: false), codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { SingleEncoding(state: state, codingPath: codingPath) }
}

extension MessagePackEncoder {
    /// One value in its place, whatever it is.
    fileprivate func element<Value: Encodable>(_ value: Value, _ path: @autoclosure () -> [any CodingKey]) throws {
        if try encodeDirectly(value) { return }
        let start = output.byteCount
        let outer = scopes.count
        try value.encode(to: ValueEncoder(state: self, codingPath: path()))
        close(downTo: outer)
        if output.byteCount == start { output.writeMapHeader(0) }
    }
}

private struct MapEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let state: MessagePackEncoder
    let handle: ScopeHandle
    var codingPath: [any CodingKey]

    private func begin(_ key: Key) throws {
        try state.advance(handle, key, codingPath)
        state.output.writeString(key.stringValue)
    }

    mutating func encodeNil(forKey key: Key) throws {
        try begin(key)
        state.output.writeNil()
    }
    mutating func encode(_ value: Bool, forKey key: Key) throws {
        try begin(key)
        state.output.writeBool(value)
    }
    mutating func encode(_ value: String, forKey key: Key) throws {
        try begin(key)
        state.output.writeString(value)
    }
    mutating func encode(_ value: Double, forKey key: Key) throws {
        try begin(key)
        state.output.writeDouble(value)
    }
    mutating func encode(_ value: Float, forKey key: Key) throws {
        try begin(key)
        state.output.writeFloat(value)
    }
    mutating func encode(_ value: Int, forKey key: Key) throws { try signed(value, key) }
    mutating func encode(_ value: Int8, forKey key: Key) throws { try signed(value, key) }
    mutating func encode(_ value: Int16, forKey key: Key) throws { try signed(value, key) }
    mutating func encode(_ value: Int32, forKey key: Key) throws { try signed(value, key) }
    mutating func encode(_ value: Int64, forKey key: Key) throws { try signed(value, key) }
    mutating func encode(_ value: UInt, forKey key: Key) throws { try unsigned(value, key) }
    mutating func encode(_ value: UInt8, forKey key: Key) throws { try unsigned(value, key) }
    mutating func encode(_ value: UInt16, forKey key: Key) throws { try unsigned(value, key) }
    mutating func encode(_ value: UInt32, forKey key: Key) throws { try unsigned(value, key) }
    mutating func encode(_ value: UInt64, forKey key: Key) throws { try unsigned(value, key) }
    mutating func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        try begin(key)
        try state.element(value, codingPath + [key])
    }

    private func signed(_ value: some SignedInteger, _ key: Key) throws {
        try begin(key)
        state.output.writeInt(Int64(value))
    }
    private func unsigned(_ value: some UnsignedInteger, _ key: Key) throws {
        try begin(key)
        state.output.writeUInt(UInt64(value))
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested>
    {
        openNested(key)
        return KeyedEncodingContainer(
            MapEncoding<Nested>(state: state, handle: state.open(isMap: true), codingPath: codingPath + [key]))
    }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        openNested(key)
        return ArrayEncoding(state: state, handle: state.open(isMap: false), codingPath: codingPath + [key])
    }
    mutating func superEncoder() -> any Encoder {
        state.openNested(handle, name: "super")
        return ValueEncoder(state: state, codingPath: codingPath)
    }
    mutating func superEncoder(forKey key: Key) -> any Encoder {
        openNested(key)
        return ValueEncoder(state: state, codingPath: codingPath + [key])
    }

    private func openNested(_ key: Key) { state.openNested(handle, name: key.stringValue) }
}

extension MessagePackEncoder {
    /// For the calls of Codable that cannot throw: going on with a complete container is a defect of the type's own code.
    fileprivate func openNested(_ handle: ScopeHandle, name: String?) {
        do { try advance(handle, name ?? "", codingPath) } catch { preconditionFailure("\(error)") }
        if let name { output.writeString(name) }
    }
}

private struct ArrayEncoding: UnkeyedEncodingContainer {
    let state: MessagePackEncoder
    let handle: ScopeHandle
    var codingPath: [any CodingKey]

    var count: Int { state.count(handle) }

    private func begin() throws { try state.advance(handle, count, codingPath) }

    mutating func encodeNil() throws {
        try begin()
        state.output.writeNil()
    }
    mutating func encode(_ value: Bool) throws {
        try begin()
        state.output.writeBool(value)
    }
    mutating func encode(_ value: Double) throws {
        try begin()
        state.output.writeDouble(value)
    }
    mutating func encode(_ value: Float) throws {
        try begin()
        state.output.writeFloat(value)
    }
    mutating func encode<Value: Encodable>(_ value: Value) throws {
        try begin()
        try state.element(value, codingPath)
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        state.openNested(handle, name: nil)
        return KeyedEncodingContainer(MapEncoding<Nested>(state: state, handle: state.open(isMap: true), codingPath: codingPath))
    }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        state.openNested(handle, name: nil)
        return ArrayEncoding(state: state, handle: state.open(isMap: false), codingPath: codingPath)
    }
    mutating func superEncoder() -> any Encoder {
        state.openNested(handle, name: nil)
        return ValueEncoder(state: state, codingPath: codingPath)
    }
}

private struct SingleEncoding: SingleValueEncodingContainer {
    let state: MessagePackEncoder
    var codingPath: [any CodingKey]

    mutating func encodeNil() { state.output.writeNil() }
    mutating func encode(_ value: Bool) { state.output.writeBool(value) }
    mutating func encode(_ value: String) { state.output.writeString(value) }
    mutating func encode(_ value: Double) { state.output.writeDouble(value) }
    mutating func encode(_ value: Float) { state.output.writeFloat(value) }
    mutating func encode(_ value: Int) { state.output.writeInt(value) }
    mutating func encode(_ value: Int8) { state.output.writeInt(Int64(value)) }
    mutating func encode(_ value: Int16) { state.output.writeInt(Int64(value)) }
    mutating func encode(_ value: Int32) { state.output.writeInt(Int64(value)) }
    mutating func encode(_ value: Int64) { state.output.writeInt(value) }
    mutating func encode(_ value: UInt) { state.output.writeUInt(UInt64(value)) }
    mutating func encode(_ value: UInt8) { state.output.writeUInt(UInt64(value)) }
    mutating func encode(_ value: UInt16) { state.output.writeUInt(UInt64(value)) }
    mutating func encode(_ value: UInt32) { state.output.writeUInt(UInt64(value)) }
    mutating func encode(_ value: UInt64) { state.output.writeUInt(value) }
    mutating func encode<Value: Encodable>(_ value: Value) throws { try state.element(value, codingPath) }
}
