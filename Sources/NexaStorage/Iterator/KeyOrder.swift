import CSupport

/// Bytewise order of user keys: negative, zero or positive. A shorter key comes before its extensions.
@inline(__always)
package func compareKeys(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    Int(nexa_key_compare(left.bytePointer, left.count, right.bytePointer, right.count))
}

/// The hash that filters use: compute it once a look-up and pass it to every table.
@inline(__always)
package func filterHash(_ key: UnsafeRawBufferPointer) -> UInt64 {
    nexa_xxh3(key.baseAddress, key.count, 0)
}
