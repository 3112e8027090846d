import NexaStorage

/// A mistake planted between the engine and the disk, to see whether the simulation notices it.
package enum PlantedBug: String, CaseIterable, Sendable {
    /// The log says "synced" and is not: no fsync before the answer.
    case logSyncLies = "no fsync before the answer"
    /// Names of new files are never made durable.
    case directorySyncLies = "no directory fsync"
    /// Torn log records pass for whole ones.
    case checksumIgnored = "checksum ignored"
    /// Tables are named in the manifest before they are on disk.
    case tableSyncLies = "no fsync of tables"
}

/// One seed of the crash test: an engine without threads over a disk in memory, a random workload, and crashes at random moments, between
/// two operations or between any two calls to the disk (also while recovery runs). After each crash the engine must open and show a prefix
/// of the commit order that holds everything it had acknowledged; then the workload goes on from there.
package struct CrashSimulation {
    package struct Report: Sendable {
        package var crashCount = 0
        package var crashesInsideCallsCount = 0
        package var crashesInRecoveryCount = 0
        package var batchCount = 0
        package var flushCount = 0
        package var compactionCount = 0
        package var reopenCount = 0
        /// Failed logs that writing went on after.
        package var resumeCount = 0
        /// Batches that were committed, not acknowledged as durable, and gone after a crash.
        package var forgottenBatchCount = 0
        /// What must never happen, in words.
        package var violations: [String] = []

        package init() {}

        package static func += (total: inout Report, part: Report) {
            total.crashCount += part.crashCount
            total.crashesInsideCallsCount += part.crashesInsideCallsCount
            total.crashesInRecoveryCount += part.crashesInRecoveryCount
            total.batchCount += part.batchCount
            total.flushCount += part.flushCount
            total.compactionCount += part.compactionCount
            total.reopenCount += part.reopenCount
            total.resumeCount += part.resumeCount
            total.forgottenBatchCount += part.forgottenBatchCount
            total.violations += part.violations
        }
    }

    private static let directory = "/db"

    private let seed: UInt64
    private let bug: PlantedBug?
    private var generator: SeededGenerator
    private var history = CommitHistory()
    /// Batches that were committed with durability `disk`.
    private var durableRequests: Set<LSN> = []
    private var disk = CrashFileSystem()
    private var report = Report()

    package init(seed: UInt64, bug: PlantedBug? = nil) {
        self.seed = seed
        self.bug = bug
        generator = SeededGenerator(seed: seed)
    }

    /// Runs until `crashCount` crashes are survived, or something is wrong.
    package static func run(seed: UInt64, crashCount: Int, bug: PlantedBug? = nil) -> Report {
        var simulation = CrashSimulation(seed: seed, bug: bug)
        while simulation.report.crashCount < crashCount && simulation.report.violations.isEmpty { simulation.live() }
        return simulation.report
    }

    // MARK: - One life, from open to crash

    private mutating func live() {
        guard var engine = open(disk) else { return }
        let crash = PendingCrash(disk: disk, durable: history.lastLSN)
        let files = crash.fileSystem(bug)
        // The engine that works is opened again through the file system that can crash inside a call.
        do {
            try engine.close()
            engine = try Engine.open(directory: Self.directory, fileSystem: files, options: options())
            if generator.chance(0.6) { crash.arm(afterCalls: generator.below(120), keepUnsynced: keep(), seed: generator.next()) }
            for _ in 0..<(5 + generator.below(60)) {
                try step(&engine, files, crash)
                if crash.isTaken { break }
            }
        } catch {
            violate("the engine failed on a healthy disk: \(error)")
            return
        }
        if crash.isTaken { report.crashesInsideCallsCount += 1 }
        let (clone, evidence) = crash.take(engine, keepUnsynced: keep(), seed: generator.next())
        recover(clone, required: required(evidence), evidence)
    }

    private mutating func step(_ engine: inout Engine, _ files: FaultFileSystem, _ crash: PendingCrash) throws {
        switch generator.below(100) {
        case 0..<60:
            let operations = BatchGenerator().batch(&generator)
            let batch = WriteBatch()
            for operation in operations { batch.add(operation) }
            let durability: Durability = generator.chance(0.7) ? .disk : .os
            // Noted first: a crash inside the call may already find it on disk.
            history.append(operations)
            if durability == .disk { durableRequests.insert(history.lastLSN) }
            crash.watch(engine, committed: history.lastLSN)
            let lsn = try engine.commit(batch, durability: durability)
            report.batchCount += 1
            if lsn != history.lastLSN { violate("batch \(history.lastLSN) was given LSN \(lsn)") }
        case 60..<80:
            crash.watch(engine, committed: history.lastLSN)
            engine.flushLogInline()
        case 80..<84: engine.stepIdleLog()
        case 84..<90:
            try engine.flush()
            report.flushCount += 1
        case 90..<95: if try engine.stepCompaction() { report.compactionCount += 1 }
        case 95..<97: try failAndResume(engine, files, crash)
        default:
            try engine.close()
            engine = try Engine.open(directory: Self.directory, fileSystem: files, options: options())
            crash.watch(engine, committed: history.lastLSN)
            report.reopenCount += 1
        }
    }

    /// The log's next write or sync fails; the engine must refuse, and go on behind what it had acknowledged.
    private mutating func failAndResume(_ engine: Engine, _ files: FaultFileSystem, _ crash: PendingCrash) throws {
        guard bug == nil else { return }
        let operation: FileOperation = generator.chance(0.5) ? .sync : .write
        files.add(
            FaultRule(operation, pathSuffix: ".wal", effect: .short(byteCount: generator.below(600), errno: 5)))
        crash.watch(engine, committed: history.lastLSN)
        engine.flushLogInline()
        engine.stepIdleLog()
        files.removeRules()
        guard engine.metrics().refusal != nil else { return }
        let acknowledged = engine.acknowledgedLSN
        try engine.resume()
        report.resumeCount += 1
        if engine.appliedLSN != acknowledged { violate("resumed at LSN \(engine.appliedLSN) instead of \(acknowledged)") }
        // A crash in the middle of it may still find what the failed log had.
        if crash.isTaken { return }
        history.truncate(to: acknowledged)
        durableRequests = durableRequests.filter { $0 <= acknowledged }
        crash.watch(engine, committed: acknowledged)
        compare(engine)
    }

    private mutating func keep() -> Double { [0, 0, 0.3, 0.7, 1][generator.below(5)] }

    private func options() -> EngineOptions {
        var options = EngineOptions(memoryByteCount: 4 << 20)
        options.memTableByteCount = 64 << 10
        options.logBufferByteCount = 32 << 10
        options.segmentByteCount = 32 << 10
        options.manifestByteCount = 16 << 10
        options.tableByteCount = 4 << 10
        options.baseLevelByteCount = 16 << 10
        options.blockByteCount = 512
        options.levelZeroCompactionDepth = 2
        options.backgroundWork = .manual
        return options
    }

    // MARK: - After a crash

    /// The highest LSN that must be there.
    private func required(_ evidence: PendingCrash.Evidence) -> LSN {
        if evidence.keepsEverything { return evidence.acknowledged }
        var lsn = evidence.acknowledged
        while lsn > evidence.durable && !durableRequests.contains(lsn) { lsn -= 1 }
        return lsn
    }

    /// Opens what the crash left, perhaps crashing again while it opens, and compares.
    private mutating func recover(_ crashed: CrashFileSystem, required: LSN, _ evidence: PendingCrash.Evidence) {
        report.crashCount += 1
        disk = crashed
        for _ in 0..<generator.below(3) {
            let crash = PendingCrash(disk: disk, durable: 0)
            crash.arm(afterCalls: generator.below(60), keepUnsynced: keep(), seed: generator.next())
            _ = try? Engine.open(directory: Self.directory, fileSystem: crash.fileSystem(bug), options: options())
            guard let clone = crash.takeIfTaken() else { continue }
            report.crashCount += 1
            report.crashesInRecoveryCount += 1
            disk = clone
        }
        guard let engine = open(disk) else { return }
        let recovered = engine.appliedLSN
        if recovered < required { violate("LSN \(required) was acknowledged, and the log ends at \(recovered)") }
        if recovered > evidence.committed {
            violate("LSN \(recovered) was recovered, and only \(evidence.committed) were committed")
        }
        if report.violations.isEmpty {
            report.forgottenBatchCount += Int(history.lastLSN - recovered)
            history.truncate(to: recovered)
            durableRequests = durableRequests.filter { $0 <= recovered }
            compare(engine)
        }
        do { try engine.close() } catch { violate("closing failed: \(error)") }
    }

    private mutating func open(_ disk: CrashFileSystem) -> Engine? {
        do {
            return try Engine.open(
                directory: Self.directory, fileSystem: bug == .checksumIgnored ? ForgingFileSystem(disk) : disk,
                options: options())
        } catch {
            violate("the store does not open: \(error)")
            return nil
        }
    }

    private mutating func compare(_ engine: Engine) {
        do {
            let found = try engine.contents()
            let expected = history.state(at: history.lastLSN)
            guard found.count == expected.count, zip(found, expected).allSatisfy({ $0.key == $1.key && $0.value == $1.value })
            else {
                violate("the state is not that of LSN \(history.lastLSN): \(found.count) entries, expected \(expected.count)")
                return
            }
        } catch {
            violate("reading failed: \(error)")
        }
    }

    private mutating func violate(_ what: String) {
        report.violations.append("seed \(seed), crash \(report.crashCount): \(what)")
    }
}
