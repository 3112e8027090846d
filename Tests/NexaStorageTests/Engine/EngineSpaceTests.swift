// What leaves the disk, and what must not.

import Glibc
import NexaStorage
import NexaTestKit
import Synchronization
import Testing

@Suite struct EngineSpaceTests {
    private func threaded() -> EngineOptions {
        var options = smallOptions()
        options.backgroundWork = .threads
        return options
    }

    private func tables(_ disk: any FileSystem) throws -> [String] { try disk.list("/db/sst").sorted() }

    /// Polls, for at most ten seconds.
    private func comes(_ condition: () throws -> Bool) rethrows -> Bool {
        for _ in 0..<1000 {
            if try condition() { return true }
            usleep(10_000)
        }
        return try condition()
    }

    /// A store whose L0 is to be compacted as soon as threads run.
    private func storeWithACompactionDue(_ disk: CrashFileSystem) throws {
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        for round in 0..<6 {
            for key in 0..<20 { try engine.writeDurably { $0.put("key\(key)", "value \(round)") } }
            try engine.flush()
        }
        try engine.close()
    }

    /// Until an edit names it, a table that a compaction writes looks like one that a crash left.
    @Test func aStartTakesNoTableOfARunningCompactionForALeftover() throws {
        let disk = CrashFileSystem()
        try storeWithACompactionDue(disk)
        let isWriting = Mutex(false)
        let files = FaultFileSystem(disk) { operation, path, _ in
            if operation == .write && path.hasSuffix(".sst") { isWriting.withLock { $0 = true } }
            // A compaction that may run now has half a second to begin.
            guard operation == .list && path.hasSuffix("/sst") else { return }
            for _ in 0..<50 where !isWriting.withLock({ $0 }) { usleep(10_000) }
        }
        var engine = try Engine.open(directory: "/db", fileSystem: files, options: threaded())
        #expect(comes { isWriting.withLock { $0 } })
        try engine.close()
        engine = try Engine.open(directory: "/db", fileSystem: disk, options: smallOptions())
        let contents = try engine.contents()
        #expect(contents.count == 20 && contents.allSatisfy { String(decoding: $0.value, as: UTF8.self) == "value 5" })
        try engine.close()
    }

    @Test func tablesGoWhenTheirLastReaderEnds() throws {
        let disk = CrashFileSystem()
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: threaded())
        func isHeld() throws -> Bool { try engine.metrics().levelTableCounts.reduce(0, +) < tables(disk).count }
        try engine.writeDurably { $0.put("key0", "first") }
        try engine.flush()
        var iterator: EngineIterator? = engine.makeReader().makeIterator(at: engine.visibleLSN)
        try iterator?.seekToFirst()
        for round in 0..<8 {
            try engine.writeDurably { $0.put("key0", "round \(round)") }
            try engine.flush()
        }
        #expect(try comes(isHeld), "a reader holds what was compacted away")
        iterator = nil
        #expect(try comes { try !isHeld() })
        try engine.close()
    }

    @Test func whatARangeDeleteHidesLeavesTheDiskOfAQuietStore() throws {
        let disk = CrashFileSystem()
        let engine = try Engine.open(directory: "/db", fileSystem: disk, options: threaded())
        for key in 0..<200 { try engine.writeDurably { $0.put("key\(key)", String(repeating: "x", count: 1_000)) } }
        try engine.flush()
        #expect(try !tables(disk).isEmpty)
        try engine.writeDurably { $0.deleteRange("key", "kez") }
        #expect(try comes { try tables(disk).isEmpty })
        try engine.close()
    }

    /// The tables are in the view by then: the memtables have to make room whatever becomes of old segments.
    @Test func segmentsThatCannotBeRemovedHoldNoMemTables() throws {
        let files = FaultFileSystem(CrashFileSystem())
        let engine = try Engine.open(directory: "/db", fileSystem: files, options: smallOptions())
        files.add(FaultRule(.remove, pathSuffix: ".wal", count: .max, effect: .fail(errno: EIO)))
        files.add(FaultRule(.rename, pathSuffix: ".wal", count: .max, effect: .fail(errno: EIO)))
        for round in 0..<40 {
            for key in 0..<40 {
                try engine.writeDurably { $0.put("key\(key)", String(repeating: "\(round % 10)", count: 1_000)) }
            }
            try engine.flush()
        }
        #expect(try engine.text("key7")?.first == "9")
        try engine.close()
    }
}
