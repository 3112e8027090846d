/// Sizes and times as people write them in flags, variables and files: `1GiB`, `64KiB`, `30s`, `250ms`, `off`.
///
/// Reading and writing are inverse: what `--print-config` shows can be pasted back.

/// A number of bytes.
package struct ByteCount: Equatable, Sendable {
    package var value: Int

    package init(_ value: Int) { self.value = value }

    /// Reads `123`, `64KiB`, `16 MiB`, `1GiB`, `2TiB` and the decimal `kB MB GB TB`. `nil` when it is none of these or too large.
    package init?(parsing text: String) {
        let trimmed = text.filter { $0 != " " }
        let digits = trimmed.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits) else { return nil }
        let scale: Int
        switch trimmed.dropFirst(digits.count).lowercased() {
        case "", "b": scale = 1
        case "kib", "k": scale = 1 << 10
        case "mib", "m": scale = 1 << 20
        case "gib", "g": scale = 1 << 30
        case "tib", "t": scale = 1 << 40
        case "kb": scale = 1_000
        case "mb": scale = 1_000_000
        case "gb": scale = 1_000_000_000
        case "tb": scale = 1_000_000_000_000
        default: return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: scale)
        guard !overflow else { return nil }
        value = product
    }

    /// The shortest exact form in binary units.
    package var text: String {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
        where value >= 1 << shift && value % (1 << shift) == 0 {
            return "\(value >> shift)\(unit)"
        }
        return "\(value)"
    }
}

/// A span of time; zero is written `off` and means "no limit".
package struct TimeLimit: Equatable, Sendable {
    package var milliseconds: Int

    package init(milliseconds: Int) { self.milliseconds = milliseconds }
    package static func seconds(_ count: Int) -> TimeLimit { TimeLimit(milliseconds: count * 1_000) }
    package static let off = TimeLimit(milliseconds: 0)

    package var isOff: Bool { milliseconds == 0 }

    /// Reads `250ms`, `30s` (or a bare number of seconds), `10m`, `2h`, `off`.
    package init?(parsing text: String) {
        let trimmed = text.filter { $0 != " " }.lowercased()
        if trimmed == "off" {
            self = .off
            return
        }
        let digits = trimmed.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number <= 1_000_000_000 else { return nil }
        switch trimmed.dropFirst(digits.count) {
        case "ms": milliseconds = number
        case "", "s": milliseconds = number * 1_000
        case "m": milliseconds = number * 60_000
        case "h": milliseconds = number * 3_600_000
        default: return nil
        }
    }

    package var text: String {
        if milliseconds == 0 { return "off" }
        for (scale, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s")] where milliseconds % scale == 0 {
            return "\(milliseconds / scale)\(unit)"
        }
        return "\(milliseconds)ms"
    }
}
