// Eight bytes of text at a time: where the next byte stands that JSON text cannot hold as it is. Little-endian words, so the lowest
// bits are the first bytes; the tests on a word are exact for the first hit, which is the only one that is used.

package enum JSONBytes {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    /// The offset of the first quote, backslash or control character at or behind `start`; `text.count` when there is none.
    /// With `andDelete` 0x7F counts as well.
    @inline(__always)
    package static func firstSpecial(_ text: UnsafeRawBufferPointer, from start: Int, andDelete: Bool = false) -> Int {
        var at = start
        while at &+ 8 <= text.count {
            let word = UInt64(littleEndian: text.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            var hits = zeros(word ^ (ones &* 0x22)) | zeros(word ^ (ones &* 0x5C)) | ((word &- ones &* 0x20) & ~word)
            if andDelete { hits |= zeros(word ^ (ones &* 0x7F)) }
            hits &= highs
            if hits != 0 { return at &+ hits.trailingZeroBitCount / 8 }
            at &+= 8
        }
        while at < text.count {
            let byte = text[at]
            if byte == 0x22 || byte == 0x5C || byte < 0x20 || (andDelete && byte == 0x7F) { return at }
            at &+= 1
        }
        return at
    }

    /// The high bit of the lowest byte that is zero, and of none below it.
    @inline(__always)
    private static func zeros(_ word: UInt64) -> UInt64 { (word &- ones) & ~word }
}
