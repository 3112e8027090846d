import CSupport
import NexaWire
import Testing

/// Every format of the MessagePack specification at its limits. The table is derived from the specification's format overview: for
/// each value all encodings that can hold it, the shortest first.
struct MessagePackFormatTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var value: MessagePackValue
        var encodings: [[UInt8]]
        var testDescription: String {
            let head = encodings[0].prefix(9).map { String($0, radix: 16) }.joined(separator: " ")
            return "\(head)... (\(encodings[0].count) bytes, \(encodings.count) encodings)"
        }
    }

    static func be<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

    static func integer(_ value: Int64) -> Row {
        var encodings: [[UInt8]] = []
        if (0...127).contains(value) { encodings.append([UInt8(value)]) }
        if (-32..<0).contains(value) { encodings.append([UInt8(bitPattern: Int8(value))]) }
        let unsigned: [[UInt8]] = [
            UInt8(exactly: value).map { [0xCC] + be($0) }, UInt16(exactly: value).map { [0xCD] + be($0) },
            UInt32(exactly: value).map { [0xCE] + be($0) }, UInt64(exactly: value).map { [0xCF] + be($0) },
        ].compactMap { $0 }
        let signed: [[UInt8]] = [
            Int8(exactly: value).map { [0xD0] + be($0) }, Int16(exactly: value).map { [0xD1] + be($0) },
            Int32(exactly: value).map { [0xD2] + be($0) }, [0xD3] + be(value),
        ].compactMap { $0 }
        // Non-negative integers are written unsigned, which is never longer.
        encodings += unsigned + signed
        return Row(value: .int(value), encodings: encodings)
    }

    static func run(
        _ value: MessagePackValue, _ body: [UInt8], fix: UInt8?, tag8: UInt8?, tag16: UInt8, tag32: UInt8, count: Int,
        type: [UInt8] = []
    ) -> Row {
        var encodings: [[UInt8]] = []
        if let fix { encodings.append([fix] + type + body) }
        if let tag8, count <= 0xFF { encodings.append([tag8] + be(UInt8(count)) + type + body) }
        if count <= 0xFFFF { encodings.append([tag16] + be(UInt16(count)) + type + body) }
        encodings.append([tag32] + be(UInt32(count)) + type + body)
        return Row(value: value, encodings: encodings)
    }

    static let rows: [Row] = {
        var rows: [Row] = [
            Row(value: nil, encodings: [[0xC0]]), Row(value: false, encodings: [[0xC2]]), Row(value: true, encodings: [[0xC3]]),
            Row(value: .uint(1 << 63), encodings: [[0xCF, 0x80, 0, 0, 0, 0, 0, 0, 0]]),
            Row(value: .uint(.max), encodings: [[0xCF] + [UInt8](repeating: 0xFF, count: 8)]),
            Row(value: .float32(0.5), encodings: [[0xCA, 0x3F, 0, 0, 0]]),
            Row(value: .float32(-.infinity), encodings: [[0xCA, 0xFF, 0x80, 0, 0]]),
            Row(value: .double(0.1), encodings: [[0xCB, 0x3F, 0xB9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9A]]),
            Row(value: .double(1), encodings: [[0xCB, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]]),
            Row(value: .double(.greatestFiniteMagnitude), encodings: [[0xCB, 0x7F, 0xEF] + [UInt8](repeating: 0xFF, count: 6)]),
            Row(value: .double(.leastNonzeroMagnitude), encodings: [[0xCB, 0, 0, 0, 0, 0, 0, 0, 1]]),
        ]
        for exponent in [5, 7, 8, 15, 16, 31, 32, 62] {
            for offset in [-1, 0, 1] as [Int64] {
                rows.append(integer(1 << exponent + offset))
                rows.append(integer(-(1 << exponent) + offset))
            }
        }
        for value in [0, 1, -1, Int64.max, Int64.min] { rows.append(integer(value)) }
        for count in [0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536] {
            let text = String(repeating: "s", count: count)
            let bytes = [UInt8](repeating: 0x73, count: count)
            let short = count < 16
            rows.append(
                run(
                    .string(text), bytes, fix: count < 32 ? 0xA0 | UInt8(count) : nil, tag8: 0xD9, tag16: 0xDA, tag32: 0xDB,
                    count: count))
            rows.append(run(.binary(bytes), bytes, fix: nil, tag8: 0xC4, tag16: 0xC5, tag32: 0xC6, count: count))
            rows.append(
                run(
                    .array(Array(repeating: nil, count: count)), [UInt8](repeating: 0xC0, count: count),
                    fix: short ? 0x90 | UInt8(count) : nil, tag8: nil, tag16: 0xDC, tag32: 0xDD, count: count))
            let entries = (0..<count).map { MessagePackValue.Entry(String($0), .int(1)) }
            rows.append(
                run(
                    .map(entries), entries.flatMap { $0.key.encoded() + [1] }, fix: short ? 0x80 | UInt8(count) : nil, tag8: nil,
                    tag16: 0xDE,
                    tag32: 0xDF, count: count))
            for type in [Int8(0), 13, 127, -2, -128] {
                let fixed: [Int: UInt8] = [1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8]
                rows.append(
                    run(
                        .ext(type, bytes), bytes, fix: fixed[count], tag8: 0xC7, tag16: 0xC8, tag32: 0xC9, count: count,
                        type: [UInt8(bitPattern: type)]))
            }
        }
        for count in [2, 4, 8] {
            let body = [UInt8](repeating: 7, count: count)
            rows.append(
                run(
                    .ext(1, body), body, fix: [2: 0xD5, 4: 0xD6, 8: 0xD7][count], tag8: 0xC7, tag16: 0xC8, tag32: 0xC9,
                    count: count, type: [1]))
        }
        return rows
    }()

    @Test(arguments: rows)
    func readsEveryEncodingAndWritesTheShortest(_ row: Row) throws {
        #expect(row.value.encoded() == row.encodings[0])
        #expect(row.encodings.allSatisfy { $0.count >= row.encodings[0].count })
        for encoding in row.encodings {
            #expect(try MessagePackValue(decoding: encoding) == row.value)
            encoding.withUnsafeBytes { bytes in
                #expect(payloadIsValid(bytes))
                #expect(nexa_mp_skip(bytes.baseAddress, bytes.count) == bytes.count)
            }
        }
    }

    @Test func coversEveryTagByte() {
        var seen = Set(Self.rows.flatMap { $0.encodings.map { $0[0] } })
        // The fixed forms appear at their limits only.
        for family in [0x00...0x7F, 0x80...0x8F, 0x90...0x9F, 0xA0...0xBF, 0xE0...0xFF] as [ClosedRange<UInt8>]
        where seen.contains(family.lowerBound) && seen.contains(family.upperBound) {
            seen.formUnion(family)
        }
        #expect(Set(0...255 as ClosedRange<UInt8>).subtracting(seen) == [0xC1])
    }

    /// Every cut of an encoding is refused by the scanner, the skipper and the reader alike.
    @Test func refusesEveryTruncation() {
        for row in Self.rows where row.encodings[0].count < 300 {
            for encoding in row.encodings {
                for count in 0..<encoding.count {
                    let cut = Array(encoding[..<count])
                    cut.withUnsafeBytes { bytes in
                        if payloadIsValid(bytes) || nexa_mp_skip(bytes.baseAddress, bytes.count) != 0 {
                            Issue.record("accepted \(count) bytes of \(encoding)")
                        }
                    }
                    if (try? MessagePackValue(decoding: cut)) != nil { Issue.record("decoded \(count) bytes of \(encoding)") }
                }
            }
        }
    }

    @Test func keepsFloatBits() throws {
        for bits in [0x7FF8_0000_0000_0001, 0xFFF0_0000_0000_0000, 0x8000_0000_0000_0000, 0x7FF0_0000_0000_0001] as [UInt64] {
            let bytes = [0xCB] + Self.be(bits)
            #expect(try MessagePackValue(decoding: bytes).encoded() == bytes)
        }
    }

    @Test func integersInFloatsCountAsIntegersWhenExact() throws {
        func read(_ bytes: [UInt8]) -> Int64? {
            bytes.withUnsafeBytes { raw in
                var reader = MessagePackReader(raw)
                return try? reader.readInt64()
            }
        }
        #expect(read(MessagePackValue.double(1_700_000_000_000).encoded()) == 1_700_000_000_000)
        #expect(read(MessagePackValue.double(0.5).encoded()) == nil)
        #expect(read(MessagePackValue.double(.nan).encoded()) == nil)
        #expect(read(MessagePackValue.double(9.3e18).encoded()) == nil)
        #expect(read(MessagePackValue.uint(.max).encoded()) == nil)
    }

    @Test func aRefusedReadDoesNotMove() {
        let bytes = MessagePackValue.array(["text", 5]).encoded()
        bytes.withUnsafeBytes { raw in
            var reader = MessagePackReader(raw)
            #expect(throws: MessagePackError(.wrongType, at: 0)) { try reader.readInt64() }
            #expect((try? reader.readArrayHeader()) == 2)
            #expect(throws: MessagePackError(.wrongType, at: 1)) { try reader.readBool() }
            #expect((try? reader.readString()) == "text")
            #expect((try? reader.readInt64()) == 5)
            #expect(throws: MessagePackError(.truncated, at: 7)) { try reader.readNil() }
        }
    }
}
