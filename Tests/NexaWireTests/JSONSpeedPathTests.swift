import NexaTestKit
import NexaWire
import Testing

/// The quick ways of the JSON code agree with the slow ones.
struct JSONSpeedPathTests {
    @Test func numbersReadAsTheStandardLibraryReadsThem() throws {
        var texts = [
            "0", "-0", "0.0", "-0.0", "9007199254740993.0", "0.1", "123456789012345678", "1234567890123456789", "0.000001", "1e0",
            "5e-324",
        ]
        var random = SeededGenerator(seed: testSeed())
        for _ in 0..<20_000 {
            let whole = UInt64.random(in: 0..<(1 << UInt64.random(in: 1...62)), using: &random)
            let fraction = String(repeating: "0", count: Int.random(in: 0...4)) + String(UInt64.random(in: 0...999_999_999))
            texts.append("-\(whole)")
            texts.append("\(whole).\(fraction)")
            texts.append(Double(bitPattern: random.next()).description)
        }
        for text in texts where Double(text)?.isFinite == true {
            let isInteger = !text.contains { ".eE".contains($0) } && text != "-0"
            let wanted: MessagePackValue = isInteger ? .int(Int64(text)!) : .double(Double(text)!)
            #expect(try MessagePackValue(decoding: JSONParser.parse(text)) == wanted, "\(text)")
            if case .double(let number) = wanted, number == 0 {
                let read = try MessagePackValue(decoding: JSONParser.parse(text))
                #expect(read.encoded() == wanted.encoded(), "the sign of \(text)")
            }
        }
    }

    @Test func specialBytesAreFoundAtEveryPlace() {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<20 {
                var text = [UInt8](repeating: 0xFF, count: 20)
                text[place] = byte
                let isSpecial = byte == 0x22 || byte == 0x5C || byte < 0x20
                text.withUnsafeBytes { bytes in
                    #expect(JSONBytes.firstSpecial(bytes, from: 0) == (isSpecial ? place : 20))
                    #expect(JSONBytes.firstSpecial(bytes, from: 0, andDelete: true) == (isSpecial || byte == 0x7F ? place : 20))
                    #expect(JSONBytes.firstSpecial(bytes, from: min(place + 1, 20)) == 20)
                }
            }
        }
    }

    @Test func exactTextReadsBackAsTheSameNumber() throws {
        let values: [MessagePackValue] = [
            .float32(0.1), .double(0.1), .ext(-1, Timestamp(seconds: 1 << 40, nanoseconds: 5).body),
        ]
        for value in values {
            let output = OutputBytes()
            try value.encoded().withUnsafeBytes { try JSONText.write($0, into: output, style: .init(isExact: true)) }
            let read = try MessagePackValue(decoding: JSONParser.parse(output.bytes))
            if case .float32(let number) = value { #expect(read == .double(Double(number))) } else { #expect(read == value) }
        }
    }
}
