// The total order over MessagePack values, from C (nexa_mp_compare in nexa_msgpack.h has the table).

import CSupport

/// Below, at or above zero as the MessagePack value `a` sorts before, with or after `b`.
@inline(__always)
package func compareValues(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int32 {
    nexa_mp_compare(a.baseAddress, a.count, b.baseAddress, b.count)
}

/// Whether two MessagePack values are equal: numbers by value, maps with their order.
@inline(__always)
package func valuesAreEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    nexa_mp_equal(a.baseAddress, a.count, b.baseAddress, b.count)
}

/// The value under `key` at the top level of the MessagePack map `map`.
@inline(__always)
package func findValue(_ key: StaticString, in map: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    let found = nexa_mp_map_find(map.baseAddress, map.count, key.utf8Start, key.utf8CodeUnitCount)
    return found.ptr.map { UnsafeRawBufferPointer(start: $0, count: found.len) }
}
