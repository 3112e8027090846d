// MessagePack timestamps: ext type -1 in three widths.
//
//     4 bytes:  u32 seconds
//     8 bytes:  u30 nanoseconds | u34 seconds
//     12 bytes: u32 nanoseconds | i64 seconds

/// An instant: seconds and nanoseconds since 1970-01-01T00:00:00Z.
package struct Timestamp: Sendable, Hashable {
    package var seconds: Int64
    package var nanoseconds: UInt32

    package init(seconds: Int64, nanoseconds: UInt32) {
        precondition(nanoseconds < 1_000_000_000)
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// From the body of an ext of type -1; nil when it is none of the three forms.
    package init?(_ body: UnsafeRawBufferPointer) {
        switch body.count {
        case 4:
            seconds = Int64(UInt32(bigEndian: body.loadUnaligned(as: UInt32.self)))
            nanoseconds = 0
        case 8:
            let bits = UInt64(bigEndian: body.loadUnaligned(as: UInt64.self))
            seconds = Int64(bits & 0x3_FFFF_FFFF)
            nanoseconds = UInt32(bits >> 34)
        case 12:
            nanoseconds = UInt32(bigEndian: body.loadUnaligned(as: UInt32.self))
            seconds = Int64(bigEndian: body.loadUnaligned(fromByteOffset: 4, as: Int64.self))
        default: return nil
        }
        guard nanoseconds < 1_000_000_000 else { return nil }
    }

    /// The body of the shortest ext of type -1.
    package var body: [UInt8] {
        if seconds >= 0, seconds < 1 << 34 {
            let bits = UInt64(nanoseconds) << 34 | UInt64(seconds)
            if bits <= UInt64(UInt32.max) { return bigEndian(UInt32(bits)) }
            return bigEndian(bits)
        }
        return bigEndian(nanoseconds) + bigEndian(seconds)
    }

    /// ISO 8601 in UTC with as many decimals (0, 3, 6 or 9) as it takes. Years beyond 0...9999 have a sign, as ISO 8601 wants.
    package var text: String {
        let rest = seconds % 86400
        let days = seconds / 86400 - (rest < 0 ? 1 : 0)
        let second = Int(rest < 0 ? rest + 86400 : rest)
        let (year, month, day) = Timestamp.civil(days)
        var result = year < 0 ? "-" : year > 9999 ? "+" : ""
        result += "\(pad(year.magnitude, 4))-\(pad(month, 2))-\(pad(day, 2))T"
        result += "\(pad(second / 3600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2))"
        if nanoseconds % 1_000_000 == 0 {
            if nanoseconds > 0 { result += ".\(pad(nanoseconds / 1_000_000, 3))" }
        } else if nanoseconds % 1000 == 0 {
            result += ".\(pad(nanoseconds / 1000, 6))"
        } else {
            result += ".\(pad(nanoseconds, 9))"
        }
        return result + "Z"
    }

    /// Whether the year has four digits and no sign, so that `init(text:)` reads what `text` writes.
    package var hasPlainYear: Bool { (-62_167_219_200..<253_402_300_800).contains(seconds) }

    /// From `YYYY-MM-DDTHH:MM:SS[.decimals](Z|+HH:MM|-HH:MM)`; nil for anything else.
    package init?(text: String) {
        var scan = Scanner(bytes: Array(text.utf8))
        guard let year = scan.number(4), scan.take("-"), let month = scan.number(2), scan.take("-"), let day = scan.number(2),
            scan.take("T"), let hour = scan.number(2), scan.take(":"), let minute = scan.number(2), scan.take(":"),
            let second = scan.number(2)
        else { return nil }
        guard (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60 else { return nil }
        let days = Timestamp.days(year: year, month: month, day: day)
        guard Timestamp.civil(days) == (year, month, day) else { return nil }
        guard let nanoseconds = scan.decimals(), let offset = scan.zone(), scan.isAtEnd else { return nil }
        seconds = days * 86400 + Int64(hour * 3600 + minute * 60 + second) - offset
        self.nanoseconds = nanoseconds
    }

    // MARK: Calendar
    // Days from 1970-01-01 to the proleptic Gregorian date and back, counted in 400-year eras that begin on 1 March.

    private static func civil(_ days: Int64) -> (Int, Int, Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
        let month = Int(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
        return (Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0), month, day)
    }

    private static func days(year: Int, month: Int, day: Int) -> Int64 {
        let y = Int64(month <= 2 ? year - 1 : year)
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private func pad(_ number: some BinaryInteger, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private func bigEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}

/// Reads fixed-width decimal fields.
private struct Scanner {
    let bytes: [UInt8]
    var position = 0

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func number(_ width: Int) -> Int? {
        guard bytes.count - position >= width else { return nil }
        var result = 0
        for byte in bytes[position..<position + width] {
            guard (0x30...0x39).contains(byte) else { return nil }
            result = result * 10 + Int(byte - 0x30)
        }
        position += width
        return result
    }

    /// The optional decimals of a second, in nanoseconds.
    mutating func decimals() -> UInt32? {
        guard take(".") else { return 0 }
        var result: UInt32 = 0
        var count = 0
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
            if count < 9 { result = result * 10 + UInt32(bytes[position] - 0x30) }
            count += 1
            position += 1
        }
        guard count > 0 else { return nil }
        for _ in min(count, 9)..<9 { result *= 10 }
        return result
    }

    /// The zone's offset in seconds.
    mutating func zone() -> Int64? {
        if take("Z") { return 0 }
        let sign: Int64
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60 else { return nil }
        return sign * Int64(hours * 3600 + minutes * 60)
    }
}
