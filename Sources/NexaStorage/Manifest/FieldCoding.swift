/// Writes the fields of an edit: `varint tag | varint length | bytes`.
struct FieldEncoder {
    private(set) var bytes: [UInt8] = []
    private(set) var fieldCount = 0

    mutating func field(_ tag: UInt64, _ fill: (inout [UInt8]) -> Void) {
        var content: [UInt8] = []
        fill(&content)
        bytes.appendVarint(tag)
        bytes.appendVarint(UInt64(content.count))
        bytes += content
        fieldCount += 1
    }
}

/// Reads the content of one field; every step checks that it stays inside.
struct FieldReader {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func varint() -> UInt64? { Varint.decode(bytes, at: &position) }

    /// An LSN that keys can carry (`NEXA_LSN_MAX`).
    mutating func lsn() -> LSN? { varint(below: 1 << 60) }
    /// The number of a file or a segment, or a place in one: there is always a next one.
    mutating func number() -> UInt64? { varint(below: 1 << 62) }
    /// What one table has of something: any number of tables can be summed up.
    mutating func amount() -> UInt64? { varint(below: 1 << 40) }

    private mutating func varint(below bound: UInt64) -> UInt64? { varint().flatMap { $0 < bound ? $0 : nil } }

    mutating func fixedLE() -> UInt64? { take(8).map { ByteOrder.loadLE($0) } }
    mutating func fixedBE() -> UInt64? { take(8).map { ByteOrder.loadBE($0) } }

    mutating func prefixedBytes() -> [UInt8]? {
        guard let count = varint(), count <= UInt64(bytes.count - position) else { return nil }
        defer { position += Int(count) }
        return Array(bytes[position..<position + Int(count)])
    }

    private mutating func take(_ count: Int) -> UnsafeRawPointer? {
        guard bytes.count - position >= count else { return nil }
        defer { position += count }
        return bytes.baseAddress! + position
    }
}

extension [UInt8] {
    mutating func appendVarint(_ value: UInt64) { Varint.append(value, to: &self) }
    mutating func appendLE(_ value: UInt64) { Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) } }
    mutating func appendBE(_ value: UInt64) { Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) } }
}
