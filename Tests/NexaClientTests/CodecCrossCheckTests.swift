import Foundation
import NexaClient
import NexaWire
import Testing

/// The client's MessagePack against Python's `msgpack`: it reads what we wrote and packs the same bytes (Tests/wire/cross_check.py; `make
/// test` installs Python's side into .venv-e2e).
struct CodecCrossCheckTests {
    private static let root = ConnectionStringTests.conformance.deletingLastPathComponent().deletingLastPathComponent()
    private static let python = root.appendingPathComponent(".venv-e2e/bin/python").path
    private static let count = isScaleSmall ? 10_000 : 100_000

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: python), "Python's msgpack is not installed"))
    func pythonReadsAndWritesTheSameBytes() throws {
        var generator = SeededGenerator(seed: testSeed())
        var packed: [[UInt8]] = []
        for _ in 0..<Self.count {
            let value = Self.random(2, using: &generator)
            let output = OutputBytes(capacity: 256)
            value.encode(into: output)
            var reader = MessagePackReader(output.bytes)
            #expect(try DocumentValue.decode(from: &reader) == value)
            packed.append([UInt8](output.bytes))
        }
        let lines = packed.map(Self.hex)
        let again = try Self.repack(lines.joined(separator: "\n") + "\n").split(separator: "\n").map(String.init)
        #expect(again.count == lines.count)
        #expect(zip(again, lines).first { $0 != $1 }.map { "\($0) in place of \($1)" } == nil)
    }

    /// A random value with at most `depth` containers within each other. No NaN, so that equality holds; unique names in maps.
    private static func random(_ depth: Int, using generator: inout SeededGenerator) -> DocumentValue {
        switch Int.random(in: 0..<(depth > 0 ? 12 : 9), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2: return .int(.random(in: -200...200, using: &generator))
        case 3: return .int(Int64(truncatingIfNeeded: generator.next() >> UInt64.random(in: 0..<64, using: &generator)))
        case 4: return .uint(UInt64(Int64.max) + 1 + generator.next() >> 1)
        case 5: return .double(.random(in: -1e300...1e300, using: &generator))
        case 6: return .string(text(using: &generator))
        case 7: return .binary(generator.bytes(generator.below(40)))
        case 8: return .ext(Int8.random(in: 0...127, using: &generator), generator.bytes(generator.below(20)))
        case 9, 10: return .array((0..<generator.below(20)).map { _ in random(depth - 1, using: &generator) })
        default:
            let entries = (0..<generator.below(20)).map { number in
                ("\(number)" + text(using: &generator), random(depth - 1, using: &generator))
            }
            return .document(Document(entries))
        }
    }

    private static func text(using generator: inout SeededGenerator) -> String {
        let letters: [Character] = ["a", "Z", "ä", "€", "😀", "\u{0}", "\"", " "]
        return String((0..<generator.below(12)).map { _ in letters[generator.below(letters.count)] })
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func repack(_ input: String) throws -> String {
        // Through files: pipes of this size would have to be read and written at once.
        let directory = temporaryDirectory()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { remove(directory) }
        try Data(input.utf8).write(to: URL(fileURLWithPath: directory + "/in"))
        try Data().write(to: URL(fileURLWithPath: directory + "/out"))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = [root.appendingPathComponent("Tests/wire/cross_check.py").path, "repack"]
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: directory + "/in"))
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: directory + "/out"))
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw NexaError(.server, "cross_check.py failed") }
        return try String(contentsOfFile: directory + "/out", encoding: .utf8)
    }
}
