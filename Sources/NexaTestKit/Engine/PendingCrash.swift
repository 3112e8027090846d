import NexaStorage

/// A crash that will happen at a chosen call to the disk: it clones the disk at that moment and notes how far the engine was; the engine
/// itself goes on and is thrown away afterwards. `@unchecked Sendable`: the simulations that use it have one thread.
package final class PendingCrash: @unchecked Sendable {
    /// How far the engine was when the power went.
    package struct Evidence: Sendable {
        package var committed: LSN = 0
        package var acknowledged: LSN = 0
        package var durable: LSN = 0
        /// The process died and the machine did not: what was handed to the system is there.
        package var keepsEverything = false
    }

    private let disk: CrashFileSystem
    /// What holds before an engine is watched.
    private let durable: LSN
    private var engine: Engine?
    private var committed: LSN
    private var remaining: Int?
    private var keepUnsynced = 0.0
    private var seed: UInt64 = 0
    private var taken: (CrashFileSystem, Evidence)?

    /// A disk whose store is closed and holds everything up to `durable`.
    package init(disk: CrashFileSystem, durable: LSN) {
        self.disk = disk
        self.durable = durable
        committed = durable
    }

    /// The disk with planted bugs, and with the crash between its calls.
    package func fileSystem(_ bug: PlantedBug?) -> FaultFileSystem {
        let rules: [FaultRule] =
            switch bug {
            case .logSyncLies: [FaultRule(.sync, pathSuffix: ".wal", count: .max, effect: .drop)]
            case .tableSyncLies: [FaultRule(.sync, pathSuffix: ".sst", count: .max, effect: .drop)]
            case .directorySyncLies: [FaultRule(.syncDirectory, count: .max, effect: .drop)]
            case .checksumIgnored, nil: []
            }
        let base: any FileSystem = bug == .checksumIgnored ? ForgingFileSystem(disk) : disk
        return FaultFileSystem(base, rules: rules) { [self] _, _, _ in tick() }
    }

    /// Whose positions count, and what was committed.
    package func watch(_ engine: Engine, committed: LSN) {
        self.engine = engine
        self.committed = committed
    }

    package func arm(afterCalls: Int, keepUnsynced: Double, seed: UInt64) {
        remaining = afterCalls
        self.keepUnsynced = keepUnsynced
        self.seed = seed
    }

    package var isTaken: Bool { taken != nil }

    /// The clone of an armed crash, or of one right now.
    package func take(_ engine: Engine, keepUnsynced: Double, seed: UInt64) -> (CrashFileSystem, Evidence) {
        defer { self.engine = nil }
        if let taken { return taken }
        self.engine = engine
        remaining = nil
        self.keepUnsynced = keepUnsynced
        self.seed = seed
        return snapshot()
    }

    package func takeIfTaken() -> CrashFileSystem? { taken?.0 }

    private func tick() {
        guard taken == nil, let count = remaining else { return }
        if count > 0 {
            remaining = count - 1
        } else {
            taken = snapshot()
        }
    }

    private func snapshot() -> (CrashFileSystem, Evidence) {
        var evidence = Evidence()
        evidence.committed = committed
        evidence.acknowledged = engine?.acknowledgedLSN ?? durable
        evidence.durable = engine?.durableLSN ?? durable
        evidence.keepsEverything = keepUnsynced == 1
        return (disk.crashClone(keepUnsynced: keepUnsynced, seed: seed), evidence)
    }
}
