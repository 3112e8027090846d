// MessagePack writers. Integers and lengths always take their shortest form; a Double is always float64 and a Float float32.

extension OutputBytes {
    @inlinable package func writeNil() { appendU8(0xC0) }
    @inlinable package func writeBool(_ value: Bool) { appendU8(value ? 0xC3 : 0xC2) }

    /// A signed integer in its shortest form (non-negative ones as unsigned).
    package func writeInt(_ value: Int64) {
        if value >= 0 {
            writeUInt(UInt64(value))
        } else if value >= -32 {
            appendU8(UInt8(truncatingIfNeeded: value))
        } else if value >= -0x80 {
            writeTagged(0xD0, UInt8(truncatingIfNeeded: value))
        } else if value >= -0x8000 {
            writeTagged(0xD1, UInt16(truncatingIfNeeded: value))
        } else if value >= -0x8000_0000 {
            writeTagged(0xD2, UInt32(truncatingIfNeeded: value))
        } else {
            writeTagged(0xD3, UInt64(bitPattern: value))
        }
    }

    /// An `Int` in its shortest form.
    @inlinable package func writeInt(_ value: Int) { writeInt(Int64(value)) }

    /// An unsigned integer in its shortest form.
    package func writeUInt(_ value: UInt64) {
        if value < 0x80 {
            appendU8(UInt8(truncatingIfNeeded: value))
        } else if value <= 0xFF {
            writeTagged(0xCC, UInt8(truncatingIfNeeded: value))
        } else if value <= 0xFFFF {
            writeTagged(0xCD, UInt16(truncatingIfNeeded: value))
        } else if value <= 0xFFFF_FFFF {
            writeTagged(0xCE, UInt32(truncatingIfNeeded: value))
        } else {
            writeTagged(0xCF, value)
        }
    }

    package func writeDouble(_ value: Double) { writeTagged(0xCB, value.bitPattern) }
    package func writeFloat(_ value: Float) { writeTagged(0xCA, value.bitPattern) }

    /// A string known at compile time.
    package func writeString(_ text: StaticString) {
        precondition(text.hasPointerRepresentation)
        writeString(bytes: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    package func writeString(_ text: String) {
        var text = text
        text.withUTF8 { writeString(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// A string from its UTF-8 bytes, which the caller vouches for.
    package func writeString(bytes: UnsafeRawBufferPointer) {
        writeStringHeader(bytes.count)
        append(bytes)
    }

    package func writeStringHeader(_ byteCount: Int) {
        if byteCount < 32 {
            appendU8(0xA0 | UInt8(truncatingIfNeeded: byteCount))
        } else if byteCount <= 0xFF {
            writeTagged(0xD9, UInt8(truncatingIfNeeded: byteCount))
        } else {
            writeLongHeader(byteCount, tag16: 0xDA, tag32: 0xDB)
        }
    }

    package func writeBin(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count <= 0xFF {
            writeTagged(0xC4, UInt8(truncatingIfNeeded: bytes.count))
        } else {
            writeLongHeader(bytes.count, tag16: 0xC5, tag32: 0xC6)
        }
        append(bytes)
    }

    package func writeArrayHeader(_ count: Int) {
        if count < 16 {
            appendU8(0x90 | UInt8(truncatingIfNeeded: count))
        } else {
            writeLongHeader(count, tag16: 0xDC, tag32: 0xDD)
        }
    }

    package func writeMapHeader(_ count: Int) {
        if count < 16 {
            appendU8(0x80 | UInt8(truncatingIfNeeded: count))
        } else {
            writeLongHeader(count, tag16: 0xDE, tag32: 0xDF)
        }
    }

    /// An array header of the fixed five-byte form whose count is filled in later with `patchArrayHeader`: for results whose number is
    /// known only at the end. Returns the offset to patch.
    package func writeOpenArrayHeader() -> Int {
        writeTagged(0xDD, UInt32(0))
        return byteCount - 4
    }

    /// Fills in the count of an array begun with `writeOpenArrayHeader`.
    package func patchArrayHeader(at offset: Int, count: Int) {
        storeBE(UInt32(count), at: offset)
    }

    package func writeExt(type: Int8, _ bytes: UnsafeRawBufferPointer) {
        switch bytes.count {
        case 1: appendU8(0xD4)
        case 2: appendU8(0xD5)
        case 4: appendU8(0xD6)
        case 8: appendU8(0xD7)
        case 16: appendU8(0xD8)
        case 0...0xFF: writeTagged(0xC7, UInt8(truncatingIfNeeded: bytes.count))
        default: writeLongHeader(bytes.count, tag16: 0xC8, tag32: 0xC9)
        }
        appendU8(UInt8(bitPattern: type))
        append(bytes)
    }

    /// A value that is MessagePack already: a document, or a part of one.
    @inlinable package func writeRaw(_ value: UnsafeRawBufferPointer) { append(value) }

    @inline(__always)
    private func writeTagged<T: FixedWidthInteger & BitwiseCopyable>(_ tag: UInt8, _ value: T) {
        reserve(1 + MemoryLayout<T>.size)
        base.storeBytes(of: tag, toByteOffset: tail, as: UInt8.self)
        base.storeBytes(of: value.bigEndian, toByteOffset: tail &+ 1, as: T.self)
        tail &+= 1 &+ MemoryLayout<T>.size
    }

    private func writeLongHeader(_ count: Int, tag16: UInt8, tag32: UInt8) {
        if count <= 0xFFFF {
            writeTagged(tag16, UInt16(truncatingIfNeeded: count))
        } else {
            precondition(count <= Int(UInt32.max), "MessagePack lengths are u32")
            writeTagged(tag32, UInt32(truncatingIfNeeded: count))
        }
    }
}
