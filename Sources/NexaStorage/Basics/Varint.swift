/// Unsigned LEB128: seven bits a byte, least significant first, high bit set on all but the last.
///
/// Every value has exactly one accepted encoding: longer ones, and values beyond 64 bits, do not decode.
package enum Varint {
    package static let byteCountMax = 10

    @inlinable
    package static func byteCount(_ value: UInt64) -> Int {
        value == 0 ? 1 : (70 - value.leadingZeroBitCount) / 7
    }

    /// Writes the value and answers how many bytes it took. The memory must have room for `byteCount(value)`.
    @inlinable @discardableResult
    package static func encode(_ value: UInt64, to pointer: UnsafeMutableRawPointer) -> Int {
        var rest = value
        var count = 0
        while rest >= 0x80 {
            pointer.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
            rest >>= 7
            count += 1
        }
        pointer.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
        return count + 1
    }

    /// Appends the value to an array; for code that is not hot.
    package static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// The value at `position`, which moves behind it; nil, with `position` unmoved, when the bytes are not a valid value.
    @inlinable
    package static func decode(_ bytes: UnsafeRawBufferPointer, at position: inout Int) -> UInt64? {
        var index = position
        guard index < bytes.count else { return nil }
        let first = bytes[index]
        if first < 0x80 {
            position = index + 1
            return UInt64(first)
        }
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while true {
            index += 1
            guard index < bytes.count, shift < 64 else { return nil }
            let byte = bytes[index]
            if shift == 63 && byte > 1 { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 {
                guard byte != 0 else { return nil }
                position = index + 1
                return value
            }
            shift += 7
        }
    }
}
