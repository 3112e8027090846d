/// The properties block: a MessagePack map from names to unsigned integers and byte strings, so that any tool can read it.
///
/// Unknown names are skipped: later versions may add some.
struct TableProperties: Equatable, Sendable {
    var numbers: [(name: String, value: UInt64)] = []
    var bytes: [(name: String, value: [UInt8])] = []

    static func == (left: TableProperties, right: TableProperties) -> Bool {
        left.numbers.elementsEqual(right.numbers, by: ==) && left.bytes.elementsEqual(right.bytes, by: ==)
    }

    func number(_ name: String) -> UInt64? { numbers.first { $0.name == name }?.value }
    func byteString(_ name: String) -> [UInt8]? { bytes.first { $0.name == name }?.value }

    // MARK: MessagePack, as much as this block uses

    func encode() -> [UInt8] {
        var output: [UInt8] = [0xDE]
        TableProperties.appendBE(UInt64(numbers.count + bytes.count), byteCount: 2, to: &output)
        for (name, value) in numbers {
            TableProperties.append(name, to: &output)
            output.append(0xCF)
            TableProperties.appendBE(value, byteCount: 8, to: &output)
        }
        for (name, value) in bytes {
            TableProperties.append(name, to: &output)
            output.append(0xC6)
            TableProperties.appendBE(UInt64(value.count), byteCount: 4, to: &output)
            output += value
        }
        return output
    }

    private static func append(_ name: String, to output: inout [UInt8]) {
        precondition(name.utf8.count < 32)
        output.append(0xA0 | UInt8(name.utf8.count))
        output += name.utf8
    }

    private static func appendBE(_ value: UInt64, byteCount: Int, to output: inout [UInt8]) {
        for index in (0..<byteCount).reversed() { output.append(UInt8(truncatingIfNeeded: value >> (UInt64(index) * 8))) }
    }

    /// Nil: the bytes are not such a map.
    init?(decoding input: UnsafeRawBufferPointer) {
        var reader = Reader(rest: input[...])
        guard reader.number(1) == 0xDE, let count = reader.number(2) else { return nil }
        for _ in 0..<count {
            guard let tag = reader.number(1), tag & 0xE0 == 0xA0, let name = reader.bytes(Int(tag & 0x1F)),
                let type = reader.number(1)
            else { return nil }
            let text = String(decoding: name, as: UTF8.self)
            switch type {
            case 0xCF:
                guard let value = reader.number(8) else { return nil }
                numbers.append((text, value))
            case 0xC6:
                guard let byteCount = reader.number(4), let value = reader.bytes(Int(byteCount)) else { return nil }
                bytes.append((text, Array(value)))
            default:
                return nil
            }
        }
        guard reader.rest.isEmpty else { return nil }
    }

    init() {}

    private struct Reader {
        var rest: Slice<UnsafeRawBufferPointer>

        mutating func bytes(_ count: Int) -> Slice<UnsafeRawBufferPointer>? {
            guard count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }

        mutating func number(_ byteCount: Int) -> UInt64? {
            bytes(byteCount)?.reduce(0) { $0 << 8 | UInt64($1) }
        }
    }
}
