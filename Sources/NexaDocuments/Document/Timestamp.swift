/// Text of a point in time as `_created_at` and `_updated_at` hold it: 26 bytes of ISO 8601, UTC, microseconds, no zone.
///
///     2026-11-22T14:22:46.595872
///     |---- per second ---|micro|
///
/// The part up to the second is kept between calls, so that most calls write only the six digits. Years 0000 to 9999.
/// Confined to one thread.
package struct TimestampFormatter {
    package static let byteCount = 26

    private var second = Int64.min
    private var text: InlineArray<26, UInt8> = .init(repeating: 0)

    package init() {}

    /// Writes the 26 bytes for `microseconds` (since 1970) to the start of `target`.
    package mutating func write(_ microseconds: Int64, to target: UnsafeMutableRawPointer) {
        let clamped = min(max(microseconds, -62_167_219_200_000_000), 253_402_300_799_999_999)
        let (quotient, remainder) = clamped.quotientAndRemainder(dividingBy: 1_000_000)
        let seconds = remainder < 0 ? quotient - 1 : quotient
        let fraction = remainder < 0 ? remainder + 1_000_000 : remainder
        if seconds != second { format(seconds: seconds) }
        putDigits(Int(fraction), count: 6, at: 20)
        for index in 0..<26 { target.storeBytes(of: text[index], toByteOffset: index, as: UInt8.self) }
    }

    private mutating func format(seconds: Int64) {
        second = seconds
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let time = Int(seconds - days * 86_400)
        let (year, month, day) = Self.civilDate(days: Int(days))
        putDigits(year, count: 4, at: 0)
        text[4] = UInt8(ascii: "-")
        putDigits(month, count: 2, at: 5)
        text[7] = UInt8(ascii: "-")
        putDigits(day, count: 2, at: 8)
        text[10] = UInt8(ascii: "T")
        putDigits(time / 3600, count: 2, at: 11)
        text[13] = UInt8(ascii: ":")
        putDigits(time / 60 % 60, count: 2, at: 14)
        text[16] = UInt8(ascii: ":")
        putDigits(time % 60, count: 2, at: 17)
        text[19] = UInt8(ascii: ".")
    }

    /// The microseconds since 1970 of a text that `write` made; nil for any other. Total.
    package static func microseconds(_ text: UnsafeRawBufferPointer) -> Int64? {
        guard text.count == byteCount, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"), text[10] == UInt8(ascii: "T"),
            text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"), text[19] == UInt8(ascii: ".")
        else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in text[range] {
                guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
                value = value * 10 + Int(byte - UInt8(ascii: "0"))
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), let micro = number(20..<26), (1...12).contains(month)
        else { return nil }
        // The inverse of `civilDate`.
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return Int64(((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + Int64(micro)
    }

    /// Proleptic Gregorian date of a day counted from 1970-01-01: years are counted from March, so that the leap day is the last
    /// of its year, in eras of 400 years, which all have 146,097 days.
    private static func civilDate(days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private mutating func putDigits(_ value: Int, count: Int, at offset: Int) {
        var rest = value
        for index in stride(from: offset + count - 1, through: offset, by: -1) {
            text[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }
}
