import Foundation
import NexaWire
import Testing

/// Our MessagePack against Python's `msgpack`: a corpus that it made, and random values of ours when it is at hand
/// (Tests/wire/cross_check.py; `make test` installs it into .venv-e2e).
struct CrossCheckTests {
    @Test func readsAndWritesWhatPythonPacks() throws {
        let lines = try fixture("msgpack-corpus.txt").split(separator: "\n")
        #expect(lines.count == 300)
        for line in lines {
            let parts = line.split(separator: "\t", maxSplits: 1)
            let packed = hex(String(parts[0]))
            let value = try MessagePackValue(decoding: packed)
            #expect(value.encoded() == packed)
            // The JSON of both sides means the same bytes.
            #expect(try JSONParser.parse(String(parts[1])) == packed)
            #expect(try JSONParser.parse(JSONText.write(value)) == packed)
        }
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// How to call a Python that can import msgpack.
    static let python: [String]? = [[root.appendingPathComponent(".venv-e2e/bin/python").path], ["/usr/bin/env", "python3"]].first
    {
        (try? run($0, ["-c", "import msgpack"], input: "")) != nil
    }

    struct Failed: Error {}

    static func run(_ command: [String], _ arguments: [String], input: String) throws -> String {
        // Through files: pipes of this size would have to be read and written at once.
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-cross-check-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let (source, target) = (directory.appendingPathComponent("in"), directory.appendingPathComponent("out"))
        try Data(input.utf8).write(to: source)
        try Data().write(to: target)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = command.dropFirst() + arguments
        process.standardInput = try FileHandle(forReadingFrom: source)
        process.standardOutput = try FileHandle(forWritingTo: target)
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failed() }
        return try String(contentsOf: target, encoding: .utf8)
    }

    @Test(.enabled(if: python != nil, "Python's msgpack is not installed"))
    func pythonUnpacksAndPacksTheSameBytes() throws {
        var generator = SeededGenerator(seed: testSeed())
        let packed = (0..<3000).map { _ in MessagePackValue.random(2, using: &generator).encoded() }
        let lines = packed.map { $0.map { String(format: "%02x", $0) }.joined() }
        let script = Self.root.appendingPathComponent("Tests/wire/cross_check.py").path
        let answer = try Self.run(try #require(Self.python), [script, "repack"], input: lines.joined(separator: "\n") + "\n")
        let again = answer.split(separator: "\n").map(String.init)
        #expect(again.count == lines.count)
        #expect(zip(again, lines).first { $0 != $1 }.map { "\($0) in place of \($1)" } == nil)
    }
}
