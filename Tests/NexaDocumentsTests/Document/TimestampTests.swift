import Foundation
import NexaDocuments
import NexaTestKit
import Testing

struct TimestampTests {
    private func text(_ microseconds: Int64, _ formatter: inout TimestampFormatter) -> String {
        var bytes = [UInt8](repeating: 0, count: TimestampFormatter.byteCount)
        bytes.withUnsafeMutableBytes { formatter.write(microseconds, to: $0.baseAddress!) }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func writesTheFormOfExistingClients() {
        var formatter = TimestampFormatter()
        #expect(text(1_795_357_366_595_872, &formatter) == "2026-11-22T14:22:46.595872")
        #expect(text(0, &formatter) == "1970-01-01T00:00:00.000000")
        #expect(text(-1, &formatter) == "1969-12-31T23:59:59.999999")
        #expect(text(951_782_400_000_000, &formatter) == "2000-02-29T00:00:00.000000")
        #expect(text(4_107_542_400_000_001, &formatter) == "2100-03-01T00:00:00.000001")
    }

    @Test func staysWithinFourDigitYears() {
        var formatter = TimestampFormatter()
        #expect(text(.max, &formatter) == "9999-12-31T23:59:59.999999")
        #expect(text(.min, &formatter) == "0000-01-01T00:00:00.000000")
    }

    @Test func agreesWithFoundationOnRandomDays() {
        let seed = SeededGenerator.seed(default: 7)
        var random = SeededGenerator(seed: seed)
        var formatter = TimestampFormatter()
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: "UTC")!
        for _ in 0..<2000 {
            let microseconds = Int64(random.below(4_000_000_000)) * 1_000_000 + Int64(random.below(1_000_000))
            let date = Date(timeIntervalSince1970: Double(microseconds / 1_000_000))
            let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute, .second], from: date)
            let expected = String(
                format: "%04d-%02d-%02dT%02d:%02d:%02d.%06d", parts.year!, parts.month!, parts.day!, parts.hour!, parts.minute!,
                parts.second!, Int(microseconds % 1_000_000))
            #expect(text(microseconds, &formatter) == expected, "seed \(seed)")
        }
    }
}
