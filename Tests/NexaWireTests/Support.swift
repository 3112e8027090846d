import Foundation
import NexaWire

/// The bytes that hexadecimal `text` spells; spaces are for the eye.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }
    precondition(digits.count % 2 == 0)
    var bytes: [UInt8] = []
    var index = digits.startIndex
    while index < digits.endIndex {
        let next = digits.index(index, offsetBy: 2)
        bytes.append(UInt8(digits[index..<next], radix: 16)!)
        index = next
    }
    return bytes
}

/// The text of a file in Tests/Fixtures.
func fixture(_ name: String) throws -> String {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try String(contentsOf: tests.appendingPathComponent("Fixtures").appendingPathComponent(name), encoding: .utf8)
}

/// The content of an output buffer.
func written(_ body: (OutputBytes) -> Void) -> [UInt8] {
    let output = OutputBytes(capacity: 64)
    body(output)
    return output.withUnsafeBytes { [UInt8]($0) }
}

/// A whole frame around `payload`.
func frame(
    type: UInt8 = MessageType.ping.rawValue, flags: UInt16 = 0, version: UInt8 = 1, length: Int? = nil, _ payload: [UInt8] = []
) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: FrameHeader.byteCount)
    bytes.withUnsafeMutableBytes { room in
        FrameHeader(
            version: version, type: type, flags: FrameFlags(rawValue: flags), payloadByteCount: UInt32(length ?? payload.count)
        ).encode(into: room)
    }
    return bytes + payload
}

/// A small generator whose sequence depends on the seed alone.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// The seed of a randomised test: NEXA_TEST_SEED, or a random one, which is printed.
func testSeed(_ name: String = #function) -> UInt64 {
    if let text = ProcessInfo.processInfo.environment["NEXA_TEST_SEED"], let seed = UInt64(text) { return seed }
    let seed = UInt64.random(in: 0..<1 << 32)
    print("\(name): NEXA_TEST_SEED=\(seed)")
    return seed
}

extension MessagePackValue {
    /// A random value with at most `depth` containers within each other. No NaN, so that equality holds.
    static func random(_ depth: Int, using generator: inout SeededGenerator) -> MessagePackValue {
        switch Int.random(in: 0..<(depth > 0 ? 12 : 9), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2: return .int(Int64.random(in: -200...200, using: &generator))
        case 3: return .int(Int64(truncatingIfNeeded: generator.next() >> UInt64.random(in: 0..<64, using: &generator)))
        case 4: return .uint(UInt64(Int64.max) + 1 + generator.next() >> 1)
        case 5: return .double(Double(Int64.random(in: -1000...1000, using: &generator)) / 8)
        case 6:
            let alphabet: [Character] = ["a", "z", "0", " ", "\"", "\\", "\n", "é", "漢", "🍺", "\u{7F}"]
            return .string(
                String((0..<Int.random(in: 0..<40, using: &generator)).map { _ in alphabet.randomElement(using: &generator)! }))
        case 7:
            return .binary(
                (0..<Int.random(in: 0..<40, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) })
        case 8:
            return .ext(
                5, (0..<Int.random(in: 0..<20, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) })
        case 9, 10:
            return .map(
                (0..<Int.random(in: 0..<20, using: &generator)).map { index in
                    Entry("k\(index)", .random(depth - 1, using: &generator))
                })
        default: return .array((0..<Int.random(in: 0..<20, using: &generator)).map { _ in .random(depth - 1, using: &generator) })
        }
    }
}
