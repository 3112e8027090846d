// Bytes to tree and back. Decoding is recursive with a depth limit, reserves no memory by counts that the bytes merely claim, and
// accepts any map key (tools show what is there).

extension MessagePackValue {
    /// Decodes the one value that `bytes` hold.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(MessagePackError) {
        var reader = MessagePackReader(bytes)
        self = try MessagePackValue.decode(from: &reader)
        guard reader.isAtEnd else { throw MessagePackError(.wrongType, at: reader.position) }
    }

    /// Decodes the one value that `bytes` hold.
    package init(decoding bytes: [UInt8]) throws(MessagePackError) {
        var result = MessagePackValue.null
        var failure: MessagePackError?
        bytes.withUnsafeBytes { raw in
            do throws(MessagePackError) { result = try MessagePackValue(decoding: raw) } catch { failure = error }
        }
        if let failure { throw failure }
        self = result
    }

    /// Decodes the next value of `reader`.
    package static func decode(
        from reader: inout MessagePackReader, depthMax: Int = nestingDepthMax
    ) throws(MessagePackError) -> MessagePackValue {
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
            let isSingle = reader.bytes[reader.position] == 0xCA
            if isSingle { return .float32(try reader.readFloat()) }
            return .double(try reader.readDouble())
        case .string: return .string(try reader.readString())
        case .binary: return .binary([UInt8](try reader.readBinBytes()))
        case .ext:
            let (type, bytes) = try reader.readExt()
            return .ext(type, [UInt8](bytes))
        case .array:
            guard depthMax > 0 else { throw MessagePackError(.tooDeep, at: reader.position) }
            let count = try reader.readArrayHeader()
            var elements: [MessagePackValue] = []
            for _ in 0..<count { elements.append(try decode(from: &reader, depthMax: depthMax - 1)) }
            return .array(elements)
        case .map:
            guard depthMax > 0 else { throw MessagePackError(.tooDeep, at: reader.position) }
            let count = try reader.readMapHeader()
            var entries: [Entry] = []
            for _ in 0..<count {
                let key = try decode(from: &reader, depthMax: depthMax - 1)
                entries.append(Entry(key: key, value: try decode(from: &reader, depthMax: depthMax - 1)))
            }
            return .map(entries)
        }
    }

    /// Appends the value's bytes to `output`, in shortest forms.
    package func encode(into output: OutputBytes) {
        switch self {
        case .null: output.writeNil()
        case .bool(let flag): output.writeBool(flag)
        case .int(let number): output.writeInt(number)
        case .uint(let number): output.writeUInt(number)
        case .float32(let number): output.writeFloat(number)
        case .double(let number): output.writeDouble(number)
        case .string(let text): output.writeString(text)
        case .binary(let bytes): bytes.withUnsafeBytes { output.writeBin($0) }
        case .ext(let type, let bytes): bytes.withUnsafeBytes { output.writeExt(type: type, $0) }
        case .array(let elements):
            output.writeArrayHeader(elements.count)
            for element in elements { element.encode(into: output) }
        case .map(let entries):
            output.writeMapHeader(entries.count)
            for entry in entries {
                entry.key.encode(into: output)
                entry.value.encode(into: output)
            }
        }
    }

    /// The value's bytes, in shortest forms.
    package func encoded() -> [UInt8] {
        let output = OutputBytes(capacity: 256)
        encode(into: output)
        return output.withUnsafeBytes { [UInt8]($0) }
    }
}
