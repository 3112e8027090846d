// Backups over a disk in memory: broken transfers, crashes at any call, full disks, damaged and forged manifests.

import CSupport
import Foundation
import Glibc
import NexaBackup
import NexaBlockingClient
import NexaReplication
import NexaStorage
import NexaTestKit
import NexaWire
import Testing

/// A store as a node would serve it, with things that go wrong when they are told to.
private final class StoreSource: CheckpointSource {
    enum Trouble { case disconnect, flippedByte, checkpointGone }

    let engine: Engine
    /// What happens instead of the piece of that number, counted from 1.
    var troubles: [Int: Trouble] = [:]
    private(set) var pieceCount = 0
    private(set) var pieceByteCount = 0
    private(set) var checkpointCount = 0
    private(set) var heldCount = 0
    var clusterID = ClusterID.none
    private var held: (id: UInt64, checkpoint: Checkpoint)?
    private var asked: [SnapshotGet] = []

    init(_ engine: Engine) { self.engine = engine }

    func begin(resuming id: UInt64?) throws(ClientError) -> SnapshotManifest {
        asked = []
        if held == nil || held?.id != id {
            checkpointCount += 1
            do {
                held = (UInt64(checkpointCount), try engine.makeCheckpoint(named: "\(checkpointCount)"))
            } catch {
                throw .protocolViolation("\(error)")
            }
            heldCount += 1
        }
        let manifest = held!.checkpoint.manifest
        return SnapshotManifest(
            id: held!.id, clusterID: clusterID, storeUUID: manifest.storeUUID, position: manifest.point.position,
            chain: manifest.point.chain, history: EpochHistory(manifest.epochs)!,
            files: manifest.files.map { SnapshotFile(name: $0.name, byteCount: $0.byteCount, digest: $0.digest) })
    }

    func ask(_ get: SnapshotGet) throws(ClientError) { asked.append(get) }

    func next() throws(ClientError) -> CheckpointPiece? {
        let get = asked.removeFirst()
        pieceCount += 1
        let trouble = troubles.removeValue(forKey: pieceCount)
        if case .disconnect? = trouble { throw .disconnected(operation: "fetching", reason: "the test says so") }
        guard trouble != .checkpointGone, let held, held.id == get.id else {
            self.held = nil
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: Int(get.byteCount))
        let result = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(StorageError) in try held.checkpoint.read(file: get.file, at: get.offset, into: buffer) }
        }
        guard case .success(let read) = result, read.byteCount == bytes.count else { throw .protocolViolation("not read") }
        if case .flippedByte? = trouble { bytes[bytes.count / 2] ^= 1 }
        pieceByteCount += bytes.count
        return CheckpointPiece(
            header: ChunkHeader(id: get.id, file: get.file, offset: get.offset, isEnd: false, checksum: read.checksum),
            bytes: bytes)
    }

    func done(_ id: UInt64) {
        heldCount -= 1
        held = nil
    }

    func reconnect() throws(ClientError) { asked = [] }
}

@Suite struct BackupTests {
    private func engine(count: Int = 600, on disk: any FileSystem = CrashFileSystem(), fill: String = "value") throws -> Engine {
        var options = EngineOptions(memoryByteCount: 8 << 20)
        options.memTableByteCount = 64 << 10
        options.logBufferByteCount = 64 << 10
        options.segmentByteCount = 256 << 10
        options.backgroundWork = .manual
        let engine = try Engine.open(directory: "/store", fileSystem: disk, options: options)
        for round in 0..<3 {
            for index in 0..<count / 3 { try engine.write { $0.put("key\(round)-\(index)", "\(fill) \(index)") } }
            try engine.waitDurable(engine.reservedLSN)
            try engine.flush()
        }
        return engine
    }

    private func create(
        _ name: String, _ source: StoreSource, _ disk: any FileSystem, rate: UInt64? = 400_000_000
    ) throws -> BackupCreation.Outcome {
        let repository = try BackupRepository.openOrCreate("/repo", fileSystem: disk)
        var options = BackupCreation.Options(name: BackupName(name)!, createdAt: 1_000, source: "test")
        options.bytesPerSecond = rate
        options.patience = .seconds(5)
        var creation = BackupCreation(repository, from: source, options)
        return try creation.run()
    }

