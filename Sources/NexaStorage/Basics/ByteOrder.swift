/// Integers in raw memory, at any alignment. Files are little-endian, keys and the wire are big-endian.
///
/// The pointers must cover the integer: callers check lengths first.
package enum ByteOrder {
    @inlinable @inline(__always)
    package static func loadLE<T: FixedWidthInteger & BitwiseCopyable>(
        _ pointer: UnsafeRawPointer, at offset: Int = 0, as type: T.Type = T.self
    ) -> T {
        T(littleEndian: pointer.loadUnaligned(fromByteOffset: offset, as: type))
    }

    @inlinable @inline(__always)
    package static func loadBE<T: FixedWidthInteger & BitwiseCopyable>(
        _ pointer: UnsafeRawPointer, at offset: Int = 0, as type: T.Type = T.self
    ) -> T {
        T(bigEndian: pointer.loadUnaligned(fromByteOffset: offset, as: type))
    }

    @inlinable @inline(__always)
    package static func storeLE<T: FixedWidthInteger & BitwiseCopyable>(
        _ value: T, to pointer: UnsafeMutableRawPointer, at offset: Int = 0
    ) {
        pointer.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }

    @inlinable @inline(__always)
    package static func storeBE<T: FixedWidthInteger & BitwiseCopyable>(
        _ value: T, to pointer: UnsafeMutableRawPointer, at offset: Int = 0
    ) {
        pointer.storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
    }
}
