// A cursor over the bytes of MessagePack values. It allocates nothing, checks every length against the bytes that are there, and
// leaves the position where it was when it throws.

import CSupport

/// Why a reader refused, and at which byte.
package struct MessagePackError: Error, Sendable, Equatable {
    package enum Reason: UInt8, Sendable {
        case truncated, wrongType, outOfRange, reservedByte, tooDeep, notUTF8
    }
    package var reason: Reason
    /// Byte offset of the value from the start of the reader's bytes.
    package var offset: Int

    package init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    /// As an answer: the client's payload was not what it should be.
    package var wireError: WireError {
        let what =
            switch reason {
            case .truncated: "the value ends before its announced length"
            case .wrongType: "a value of another type was expected"
            case .outOfRange: "the number is out of range"
            case .reservedByte: "byte c1 is never used in MessagePack"
            case .tooDeep: "nesting is too deep"
            case .notUTF8: "the string is not UTF-8"
            }
        return WireError(
            .badPayload, "Bad MessagePack at byte \(offset): \(what)", details: [.init("offset", .int(Int64(offset)))])
    }
}

/// What the next value is.
package enum MessagePackKind: UInt8, Sendable {
    case null, bool, int, float, string, binary, array, map, ext, reserved
}

/// A non-allocating reader. The bytes must stay valid while it is used.
package struct MessagePackReader {
    package let bytes: UnsafeRawBufferPointer
    /// Offset of the next value.
    package private(set) var position: Int

    @inline(__always)
    package init(_ bytes: UnsafeRawBufferPointer, position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    package var isAtEnd: Bool { position >= bytes.count }
    package var remainingByteCount: Int { bytes.count - position }

    /// The kind of the next value; nil at the end.
    package var nextKind: MessagePackKind? {
        guard position < bytes.count else { return nil }
        switch bytes[position] {
        case 0x00...0x7F, 0xE0...0xFF, 0xCC...0xD3: return .int
        case 0x80...0x8F, 0xDE, 0xDF: return .map
        case 0x90...0x9F, 0xDC, 0xDD: return .array
        case 0xA0...0xBF, 0xD9...0xDB: return .string
        case 0xC0: return .null
        case 0xC2, 0xC3: return .bool
        case 0xC4...0xC6: return .binary
        case 0xC7...0xC9, 0xD4...0xD8: return .ext
        case 0xCA, 0xCB: return .float
        default: return .reserved
        }
    }

    // MARK: Scalars

    package mutating func readNil() throws(MessagePackError) {
        guard try peekByte() == 0xC0 else { throw MessagePackError(.wrongType, at: position) }
        position += 1
    }

    /// Consumes a nil if one is next.
    package mutating func readNilIfPresent() -> Bool {
        guard position < bytes.count, bytes[position] == 0xC0 else { return false }
        position += 1
        return true
    }

    package mutating func readBool() throws(MessagePackError) -> Bool {
        let byte = try peekByte()
        guard byte == 0xC2 || byte == 0xC3 else { throw MessagePackError(.wrongType, at: position) }
        position += 1
        return byte == 0xC3
    }

    /// An integer of any width that fits an `Int64`; a float that is integral and exactly representable counts (JavaScript clients send
    /// larger integers so).
    package mutating func readInt64() throws(MessagePackError) -> Int64 {
        let start = position
        let byte = try peekByte()
        switch byte {
        case 0x00...0x7F:
            position += 1
            return Int64(byte)
        case 0xE0...0xFF:
            position += 1
            return Int64(Int8(bitPattern: byte))
        case 0xCA, 0xCB:
            let number = try readDouble()
            guard let exact = Int64(exactly: number) else {
                position = start
                throw MessagePackError(.outOfRange, at: start)
            }
            return exact
        case 0xCC: return Int64(try fixed(UInt8.self))
        case 0xCD: return Int64(try fixed(UInt16.self))
        case 0xCE: return Int64(try fixed(UInt32.self))
        case 0xCF:
            let number = try fixed(UInt64.self)
            guard let exact = Int64(exactly: number) else {
                position = start
                throw MessagePackError(.outOfRange, at: start)
            }
            return exact
        case 0xD0: return Int64(try fixed(Int8.self))
        case 0xD1: return Int64(try fixed(Int16.self))
        case 0xD2: return Int64(try fixed(Int32.self))
        case 0xD3: return try fixed(Int64.self)
        default: throw MessagePackError(.wrongType, at: position)
        }
    }

    /// A non-negative integer.
    package mutating func readUInt64() throws(MessagePackError) -> UInt64 {
        let start = position
        if try peekByte() == 0xCF { return try fixed(UInt64.self) }
        let number = try readInt64()
        guard number >= 0 else {
            position = start
            throw MessagePackError(.outOfRange, at: start)
        }
        return UInt64(number)
    }

    /// Any number, rounded to a double.
    package mutating func readDouble() throws(MessagePackError) -> Double {
        switch try peekByte() {
        case 0xCA: return Double(Float(bitPattern: try fixed(UInt32.self)))
        case 0xCB: return Double(bitPattern: try fixed(UInt64.self))
        case 0xCF: return Double(try fixed(UInt64.self))
        default: return Double(try readInt64())
        }
    }

    /// A float32 with its bits unchanged.
    package mutating func readFloat() throws(MessagePackError) -> Float {
        guard try peekByte() == 0xCA else { throw MessagePackError(.wrongType, at: position) }
        return Float(bitPattern: try fixed(UInt32.self))
    }

    // MARK: Runs of bytes

    /// The UTF-8 bytes of a string.
    package mutating func readStringBytes() throws(MessagePackError) -> UnsafeRawBufferPointer {
        let byte = try peekByte()
        switch byte {
        case 0xA0...0xBF: return try run(headByteCount: 1, count: Int(byte & 0x1F))
        case 0xD9: return try run(headByteCount: 2, count: Int(try peekLength(UInt8.self)))
        case 0xDA: return try run(headByteCount: 3, count: Int(try peekLength(UInt16.self)))
        case 0xDB: return try run(headByteCount: 5, count: Int(try peekLength(UInt32.self)))
        default: throw MessagePackError(.wrongType, at: position)
        }
    }

    /// A string as a Swift `String` (allocates when longer than 15 bytes).
    package mutating func readString() throws(MessagePackError) -> String {
        let start = position
        guard let text = String(validating: try readStringBytes(), as: UTF8.self) else {
            position = start
            throw MessagePackError(.notUTF8, at: start)
        }
        return text
    }

    package mutating func readBinBytes() throws(MessagePackError) -> UnsafeRawBufferPointer {
        switch try peekByte() {
        case 0xC4: return try run(headByteCount: 2, count: Int(try peekLength(UInt8.self)))
        case 0xC5: return try run(headByteCount: 3, count: Int(try peekLength(UInt16.self)))
        case 0xC6: return try run(headByteCount: 5, count: Int(try peekLength(UInt32.self)))
        default: throw MessagePackError(.wrongType, at: position)
        }
    }

    package mutating func readExt() throws(MessagePackError) -> (type: Int8, bytes: UnsafeRawBufferPointer) {
        let (head, count): (Int, Int) =
            switch try peekByte() {
            case 0xD4: (1, 1)
            case 0xD5: (1, 2)
            case 0xD6: (1, 4)
            case 0xD7: (1, 8)
            case 0xD8: (1, 16)
            case 0xC7: (2, Int(try peekLength(UInt8.self)))
            case 0xC8: (3, Int(try peekLength(UInt16.self)))
            case 0xC9: (5, Int(try peekLength(UInt32.self)))
            default: throw MessagePackError(.wrongType, at: position)
            }
        let all = try run(headByteCount: head, count: count + 1)
        return (Int8(bitPattern: all[0]), UnsafeRawBufferPointer(rebasing: all[1...]))
    }

    // MARK: Containers

    /// The element count of an array whose elements follow. The count is what the bytes claim: never reserve memory by it.
    package mutating func readArrayHeader() throws(MessagePackError) -> Int {
        let byte = try peekByte()
        switch byte {
        case 0x90...0x9F:
            position += 1
            return Int(byte & 0x0F)
        case 0xDC: return Int(try fixed(UInt16.self))
        case 0xDD: return Int(try fixed(UInt32.self))
        default: throw MessagePackError(.wrongType, at: position)
        }
    }

    /// The entry count of a map whose keys and values follow. The count is what the bytes claim: never reserve memory by it.
    package mutating func readMapHeader() throws(MessagePackError) -> Int {
        let byte = try peekByte()
        switch byte {
        case 0x80...0x8F:
            position += 1
            return Int(byte & 0x0F)
        case 0xDE: return Int(try fixed(UInt16.self))
        case 0xDF: return Int(try fixed(UInt32.self))
        default: throw MessagePackError(.wrongType, at: position)
        }
    }

    /// Steps over the next value, whatever it is.
    @inline(__always)
    package mutating func skipValue() throws(MessagePackError) {
        position += try nextValueByteCount()
    }

    /// The bytes of the next value, whatever it is.
    @inline(__always)
    package mutating func readRawValue() throws(MessagePackError) -> UnsafeRawBufferPointer {
        let count = try nextValueByteCount()
        let value = UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
        position += count
        return value
    }

    // MARK: Steps

    @inline(__always)
    private func nextValueByteCount() throws(MessagePackError) -> Int {
        guard position < bytes.count else { throw MessagePackError(.truncated, at: position) }
        let count = nexa_mp_skip(bytes.baseAddress! + position, bytes.count - position)
        guard count > 0 else { throw MessagePackError(.truncated, at: position) }
        return count
    }

    @inline(__always)
    private func peekByte() throws(MessagePackError) -> UInt8 {
        guard position < bytes.count else { throw MessagePackError(.truncated, at: position) }
        return bytes[position]
    }

    /// The length field behind the tag byte, without moving.
    @inline(__always)
    private func peekLength<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws(MessagePackError) -> T {
        guard bytes.count - position > MemoryLayout<T>.size else { throw MessagePackError(.truncated, at: position) }
        return T(bigEndian: bytes.loadUnaligned(fromByteOffset: position + 1, as: T.self))
    }

    /// The number behind the tag byte; moves past it.
    @inline(__always)
    private mutating func fixed<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws(MessagePackError) -> T {
        let value = try peekLength(type)
        position += 1 + MemoryLayout<T>.size
        return value
    }

    @inline(__always)
    private mutating func run(headByteCount: Int, count: Int) throws(MessagePackError) -> UnsafeRawBufferPointer {
        guard bytes.count - position - headByteCount >= count else { throw MessagePackError(.truncated, at: position) }
        let start = position + headByteCount
        position = start + count
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])
    }
}
