import NexaStorage
import NexaWire

/// The bytes of the server's own fields in a stored document, written and found again:
///
///     a3 "_id"           string header, key
///     ab "_created_at"   ba, 26 bytes
///     ab "_updated_at"   ba, 26 bytes
///
/// They always come first and in this order, so that an update finds them without a search.
struct StoredLayout {
    static let timestampFieldByteCount = 12 + 1 + TimestampFormatter.byteCount

    /// Entries of the map, the server's own included.
    let fieldCount: Int
    /// Offset of the 26 bytes of `_created_at` in the document.
    let createdAtOffset: Int
    /// Offset of the 26 bytes of `_updated_at`.
    var updatedAtOffset: Int { createdAtOffset + Self.timestampFieldByteCount }
    /// Offset of the first of the user's entries.
    let userFieldsStart: Int

    /// Finds the parts of a stored document; nil if it is not laid out as drawn: damage.
    init?(_ document: UnsafeRawBufferPointer) {
        guard var walk = FieldWalk(document), walk.fieldCount >= 3 else { return nil }
        guard walk.next(), walk.isNamed("_id") else { return nil }
        guard walk.next(), walk.isNamed("_created_at"), walk.value.count == 1 + TimestampFormatter.byteCount else { return nil }
        createdAtOffset = walk.valueStart + 1
        guard walk.next(), walk.isNamed("_updated_at"), walk.value.count == 1 + TimestampFormatter.byteCount else { return nil }
        fieldCount = walk.fieldCount
        userFieldsStart = walk.position
    }

    static func damage(_ document: DocumentView) -> DocumentError {
        DocumentError(
            .corruption, "The stored document '\(document.key.text)' does not have the layout of a document; run `nexadb check`")
    }

    // MARK: Writing

    static func ownFieldsByteCount(keyByteCount: Int) -> Int {
        4 + stringHeaderByteCount(keyByteCount) + keyByteCount + 2 * timestampFieldByteCount
    }

    /// Writes a name of at most 31 bytes as a string.
    @inline(__always)
    static func writeName(_ name: StaticString, to target: UnsafeMutableRawPointer) -> Int {
        let count = name.utf8CodeUnitCount
        target.storeBytes(of: 0xA0 | UInt8(count), as: UInt8.self)
        (target + 1).copyMemory(from: name.utf8Start, byteCount: count)
        return count + 1
    }

    @inline(__always)
    static func writeTimestamp(_ text: UnsafeRawPointer, to target: UnsafeMutableRawPointer) -> Int {
        target.storeBytes(of: 0xA0 | UInt8(TimestampFormatter.byteCount), as: UInt8.self)
        (target + 1).copyMemory(from: text, byteCount: TimestampFormatter.byteCount)
        return 1 + TimestampFormatter.byteCount
    }

    static func stringHeaderByteCount(_ count: Int) -> Int {
        count < 32 ? 1 : count < 1 << 8 ? 2 : 3
    }

    /// The header of a string of at most 65,535 bytes: keys are shorter.
    @inline(__always)
    static func writeStringHeader(_ count: Int, to target: UnsafeMutableRawPointer) -> Int {
        precondition(count < 1 << 16)
        if count < 32 {
            target.storeBytes(of: 0xA0 | UInt8(count), as: UInt8.self)
        } else if count < 1 << 8 {
            target.storeBytes(of: 0xD9, as: UInt8.self)
            target.storeBytes(of: UInt8(count), toByteOffset: 1, as: UInt8.self)
        } else {
            target.storeBytes(of: 0xDA, as: UInt8.self)
            target.storeBytes(of: UInt16(count).bigEndian, toByteOffset: 1, as: UInt16.self)
        }
        return stringHeaderByteCount(count)
    }

    static func mapHeaderByteCount(_ count: Int) -> Int {
        count < 16 ? 1 : count < 1 << 16 ? 3 : 5
    }

    @inline(__always)
    static func writeMapHeader(_ count: Int, to target: UnsafeMutableRawPointer) -> Int {
        if count < 16 {
            target.storeBytes(of: 0x80 | UInt8(count), as: UInt8.self)
        } else if count < 1 << 16 {
            target.storeBytes(of: 0xDE, as: UInt8.self)
            target.storeBytes(of: UInt16(count).bigEndian, toByteOffset: 1, as: UInt16.self)
        } else {
            target.storeBytes(of: 0xDF, as: UInt8.self)
            target.storeBytes(of: UInt32(count).bigEndian, toByteOffset: 1, as: UInt32.self)
        }
        return mapHeaderByteCount(count)
    }
}
