// The engine against a sorted dictionary: random batches, snapshots, bounded iterators both ways, flushes, compactions and
// re-openings must show exactly what the commit history says; and the same history must look the same under every option set.

import NexaStorage
import NexaTestKit
import Testing

/// One option set of the metamorphic test.
struct OptionSet: CustomTestStringConvertible, Sendable {
    let name: String
    let change: @Sendable (inout EngineOptions) -> Void
    var testDescription: String { name }

    static let all: [OptionSet] = [
        OptionSet(name: "small") { _ in },
        OptionSet(name: "no cache") { $0.cacheByteCount = 0 },
        OptionSet(name: "blocks of 1 KiB") { $0.blockByteCount = 1 << 10 },
        OptionSet(name: "blocks of 16 KiB") { $0.blockByteCount = 16 << 10 },
        OptionSet(name: "nothing compressed") {
            $0.compressesBlocks = false
            $0.compressesLog = false
        },
        OptionSet(name: "no filters") { $0.filterBitsPerKey = 0 },
        OptionSet(name: "one level, large tables") {
            $0.tableByteCount = 1 << 20
            $0.baseLevelByteCount = 64 << 20
        },
        OptionSet(name: "many levels, tiny tables") {
            $0.tableByteCount = 2 << 10
            $0.baseLevelByteCount = 4 << 10
            $0.levelSizeRatio = 2
        },
        OptionSet(name: "large memtable") { $0.memTableByteCount = 4 << 20 },
    ]
}

@Suite struct EngineModelTests {
    private static let stepCount = TestScale.count(3000, small: 400)

    @Test(arguments: OptionSet.all) func showsExactlyTheCommitHistory(_ set: OptionSet) throws {
        let seed = SeededGenerator.seed(default: 42)
        var options = smallOptions()
        set.change(&options)
        var run = try ModelRun(seed: seed, options: options)
        for _ in 0..<Self.stepCount { try run.step() }
        try run.finish()
        if let problem = run.problem { Issue.record("seed \(seed), \(set.name): \(problem)") }
    }
}

/// One random history on one engine.
struct ModelRun {
    private let options: EngineOptions
    private let disk = CrashFileSystem()
    private var generator: SeededGenerator
    private var batches = BatchGenerator()
    private var engine: Engine
    private var history = CommitHistory()
    private var snapshots: [Snapshot] = []
    private(set) var problem: String?

    init(seed: UInt64, options: EngineOptions) throws {
        self.options = options
        generator = SeededGenerator(seed: seed)
        batches.keyCount = 60
        engine = try Engine.open(directory: "/db", fileSystem: disk, options: options)
    }

    mutating func step() throws {
        switch generator.below(100) {
        case 0..<60:
            let operations = batches.batch(&generator)
            let batch = WriteBatch()
            for operation in operations { batch.add(operation) }
            history.append(operations)
            _ = try engine.commit(batch, durability: generator.chance(0.5) ? .disk : .os)
        case 60..<70: engine.flushLogInline()
        case 70..<74: try engine.flush()
        case 74..<80: try engine.stepCompaction()
        case 80..<84:
            engine.flushLogInline()
            snapshots.append(engine.makeSnapshot())
        case 84..<88 where !snapshots.isEmpty: snapshots.remove(at: generator.below(snapshots.count)).release()
        case 88..<89: try reopen()
        default: try check()
        }
    }

    mutating func finish() throws {
        try engine.waitDurable(history.lastLSN)
        try check()
        snapshots.removeAll()
        try engine.flush()
        try engine.compactAll()
        try check()
        try engine.verify()
        try reopen()
        try check()
        try engine.close()
    }

    private mutating func reopen() throws {
        snapshots.removeAll()
        try engine.close()
        engine = try Engine.open(directory: "/db", fileSystem: disk, options: options)
    }

    /// Compares a random window at a random position that the engine must be able to show.
    private mutating func check() throws {
        guard problem == nil else { return }
        let choices = [engine.visibleLSN, history.lastLSN] + snapshots.map(\.lsn)
        let lsn = choices[generator.below(choices.count)]
        let expected = history.state(at: lsn)
        let lower = generator.chance(0.5) ? batches.key(generator.below(60)) : nil
        let upper = generator.chance(0.5) ? batches.key(generator.below(60)) : nil
        let window = expected.filter { entry in
            !(lower.map { entry.key.lexicographicallyPrecedes($0) } ?? false)
                && (upper.map { entry.key.lexicographicallyPrecedes($0) } ?? true)
        }
        let reader = engine.makeReader()
        let iterator = reader.makeIterator(lowerBound: lower, upperBound: upper, at: lsn, fillCache: generator.chance(0.5))
        try compareScan(iterator, window, lsn)
        try compareSeeks(iterator, window, lsn)
        for number in 0..<60 {
            let key = batches.key(number)
            let found = try withBytes(key) { try reader.get($0, at: lsn).map { Array($0.bytes) } }
            let wanted = expected.first { $0.key == key }?.value
            if found != wanted { problem = "get of key \(number) at LSN \(lsn)" }
        }
    }

    private mutating func compareScan(
        _ iterator: EngineIterator, _ window: [(key: [UInt8], value: [UInt8])], _ lsn: LSN
    ) throws {
        var found: [(key: [UInt8], value: [UInt8])] = []
        try iterator.seekToFirst()
        while iterator.isValid {
            found.append((Array(iterator.key), Array(iterator.value)))
            try iterator.next()
        }
        guard found.count == window.count, zip(found, window).allSatisfy({ $0.key == $1.key && $0.value == $1.value }) else {
            problem = "scan at LSN \(lsn): \(found.count) entries, expected \(window.count)"
            return
        }
    }

    private mutating func compareSeeks(
        _ iterator: EngineIterator, _ window: [(key: [UInt8], value: [UInt8])], _ lsn: LSN
    ) throws {
        for _ in 0..<5 {
            let key = batches.key(generator.below(60))
            try withBytes(key) { try iterator.seek(to: $0) }
            let after = window.first { !$0.key.lexicographicallyPrecedes(key) }
            if (iterator.isValid ? Array(iterator.key) : nil) != after?.key { problem = "seek to \(key) at LSN \(lsn)" }
        }
    }
}