    private func damage(_ disk: any FileSystem) throws -> [String] {
        try BackupVerification.run(try BackupRepository.open("/repo", fileSystem: disk), []).damage
    }

    /// Keys and values of a backup, restored on a disk of its own.
    private func restoredContents(_ name: String, _ disk: any FileSystem) throws -> [(key: [UInt8], value: [UInt8])] {
        let target = CrashFileSystem()
        _ = try BackupRestore(
            BackupName(name)!, of: try BackupRepository.open("/repo", fileSystem: disk), into: "/new", fileSystem: target,
            BackupRestore.Options(seconds: 77)
        ).run()
        let engine = try Engine.open(directory: "/new", fileSystem: target, options: EngineOptions(memoryByteCount: 8 << 20))
        #expect(engine.epoch == 77)
        defer { try? engine.close() }
        return try engine.contents()
    }

    private func expectSame(_ left: [(key: [UInt8], value: [UInt8])], _ right: [(key: [UInt8], value: [UInt8])]) {
        #expect(left.map(\.key) == right.map(\.key) && left.map(\.value) == right.map(\.value))
    }

    // MARK: - Transfers

    @Test func aLostConnectionADamagedPieceAndALostCheckpointCostNothingThatCame() throws {
        let source = StoreSource(try engine(count: 3000, fill: "a value that is rather long, so that tables have some size"))
        let disk = CrashFileSystem()
        source.troubles = [2: .disconnect, 4: .flippedByte, 7: .checkpointGone, 9: .disconnect]
        // A slow transfer takes small pieces.
        let outcome = try create("b", source, disk, rate: 1 << 20)
        #expect(outcome.resumptionCount == 4 && source.checkpointCount == 2)
        #expect(source.troubles.isEmpty && source.heldCount == 1, "what the node let go of by itself is not given back")
        #expect(try damage(disk).isEmpty)
        expectSame(try restoredContents("b", disk), try source.engine.contents())
    }

