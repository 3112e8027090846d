import Glibc
import NexaWire

/// Names one import, however often it is taken up again: `op_id`s and the ids of documents without one are derived from it, so what is sent
/// twice is written once.
///
///     [48 bits]  milliseconds since 1970 when it began
///     [80 bits]  random
package struct ImportID: Equatable, Sendable {
    package let bytes: [UInt8]

    package init() {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let milliseconds = UInt64(now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000
        let time = (0..<6).map { UInt8(truncatingIfNeeded: milliseconds >> (40 - 8 * UInt64($0))) }
        bytes = time + (0..<10).map { _ in UInt8.random(in: .min ... .max) }
    }

    /// From 32 hexadecimal digits.
    package init?(text: String) {
        let digits = text.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 32, !digits.contains(nil) else { return nil }
        bytes = stride(from: 0, to: 32, by: 2).map { UInt8(digits[$0]! << 4 | digits[$0 + 1]!) }
    }

    package var text: String {
        bytes.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
    }

    /// Writes the `op_id` of a part of a batch. A batch has fewer than 2^20 parts, because each has a document.
    func writeOperationID(batch: UInt64, part: Int, into output: OutputBytes) {
        output.appendU8(0xC4)
        output.appendU8(24)
        output.append(bytes)
        output.appendBE(batch << 20 | UInt64(part))
    }

    /// Bytes of a derived document id: sorted by the time of the import, then by the record's number.
    ///
    ///     0........9....14.....21       Crockford base32, lower case, as the ids that a node makes
    ///     [ 45 bits ][24 bits][40 bits]   milliseconds | random | number of the record
    static let documentIDByteCount = 22

    /// Writes the id, as text, of the record `number` where it brings none.
    package func writeDocumentID(_ number: UInt64, into output: OutputBytes) {
        var milliseconds: UInt64 = 0
        for byte in bytes[..<6] { milliseconds = milliseconds << 8 | UInt64(byte) }
        let random = UInt64(bytes[6]) << 16 | UInt64(bytes[7]) << 8 | UInt64(bytes[8])
        output.writeStringHeader(Self.documentIDByteCount)
        output.append(count: Self.documentIDByteCount) { room in
            Self.write(milliseconds, digitCount: 9, to: UnsafeMutableRawBufferPointer(rebasing: room[0..<9]))
            Self.write(random, digitCount: 5, to: UnsafeMutableRawBufferPointer(rebasing: room[9..<14]))
            Self.write(number, digitCount: 8, to: UnsafeMutableRawBufferPointer(rebasing: room[14...]))
        }
    }

    /// Whether `writeDocumentID` made this key: then a document under it is the one that was sent.
    package func made(_ key: UnsafeRawBufferPointer) -> Bool {
        guard key.count == Self.documentIDByteCount else { return false }
        let mine = OutputBytes(capacity: 64)
        writeDocumentID(0, into: mine)
        return mine.bytes.dropFirst().prefix(14).elementsEqual(key.prefix(14))
    }

    private static func write(_ value: UInt64, digitCount: Int, to target: UnsafeMutableRawBufferPointer) {
        let alphabet: StaticString = "0123456789abcdefghjkmnpqrstvwxyz"
        var rest = value
        for index in stride(from: digitCount - 1, through: 0, by: -1) {
            target[index] = alphabet.utf8Start[Int(rest & 31)]
            rest >>= 5
        }
    }
}
