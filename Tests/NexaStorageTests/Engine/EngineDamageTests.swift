// Damage of a closed store: bytes of every file are flipped one at a time, and files are cut. Opening and reading everything must
// detect it or not be affected; wrong or missing data without an error would be "silent", of which there must be none.

import NexaStorage
import NexaTestKit
import Testing

@Suite struct EngineDamageTests {
    private struct Tally {
        var refused = 0
        var detected = 0
        var harmless = 0
        var silent = 0
        var row: String { "refused \(refused), detected while reading \(detected), harmless \(harmless), silent \(silent)" }
    }

    @Test func noDamageIsSilent() throws {
        let disk = CrashFileSystem()
        try fill(disk)
        let engine = try Engine.open(
            directory: "/db", fileSystem: disk.crashClone(keepUnsynced: 1, seed: 0), options: damageOptions())
        let expected = try engine.contents()
        try engine.close()
        #expect(expected.count > 100)

        var generator = SeededGenerator(seed: SeededGenerator.seed(default: 3))
        var total = Tally()
        for path in try files(of: disk) {
            let bytes = try disk.contents(path)
            let used = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
            var flips = Tally()
            let stride = max(1, used / Self.sampleCount)
            var offset = 0
            while offset < used {
                var damaged = bytes
                damaged[offset] ^= UInt8(1 << generator.below(8))
                try judge(disk, path, damaged, expected, &flips)
                offset += 1 + generator.below(2 * stride - 1)
            }
            var cuts = Tally()
            for _ in 0..<10 { try judge(disk, path, Array(bytes[..<generator.below(used)]), expected, &cuts) }
            print("\(path): flips: \(flips.row); cuts: \(cuts.row)")
            total.silent += flips.silent + cuts.silent
        }
        #expect(total.silent == 0)
    }

    private static let sampleCount = TestScale.count(600, small: 60)

    private func damageOptions() -> EngineOptions {
        var options = smallOptions()
        options.manifestByteCount = 8 << 10
        options.segmentByteCount = 32 << 10
        return options
    }

    /// Tables in two levels, a manifest with edits, and a log with records that are in no table.
    private func fill(_ disk: CrashFileSystem) throws {
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: damageOptions())
        var generator = SeededGenerator(seed: 9)
        for round in 0..<3 {
            for index in 0..<60 { try engine.write { $0.put(Array("key\(round * 40 + index)".utf8), generator.bytes(60)) } }
            try engine.flush()
            if round == 1 { try engine.compactAll() }
        }
        try engine.writeDurably { $0.deleteRange("key3", "key4") }
        for index in 0..<20 { try engine.writeDurably { $0.put("late\(index)", "value \(index)") } }
        try engine.close()
    }

    private func files(of disk: CrashFileSystem) throws -> [String] {
        try ["/db", "/db/wal", "/db/sst"].flatMap { directory in
            try disk.list(directory).filter { !["wal", "sst", "LOCK"].contains($0) && !$0.hasPrefix("manifest.") }
                .map { directory + "/" + $0 }
        }
    }

    private func judge(
        _ disk: CrashFileSystem, _ path: String, _ damaged: [UInt8], _ expected: [(key: [UInt8], value: [UInt8])],
        _ tally: inout Tally
    ) throws {
        let copy = disk.crashClone(keepUnsynced: 1, seed: 0)
        try copy.setContents(path, damaged)
        let engine: Engine
        do {
            engine = try Engine.open(directory: "/db", fileSystem: copy, options: damageOptions())
        } catch {
            tally.refused += 1
            return
        }
        do {
            let found = try engine.contents()
            let isEqual =
                found.count == expected.count && zip(found, expected).allSatisfy { $0.key == $1.key && $0.value == $1.value }
            if !isEqual {
                tally.silent += 1
                print("silent: \(path)")
            } else {
                // What reading does not touch, a verification must find, or it is of no importance.
                do {
                    try engine.verify()
                    tally.harmless += 1
                } catch { tally.detected += 1 }
            }
        } catch {
            tally.detected += 1
        }
        try? engine.close()
    }
}