    @Test func whatTheRepositoryHasIsNotFetchedAgain() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        let first = try create("one", source, disk)
        #expect(first.manifest.newByteCount == first.manifest.checkpoint.byteCount)
        try source.engine.writeDurably { $0.put("new", "value") }
        let before = source.pieceByteCount
        let second = try create("two", source, disk)
        #expect(source.pieceByteCount - before == Int(second.manifest.newByteCount))
        let tables = first.manifest.checkpoint.files.filter { $0.name.hasSuffix(".sst") }
        #expect(tables.allSatisfy { second.manifest.checkpoint.files.contains($0) } && tables.count == 3)
        expectSame(try restoredContents("two", disk), try source.engine.contents())
        #expect(try restoredContents("one", disk).count == 600)
    }

    @Test func aPartThatIsNotWhatItSeemsIsFetchedAnew() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        source.troubles = [1: .checkpointGone]
        let files = try source.begin(resuming: nil).files
        let table = files.first { $0.name.hasSuffix(".sst") }!
        source.done(1)
        _ = try BackupRepository.openOrCreate("/repo", fileSystem: disk)
        let name = "\(Hex.string(table.digest))-\(table.byteCount).sst.part"
        try disk.setContents("/repo/incoming/\(name)", [UInt8](repeating: 7, count: 100))
        let outcome = try create("b", source, disk)
        #expect(outcome.resumptionCount >= 1)
        #expect(try damage(disk).isEmpty)
    }

    @Test func aFullDiskIsAnErrorAndTheNextRunGoesOn() throws {
        let source = StoreSource(try engine())
        for operation in [FileOperation.write, .sync, .rename, .syncDirectory] {
            // Without the files of the run before: nothing would be left to write.
            let base = CrashFileSystem()
            let disk = FaultFileSystem(base, rules: [FaultRule(operation, nth: 4, effect: .fail(errno: ENOSPC))])
            #expect(throws: BackupError.self) { try create("b-\(operation)", source, disk) }
            #expect(try BackupRepository.open("/repo", fileSystem: base).names().allSatisfy { $0.text != "b-\(operation)" })
            _ = try create("b-\(operation)", source, base)
            #expect(try damage(base).isEmpty)
        }
        #expect(source.heldCount == 0, "a run that fails gives its checkpoint back")
    }

    // MARK: - Crashes

    @Test func aCrashAtAnyCallLeavesWholeBackupsOnly() throws {
        let seed = SeededGenerator.seed(default: UInt64.random(in: 0 ... .max))
        print("BackupTests seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let source = StoreSource(try engine(count: 90))
        let counted = FaultFileSystem(CrashFileSystem())
        _ = try create("first", source, counted)
        let callCount = counted.totalCallCount
        for _ in 0..<TestScale.count(60, small: 10) {
            let (call, crashSeed) = (1 + generator.below(callCount), generator.next())
            let keep = [0, 0.5, 1][generator.below(3)]
            let base = CrashFileSystem()
            let crashed = CrashedDisk()
            let disk = FaultFileSystem(base) { _, _, number in
                if number == call { crashed.disk = base.crashClone(keepUnsynced: keep, seed: crashSeed) }
            }
            _ = try create("first", source, disk)
            let after = try #require(crashed.disk)
            if after.exists("/repo/NEXADB-BACKUPS") { #expect(try damage(after).isEmpty, "call \(call), keep \(keep)") }
            let repository = try BackupRepository.openOrCreate("/repo", fileSystem: after)
            if try repository.names().isEmpty { _ = try create("first", source, after) }
            _ = try create("second", source, after)
            #expect(try damage(after).isEmpty, "call \(call), keep \(keep)")
            expectSame(try restoredContents("first", after), try source.engine.contents())
        }
    }

    @Test func aCrashWhileRestoringLeavesAllOrADirectoryThatSaysSo() throws {
        let seed = SeededGenerator.seed(default: UInt64.random(in: 0 ... .max))
        print("BackupTests seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let (source, disk) = (StoreSource(try engine(count: 90)), CrashFileSystem())
        _ = try create("b", source, disk)
        let repository = try BackupRepository.open("/repo", fileSystem: disk)
        func restore(_ target: any FileSystem) throws {
            _ = try BackupRestore(
                BackupName("b")!, of: repository, into: "/new", fileSystem: target, BackupRestore.Options(seconds: 9)
            ).run()
        }
        let counted = FaultFileSystem(CrashFileSystem())
        try restore(counted)
        var wholeCount = 0
        for _ in 0..<TestScale.count(60, small: 10) {
            let (call, crashSeed) = (1 + generator.below(counted.totalCallCount), generator.next())
            let keep = [0, 0.5, 1][generator.below(3)]
            let base = CrashFileSystem()
            let crashed = CrashedDisk()
            let target = FaultFileSystem(base) { _, _, number in
                if number == call { crashed.disk = base.crashClone(keepUnsynced: keep, seed: crashSeed) }
            }
            try restore(target)
            let after = crashed.disk ?? base
            let isUnfinished = !after.exists("/new") || after.exists("/new/RESTORING") || !after.exists("/new/sst")
            if isUnfinished { try restore(after) } else { wholeCount += 1 }
            let engine = try Engine.open(directory: "/new", fileSystem: after, options: EngineOptions(memoryByteCount: 8 << 20))
            expectSame(try engine.contents(), try source.engine.contents())
            try engine.close()
        }
        print("\(wholeCount) of them were whole")
    }

    @Test func aRestoreThatEndedMeanwhileIsNotUndone() throws {
        let (source, disk, target) = (StoreSource(try engine()), CrashFileSystem(), CrashFileSystem())
        _ = try create("b", source, disk)
        let repository = try BackupRepository.open("/repo", fileSystem: disk)
        for directory in ["/new", "/new/sst"] { try target.createDirectory(directory) }
        try target.writeNew("/new/RESTORING", Array("b\n".utf8))
        try target.writeNew("/new/sst/0000000000000001.sst", [1])
        // The other one is done between the look at the directory and its lock.
        let late = FaultFileSystem(target) { operation, _, _ in if operation == .lock { try? target.remove("/new/RESTORING") } }
        let options = BackupRestore.Options(seconds: 9)
        #expect(throws: BackupError.self) {
            try BackupRestore(BackupName("b")!, of: repository, into: "/new", fileSystem: late, options).run()
        }
        #expect(target.exists("/new/sst/0000000000000001.sst"))
    }

    @Test func nobodyElseGetsTheDirectoryBeforeItIsWhole() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        source.clusterID = ClusterID(high: 1, low: 2)
        _ = try create("b", source, disk)
        for asFollower in [true, false] {
            let target = CrashFileSystem()
            let isFree = Flag()
            let watched = FaultFileSystem(target) { operation, path, _ in
                guard operation == .remove, path == "/new/RESTORING" else { return }
                isFree.value = (try? target.lockFile("/new/LOCK").release()) != nil
            }
            var options = BackupRestore.Options(seconds: 9)
            if asFollower {
                options.join = { directory, _ throws(StorageError) in
                    #expect(throws: StorageError.self) { try target.lockFile(directory + "/LOCK") }
                }
            }
            let repository = try BackupRepository.open("/repo", fileSystem: disk)
            let restore = try BackupRestore(BackupName("b")!, of: repository, into: "/new", fileSystem: watched, options)
            #expect(try (restore.run().epoch == nil) == asFollower)
            #expect(isFree.value == false, "\(asFollower)")
            try target.lockFile("/new/LOCK").release()
        }
    }

    @Test func aDirectoryInNoDirectoryIsSaidToBeThat() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        _ = try create("b", source, disk)
        let repository = try BackupRepository.open("/repo", fileSystem: disk)
        func expectRefused(_ body: () throws -> Void) {
            #expect { try body() } throws: { error in
                if case .refused(let text) = error as? BackupError { text.contains("no directory /a/b") } else { false }
            }
        }
        expectRefused {
            _ = try BackupRestore(
                BackupName("b")!, of: repository, into: "/a/b/c", fileSystem: CrashFileSystem(), BackupRestore.Options(seconds: 9)
            ).run()
        }
        expectRefused { _ = try BackupRepository.openOrCreate("/a/b/c", fileSystem: CrashFileSystem()) }
    }

    // MARK: - Verification

    @Test func aBackupThatIsDeletedWhileItIsVerifiedIsNotMissed() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        _ = try create("one", source, disk)
        try source.engine.writeDurably { $0.put("new", "value") }
        _ = try create("two", source, disk)
        let repository = try BackupRepository.open("/repo", fileSystem: disk)
        var removal: Result<BackupRemoval.Outcome, any Error>?
        let report = try BackupVerification.run(
            repository, [],
            isInterrupted: {
                removal = removal ?? Result { try BackupRemoval.delete([BackupName("one")!], of: repository) }
                return false
            })
        #expect(try removal?.get().objectCount == 1, "the store's manifest")
        #expect(report.damage.isEmpty && report.backupCount == 1)
        // What the other one needs is missed all the same.
        for folder in try disk.list("/repo/objects") {
            for name in try disk.list("/repo/objects/\(folder)") { try disk.remove("/repo/objects/\(folder)/\(name)") }
        }
        #expect(try damage(disk).count == 6)
    }

    @Test func aBackupThatIsDeletedWhileAllAreListedIsNoDamage() throws {
        let (source, base) = (StoreSource(try engine()), CrashFileSystem())
        for name in ["one", "two"] { _ = try create(name, source, base) }
        let disk = FaultFileSystem(base) { operation, path, _ in
            if operation == .open && path == "/repo/backups/one.json" { try? base.remove(path) }
        }
        let (manifests, damage) = try BackupRepository.open("/repo", fileSystem: disk).manifests()
        #expect(manifests.map(\.name.text) == ["two"] && damage.isEmpty)
    }

    @Test func whatCannotBeReadDoesNotHideTheRest() throws {
        let (source, base) = (StoreSource(try engine()), CrashFileSystem())
        _ = try create("one", source, base)
        var objects: [String] = []
        for folder in try base.list("/repo/objects") {
            objects += try base.list("/repo/objects/\(folder)").map { "/repo/objects/\(folder)/\($0)" }
        }
        // Nothing can be wrong with the content of an empty file.
        objects.removeAll { $0.hasSuffix("-0") }
        #expect(objects.count == 4)
        let disk = FaultFileSystem(
            base,
            rules: [
                FaultRule(.open, pathSuffix: objects[0], effect: .fail(errno: EACCES)),
                FaultRule(.read, pathSuffix: objects[1], effect: .fail(errno: EIO)),
            ])
        var bytes = try base.contents(objects[2])
        bytes[bytes.count / 2] ^= 1
        try base.setContents(objects[2], bytes)
        let damage = try damage(disk)
        #expect(damage.count == 3, "\(damage)")
        for index in 0..<3 { #expect(damage.contains { $0.hasPrefix(objects[index] + ": ") && $0.hasSuffix("needed by one") }) }
    }

    @Test func aManifestOfAnotherPositionThanItsStoreIsDamage() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        try source.engine.beginEpoch(3)
        try source.engine.writeDurably { $0.put("new", "value") }
        let whole = try create("one", source, disk).manifest
        #expect(try whole.checkpoint.point.epoch == 3 && damage(disk).isEmpty)
        for change: (inout BackupManifest) -> Void in [
            { $0.checkpoint.point.epoch = 4 }, { $0.checkpoint.epochs.removeFirst() }, { $0.checkpoint.epochs[0].firstLSN += 1 },
            { $0.checkpoint.point.lsn += 1 },
        ] {
            var changed = whole
            change(&changed)
            try disk.setContents("/repo/backups/one.json", changed.encoded())
            #expect(try damage(disk).count == 1, "\(changed.checkpoint.point) \(changed.checkpoint.epochs)")
        }
    }

    // MARK: - Manifests

    private var sample: BackupManifest {
        let files = [
            CheckpointManifest.File(name: "0000000000000007.sst", byteCount: 10, digest: .max),
            CheckpointManifest.File(name: ManifestFileName.manifest(1), byteCount: 20, digest: 5),
            CheckpointManifest.File(
                name: "manifest.\(Hex.string(1)).\(Hex.string(1))", byteCount: 0, digest: 6),
        ]
        return BackupManifest(
            name: BackupName("nightly.1")!, createdAt: 1_795_680_000_000_000, source: "db1:6970", newByteCount: .max,
            clusterID: ClusterID(high: 1, low: .max),
            checkpoint: CheckpointManifest(
                storeUUID: StoreUUID(high: 3, low: 4), point: LogPoint(epoch: 2, lsn: 1 << 62, chain: .max),
                epochs: [EpochStart(epoch: 1, firstLSN: 1), EpochStart(epoch: 2, firstLSN: 9)], files: files))
    }

    /// The text with another checksum line.
    private func sealed(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        let hash = bytes.withUnsafeBytes { nexa_xxh3($0.baseAddress, $0.count, 0) }
        return bytes + Array("xxh3 \(Hex.string(hash))\n".utf8)
    }

    @Test func aManifestReadsBackAndNoChangeOfAByteOrCutPasses() throws {
        let bytes = sample.encoded()
        #expect(try BackupManifest(decoding: bytes) == sample)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            #expect(throws: BackupManifest.Problem.self) { try BackupManifest(decoding: changed) }
        }
        for count in bytes.indices {
            #expect(throws: BackupManifest.Problem.self) { try BackupManifest(decoding: Array(bytes[..<count])) }
        }
    }

    @Test(arguments: [
        ("\"0000000000000007.sst\"", "\"../0000000000000007.sst\""), ("\"0000000000000007.sst\"", "\"/etc/passwd\""),
        ("\"0000000000000007.sst\"", "\"MANIFEST-0000000000000001\""), ("\"nightly.1\"", "\"../x\""),
        ("\"version\": 1", "\"version\": 2"),
        ("nexadb backup", "another thing"), ("\"bytes\": 10", "\"bytes\": -10"), ("\"bytes\": 10", "\"bytes\": \"10\""),
        ("\"bytes\": 10", "\"bytes\": 18446744073709551615"), ("\"bytes\": 10", "\"bytes\": 18446744073709551600"),
        ("\"ffffffffffffffff\"", "\"fffffffffffffff\""), ("\"lsn\": 4611686018427387904", "\"lsn\": 1e400"),
        ("\"files\"", "\"file\""),
    ])
    func aForgedManifestIsRefused(_ part: String, _ forged: String) throws {
        let text = String(decoding: sample.encoded().dropLast(22), as: UTF8.self)
        #expect(try BackupManifest(decoding: sealed(text)) == sample)
        let changed = text.replacing(part, with: forged, maxReplacements: 1)
        #expect(changed != text)
        #expect(throws: BackupManifest.Problem.self) { try BackupManifest(decoding: sealed(changed)) }
    }

    @Test func sizesThatNoDiskHasAreMissingFilesAndNoMore() throws {
        let disk = CrashFileSystem()
        let repository = try BackupRepository.openOrCreate("/repo", fileSystem: disk)
        for (index, name) in ["a", "b", "c"].enumerated() {
            var manifest = sample
            manifest.name = BackupName(name)!
            manifest.checkpoint.files[0].byteCount = 1 << 63
            manifest.checkpoint.files[0].digest = UInt64(index)
            try disk.writeNew("/repo/backups/\(name).json", manifest.encoded())
        }
        #expect(try repository.manifests().manifests.count == 3)
        let report = try BackupVerification.run(repository, [])
        #expect(report.damage.count == 5 && report.byteCount == .max)
    }

    @Test func whatAManifestSaysDoesNotCommandATerminal() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-backups-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        _ = try BackupRepository.openOrCreate(directory, fileSystem: PosixFileSystem())
        var manifest = sample
        manifest.source = "\u{1B}[2Jdb1\u{9B}31m\nnightly.2"
        let path = directory + "/backups/nightly.1.json"
        try PosixFileSystem().writeNew(path, manifest.encoded())
        let list = try Tool.run("backup", "list", directory)
        #expect(list.code == 0 && list.output.hasSuffix("\\u001b[2Jdb1\\u009b31m\\nnightly.2\n"))
        // For other programs it is what it is.
        #expect(try Tool.run("backup", "list", directory, "--json").output.contains("db1\u{9B}31m"))
        manifest.checkpoint.files[0].name = "\u{1B}]0;x\u{7}"
        try FileManager.default.removeItem(atPath: path)
        try PosixFileSystem().writeNew(path, manifest.encoded())
        let refused = try Tool.run("backup", "list", directory)
        #expect(refused.code == 1 && refused.errors.contains("\\u001b]0;x\\u0007 is no name of a store's file"))
    }

    @Test func aNameLeadsNowhereElse() {
        for name in [
            "", ".", "..", ".x", "-x", "_x", "a/b", "../a", "a b", "ä", String(repeating: "x", count: 65), "a\u{0}", "a\n",
        ] {
            #expect(BackupName(name) == nil, "\(name)")
        }
        for name in ["a", "2026-11-26", "nightly.1", "A_b-C.9", String(repeating: "x", count: 64)] {
            #expect(BackupName(name)?.text == name)
        }
        #expect(BackupName(at: 1_795_676_412).text == "20261126T070012Z")
        #expect(BackupName.time(0) == "1970-01-01T00:00:00Z")
    }

    // MARK: - Removal

    @Test func aManifestThatCannotBeReadKeepsEverythingThatItMayNeed() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        _ = try create("one", source, disk)
        try source.engine.writeDurably { $0.put("new", "value") }
        _ = try create("two", source, disk)
        let repository = try BackupRepository.open("/repo", fileSystem: disk)
        let kept = try disk.contents("/repo/backups/one.json")
        try disk.setContents("/repo/backups/one.json", Array("{}".utf8))
        #expect(throws: BackupError.self) { try BackupRemoval.keep(1, of: repository) }
        #expect(throws: BackupError.self) { try create("three", source, disk) }
        #expect(try BackupRemoval.delete([BackupName("two")!], of: repository).objectCount == 0)
        try disk.setContents("/repo/backups/one.json", kept)
        #expect(try damage(disk).isEmpty)
        #expect(try restoredContents("one", disk).count == 600)
        // The one that is damaged can be removed by its name, and then nothing is left.
        try disk.setContents("/repo/backups/one.json", Array("{}".utf8))
        #expect(try BackupRemoval.delete([BackupName("one")!], of: repository).objectCount > 0)
        for folder in try disk.list("/repo/objects") { #expect(try disk.list("/repo/objects/\(folder)").isEmpty) }
    }

    @Test func whatIsNotOfTheRepositoryIsLeftAloneAndANameMayBeSaidTwice() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        _ = try create("one", source, disk)
        let repository = try BackupRepository.open("/repo", fileSystem: disk)
        try disk.createDirectory("/repo/objects/lost+found")
        try disk.writeNew("/repo/objects/lost+found/x", [1])
        let outcome = try BackupRemoval.delete([BackupName("one")!, BackupName("one")!], of: repository)
        #expect(outcome.removed.map(\.text) == ["one"] && outcome.objectCount > 0)
        #expect(disk.exists("/repo/objects/lost+found/x"))
    }

    @Test func theNewestStay() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        for name in ["c", "a", "b"] {
            try source.engine.writeDurably { $0.put("new", name) }
            _ = try create(name, source, disk)
        }
        let repository = try BackupRepository.open("/repo", fileSystem: disk)
        #expect(try BackupRemoval.keep(3, of: repository).removed.isEmpty)
        // All of the same moment: then the names decide.
        #expect(try BackupRemoval.keep(1, of: repository).removed.map(\.text) == ["a", "b"])
        #expect(try damage(disk).isEmpty && repository.names().map(\.text) == ["c"])
    }

    @Test func aCopyWithoutItsEmptyFoldersIsGoneOnWith() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        _ = try create("one", source, disk)
        try disk.removeDirectory("/repo/incoming")
        _ = try create("two", source, disk)
        #expect(try damage(disk).isEmpty)
        let repository = try BackupRepository.open("/repo", fileSystem: disk)
        try disk.removeDirectory("/repo/incoming")
        #expect(try BackupRemoval.keep(1, of: repository).removed.count == 1)
        try disk.removeDirectory("/repo/incoming")
        #expect(try BackupRemoval.delete(repository.names(), of: repository).objectCount == 5)
        try disk.removeDirectory("/repo/backups")
        #expect(try repository.names().isEmpty && damage(disk).isEmpty)
    }

    @Test func twoStoresDoNotShareARepository() throws {
        let disk = CrashFileSystem()
        _ = try create("one", StoreSource(try engine()), disk)
        let other = StoreSource(try engine())
        #expect(throws: BackupError.self) { try create("two", other, disk) }
        #expect(try BackupRepository.open("/repo", fileSystem: disk).names().map(\.text) == ["one"])
        #expect(other.heldCount == 0)
    }

    @Test func oneWritesAtATime() throws {
        let (source, disk) = (StoreSource(try engine()), CrashFileSystem())
        _ = try create("one", source, disk)
        let lock = try disk.lockFile("/repo/LOCK")
        #expect(throws: BackupError.self) { try create("two", source, disk) }
        // Whoever needs data back does not wait for anybody.
        #expect(try damage(disk).isEmpty)
        #expect(try restoredContents("one", disk).count == 600)
        lock.release()
        _ = try create("two", source, disk)
    }
}

/// Where a hook leaves what it found.
private final class Flag: @unchecked Sendable {
    var value: Bool?
}

/// Where a hook leaves the disk of the crash.
private final class CrashedDisk: @unchecked Sendable {
    var disk: CrashFileSystem?
}
