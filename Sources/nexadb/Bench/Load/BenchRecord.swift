/// The document of record number `id`, the same for every target, and where its bytes lie in a request.
///
///     {"_id": "user" + 12 digits,                    NEXA only: there the key travels inside the document
///      "name": "User " + 9 digits, "email": "user" + 9 digits + "@example.com", "age": 18...90}
///
/// All fields have a fixed width (58 bytes of MessagePack without `_id`), so that a request is a template whose digits are patched
/// in place. Keys are a permutation of the id modulo 10^12: creating ids in order inserts keys all over the key space.
struct BenchRecord {
    static let keyPrefix: StaticString = "user"
    static let keyByteCount = 16
    static let keyDigitCount = 12
    static let serialDigitCount = 9
    /// Ids beyond this would repeat keys.
    static let idLimit: UInt64 = 1_000_000_000_000

    /// What the 12 digits of the key say: odd, not a multiple of 5, so a bijection modulo 10^12.
    static func keyNumber(of id: UInt64) -> UInt64 {
        let product = id.multipliedFullWidth(by: 618_033_988_749)
        return idLimit.dividingFullWidth(product).remainder
    }

    /// What the 9 digits in name and email say.
    static func serial(of id: UInt64) -> UInt64 { id % 1_000_000_000 }

    static func age(of id: UInt64) -> UInt8 { 18 + UInt8(RandomSource.mix(id &+ 5) % 73) }

    /// Writes `value` as exactly `count` decimal digits.
    static func writeDigits(_ value: UInt64, count: Int, to bytes: UnsafeMutableRawPointer) {
        var rest = value
        var at = count
        while at > 0 {
            at -= 1
            let tenth = rest / 10
            bytes.storeBytes(of: UInt8(truncatingIfNeeded: 48 + rest - tenth * 10), toByteOffset: at, as: UInt8.self)
            rest = tenth
        }
    }

    static func key(of id: UInt64) -> String {
        let digits = String(keyNumber(of: id))
        return "user" + String(repeating: "0", count: keyDigitCount - digits.count) + digits
    }

    static func serialText(of id: UInt64) -> String {
        let digits = String(serial(of: id))
        return String(repeating: "0", count: serialDigitCount - digits.count) + digits
    }
}
