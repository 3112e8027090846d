import CSupport

/// A walk over the fields of one MessagePack map, without allocation: the way every part of this room looks into a document.
///
///     | map header | name | value | name | value | ...
///                  entry          ^ position
///
/// Total: bytes that are no map, end too early or have a name that is no string end the walk, and `isWhole` is false then.
struct FieldWalk {
    private let base: UnsafeRawPointer
    private let byteCount: Int
    /// Where the next entry starts.
    private(set) var position: Int
    /// Entries that have not been visited.
    private(set) var remaining: Int
    /// Entries of the map.
    let fieldCount: Int
    /// Where the first entry starts.
    let bodyStart: Int

    /// The current entry's parts, as offsets.
    private(set) var entryStart = 0
    private var nameStart = 0
    private var nameCount = 0
    private(set) var valueStart = 0

    /// Nil if `bytes` does not start with a map.
    @inline(__always)
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return nil }
        let tag = bytes[0]
        switch tag {
        case 0x80...0x8F:
            fieldCount = Int(tag & 0x0F)
            bodyStart = 1
        case 0xDE where bytes.count >= 3:
            fieldCount = Int(UInt16(bigEndian: base.loadUnaligned(fromByteOffset: 1, as: UInt16.self)))
            bodyStart = 3
        case 0xDF where bytes.count >= 5:
            fieldCount = Int(UInt32(bigEndian: base.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
            bodyStart = 5
        default:
            return nil
        }
        self.base = base
        byteCount = bytes.count
        position = bodyStart
        remaining = fieldCount
    }

    /// Steps to the next entry; false when there is none or the bytes are no good.
    @inline(__always)
    mutating func next() -> Bool {
        guard remaining > 0, position < byteCount else { return false }
        entryStart = position
        let tag = base.load(fromByteOffset: position, as: UInt8.self)
        if tag & 0xE0 == 0xA0 {
            nameStart = position + 1
            nameCount = Int(tag & 0x1F)
        } else if !readLongName(tag) {
            return false
        }
        valueStart = nameStart + nameCount
        guard valueStart < byteCount else { return false }
        let valueByteCount = nexa_mp_skip(base + valueStart, byteCount - valueStart)
        guard valueByteCount > 0 else { return false }
        position = valueStart + valueByteCount
        remaining -= 1
        return true
    }

    private mutating func readLongName(_ tag: UInt8) -> Bool {
        let left = byteCount - position
        switch tag {
        case 0xD9 where left >= 2:
            nameCount = Int(base.load(fromByteOffset: position + 1, as: UInt8.self))
            nameStart = position + 2
        case 0xDA where left >= 3:
            nameCount = Int(UInt16(bigEndian: base.loadUnaligned(fromByteOffset: position + 1, as: UInt16.self)))
            nameStart = position + 3
        case 0xDB where left >= 5:
            nameCount = Int(UInt32(bigEndian: base.loadUnaligned(fromByteOffset: position + 1, as: UInt32.self)))
            nameStart = position + 5
        default:
            return false
        }
        return true
    }

    /// All entries were visited and nothing is left over.
    var isWhole: Bool { remaining == 0 && position == byteCount }

    /// The current entry's name.
    @inline(__always)
    var name: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + nameStart, count: nameCount) }

    /// The current entry's value.
    @inline(__always)
    var value: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + valueStart, count: position - valueStart) }

    /// The current entry: name and value.
    @inline(__always)
    var entry: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + entryStart, count: position - entryStart) }

    /// Whether the current name is `text`.
    @inline(__always)
    func isNamed(_ text: StaticString) -> Bool {
        nameCount == text.utf8CodeUnitCount && compareBytes(base + nameStart, text.utf8Start, nameCount) == 0
    }
}
