/// Fixed-width hexadecimal, as file names and reports use it.
package enum Hex {
    /// Sixteen lower-case digits.
    package static func string(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The value of exactly sixteen lower-case digits; nil for anything else.
    package static func value(_ digits: Substring) -> UInt64? {
        guard digits.utf8.count == 16, digits.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else {
            return nil
        }
        return UInt64(digits, radix: 16)
    }
}
