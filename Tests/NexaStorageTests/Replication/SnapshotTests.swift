// A full copy: checkpoint, fetch in pieces, swap; and what broken transfers, wrong bytes and crashes make of it.

import CSupport
import Foundation
import NexaStorage
import NexaTestKit
import Testing

@Suite struct SnapshotTests {
    private func options(follows: Bool = false) -> EngineOptions {
        var options = smallOptions()
        options.follows = follows
        return options
    }

    private func leader(_ disk: any FileSystem = CrashFileSystem(), count: Int = 1500) throws -> Engine {
        let engine = try Engine.open(directory: "/leader", fileSystem: disk, options: options())
        for index in 0..<count { try engine.write { $0.put("key\(index)", "value \(index) of the leader") } }
        try engine.waitDurable(engine.reservedLSN)
        try engine.beginEpoch(3)
        try engine.writeDurably { $0.deleteRange("key2", "key3") }
        return engine
    }

    /// Fetches up to `chunkCountMax` pieces. True when everything is there.
    private func fetch(
        _ checkpoint: Checkpoint, _ installer: SnapshotInstaller, chunkCountMax: Int = .max, byteCountMax: Int = 3000,
        change: (inout [UInt8]) -> Void = { _ in }
    ) throws -> Bool {
        var buffer = [UInt8](repeating: 0, count: byteCountMax)
        var count = 0
        while count < chunkCountMax, let wanted = installer.next(byteCountMax: byteCountMax) {
            let (byteCount, checksum) = try buffer.withUnsafeMutableBytes {
                try checkpoint.read(
                    file: wanted.file, at: wanted.offset, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<wanted.byteCount]))
            }
            #expect(byteCount == wanted.byteCount)
            var bytes = Array(buffer[..<byteCount])
            change(&bytes)
            try withBytes(bytes) { bytes throws(SnapshotInstaller.Problem) in
                try installer.write(file: wanted.file, at: wanted.offset, bytes, checksum: checksum)
            }
            count += 1
        }
        return installer.isComplete
    }

    private func expectSame(_ left: Engine, _ right: Engine) throws {
        let (mine, theirs) = (try left.contents(), try right.contents())
        #expect(mine.map(\.key) == theirs.map(\.key) && mine.map(\.value) == theirs.map(\.value))
    }

    @Test func aFollowerInstallsACheckpointAndStreamsBehindIt() throws {
        let leader = try leader()
        leader.setRetention("follower", oldestNeededLSN: leader.durableLSN)
        let checkpoint = try leader.makeCheckpoint(named: "1")
        let point = checkpoint.manifest.point
        #expect(point == leader.durablePoint && checkpoint.manifest.epochs == leader.epochHistory)
        for index in 0..<500 { try leader.write { $0.put("key\(index)", "later") } }
        try leader.waitDurable(leader.reservedLSN)
        try leader.flush()

        let disk = CrashFileSystem()
        var follower = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        let installer = try SnapshotInstaller.begin(
            directory: "/follower", fileSystem: disk, manifest: checkpoint.manifest, engine: follower)
        #expect(try fetch(checkpoint, installer))
        try installer.finish()
        #expect(try follower.contents().isEmpty, "the old store serves until the swap")
        try follower.close()

        follower = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        #expect(follower.durablePoint == point && follower.epochHistory == leader.epochHistory)
        #expect(follower.storeUUID == leader.storeUUID && follower.epoch == 3)
        #expect(try disk.list("/follower/incoming") == ["sst", "wal"] && disk.list("/follower/incoming/sst").isEmpty)
        try follower.catchUp(with: leader)
        #expect(follower.durablePoint == leader.durablePoint)
        try expectSame(follower, leader)
        try follower.close()
        follower = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        #expect(follower.durablePoint == leader.durablePoint && follower.epochHistory == leader.epochHistory)
        try follower.verify()
        try follower.close()

        try checkpoint.remove()
        try leader.verify()
        try expectSame(leader, leader)
        try leader.close()
    }

    @Test func aBrokenTransferGoesOnWhereItWas() throws {
        let leader = try leader()
        let checkpoint = try leader.makeCheckpoint(named: "1")
        let disk = CrashFileSystem()
        var installer = try SnapshotInstaller.begin(
            directory: "/follower", fileSystem: try withRoot(disk), manifest: checkpoint.manifest)
        #expect(try !fetch(checkpoint, installer, chunkCountMax: 7))
        let fetched = installer.fetchedByteCount
        #expect(fetched > 10_000)
        _ = installer.next(byteCountMax: 100)
        // The process ends; another one goes on.
        installer = try SnapshotInstaller.begin(directory: "/follower", fileSystem: disk, manifest: checkpoint.manifest)
        #expect(installer.resumedByteCount == fetched)
        #expect(try fetch(checkpoint, installer))
        #expect(installer.fetchedByteCount + fetched == checkpoint.manifest.byteCount)
        try installer.finish()
        let follower = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        try expectSame(follower, leader)
        try follower.close()
        try leader.close()
    }

    /// A store that followed, led epoch 5 alone, and whose tables hold that: what it wrote alone cannot be cut.
    private func deposedLeader(of leader: Engine, on disk: CrashFileSystem) throws -> Engine {
        let checkpoint = try leader.makeCheckpoint(named: "first")
        let installer = try SnapshotInstaller.begin(
            directory: "/follower", fileSystem: try withRoot(disk), manifest: checkpoint.manifest)
        #expect(try fetch(checkpoint, installer))
        try installer.finish()
        let deposed = try Engine.open(directory: "/follower", fileSystem: disk, options: options())
        #expect(deposed.keptTail == nil, "an empty store has nothing to keep")
        try deposed.beginEpoch(5)
        for index in 0..<40 { try deposed.writeDurably { $0.put("alone\(index)", "\(index)") } }
        try deposed.flush()
        return deposed
    }

    @Test func whatOnlyTheReplacedStoreHadIsKept() throws {
        let leader = try leader()
        let disk = CrashFileSystem()
        let deposed = try deposedLeader(of: leader, on: disk)
        let (common, end) = (leader.durableLSN, deposed.durableLSN)
        try leader.beginEpoch(6)
        try leader.writeDurably { $0.put("later", "v") }
        let checkpoint = try leader.makeCheckpoint(named: "second")
        let installer = try SnapshotInstaller.begin(
            directory: "/follower", fileSystem: disk, manifest: checkpoint.manifest, engine: deposed)
        #expect(try fetch(checkpoint, installer))
        try installer.finish()
        try deposed.close()

        var follower = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        let path = try #require(follower.keptTail)
        var kept: [LSN] = []
        let header = try RollbackFile.read(path, fileSystem: disk) { record, _ in kept.append(record.header.lsn) }
        #expect(kept == Array(common + 1...end) && header.epoch == 5)
        try expectSame(follower, leader)
        try follower.close()
        follower = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        #expect(follower.keptTail == nil)
        #expect(try RollbackFile.paths(in: StoreLayout(directory: "/follower"), fileSystem: disk) == [path])
        try follower.close()
        try leader.close()
    }

    @Test func aReplacedStoreThatIsDamagedIsReplacedAllTheSame() throws {
        let leader = try leader()
        let disk = CrashFileSystem()
        let deposed = try deposedLeader(of: leader, on: disk)
        try leader.beginEpoch(6)
        let checkpoint = try leader.makeCheckpoint(named: "second")
        let installer = try SnapshotInstaller.begin(directory: "/follower", fileSystem: disk, manifest: checkpoint.manifest)
        #expect(try fetch(checkpoint, installer))
        try installer.finish()
        try deposed.close()
        for name in try disk.list("/follower/wal") {
            let log = try disk.open(Path.join("/follower/wal", name), .readWrite)
            try [UInt8](repeating: 0xEE, count: 4096).withUnsafeBytes { try log.write($0, at: 0) }
            log.close()
        }
        let follower = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        #expect(follower.keptTail == nil)
        try expectSame(follower, leader)
        try follower.close()
        try leader.close()
    }

    /// With the directory of the follower.
    private func withRoot(_ disk: CrashFileSystem) throws -> CrashFileSystem {
        try disk.createDirectory("/follower")
        try disk.syncDirectory("/")
        return disk
    }

    @Test func whatIsHereAlreadyIsNotFetchedAgain() throws {
        let leader = try leader()
        let first = try leader.makeCheckpoint(named: "1")
        let disk = try withRoot(CrashFileSystem())
        var installer = try SnapshotInstaller.begin(directory: "/follower", fileSystem: disk, manifest: first.manifest)
        #expect(try fetch(first, installer))
        try installer.finish()
        let follower = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        for index in 0..<300 { try leader.writeDurably { $0.put("new\(index)", "v") } }
        let second = try leader.makeCheckpoint(named: "2")
        installer = try SnapshotInstaller.begin(
            directory: "/follower", fileSystem: disk, manifest: second.manifest, engine: follower)
        #expect(installer.linkedByteCount > 10_000)
        #expect(try fetch(second, installer))
        #expect(installer.linkedByteCount + installer.fetchedByteCount == second.manifest.byteCount)
        try installer.finish()
        try follower.close()
        let again = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        try expectSame(again, leader)
        try again.verify()
        try again.close()
        try leader.close()
    }

    @Test func anotherManifestKeepsTheFilesThatBothHave() throws {
        let leader = try leader()
        let first = try leader.makeCheckpoint(named: "1")
        let disk = try withRoot(CrashFileSystem())
        var installer = try SnapshotInstaller.begin(directory: "/follower", fileSystem: disk, manifest: first.manifest)
        while try !fetch(first, installer, chunkCountMax: 1), installer.presentByteCount < first.manifest.byteCount / 2 {}
        try leader.writeDurably { $0.put("new", "v") }
        let second = try leader.makeCheckpoint(named: "2")
        installer = try SnapshotInstaller.begin(directory: "/follower", fileSystem: disk, manifest: second.manifest)
        #expect(installer.resumedByteCount > 10_000)
        #expect(try fetch(second, installer))
        try installer.finish()
        let follower = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: true))
        try expectSame(follower, leader)
        try follower.close()
        try leader.close()
    }

    @Test func wrongPiecesAreRefused() throws {
        let leader = try leader(count: 200)
        let checkpoint = try leader.makeCheckpoint(named: "1")
        let disk = try withRoot(CrashFileSystem())
        let installer = try SnapshotInstaller.begin(directory: "/follower", fileSystem: disk, manifest: checkpoint.manifest)
        #expect(throws: SnapshotInstaller.Problem.self) { _ = try fetch(checkpoint, installer) { $0[0] ^= 1 } }
        #expect(installer.fetchedByteCount == 0)
        installer.forgetRequests()
        let bytes: [UInt8] = [1, 2, 3]
        for (file, offset) in [(0, 1), (-1, 0), (10_000, 0)] as [(Int, UInt64)] {
            #expect(throws: SnapshotInstaller.Problem.self) {
                try withBytes(bytes) { bytes throws(SnapshotInstaller.Problem) in
                    try installer.write(file: file, at: offset, bytes, checksum: nexa_xxh3(bytes.baseAddress, 3, 0))
                }
            }
        }
        // A sender whose own file has rotted computes fitting checksums of wrong bytes: the table's digest tells.
        var problem: SnapshotInstaller.Problem?
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while problem == nil, let wanted = installer.next(byteCountMax: 1 << 20) {
            _ = try buffer.withUnsafeMutableBytes { try checkpoint.read(file: wanted.file, at: wanted.offset, into: $0) }
            buffer[wanted.byteCount / 2] ^= 4
            do {
                try withBytes(Array(buffer[..<wanted.byteCount])) { bytes throws(SnapshotInstaller.Problem) in
                    try installer.write(
                        file: wanted.file, at: wanted.offset, bytes, checksum: nexa_xxh3(bytes.baseAddress, bytes.count, 0))
                }
            } catch { problem = error }
        }
        guard case .badFile = problem else {
            Issue.record("\(String(describing: problem))")
            return
        }
        // It starts over.
        installer.forgetRequests()
        #expect(try fetch(checkpoint, installer))
        try leader.close()
    }

    @Test func manifestsThatNameForeignFilesAreRefused() throws {
        let leader = try leader(count: 10)
        var manifest = try leader.makeCheckpoint(named: "1").manifest
        #expect(manifest.contradiction == nil)
        #expect(manifest.encoded().withUnsafeBytes { CheckpointManifest($0) } == manifest)
        let bytes = manifest.encoded()
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 2
            #expect(changed.withUnsafeBytes { CheckpointManifest($0) } == nil)
            #expect(bytes[..<index].withUnsafeBytes { CheckpointManifest($0) } == nil)
        }
        for lsn in [1 << 60 - 1, 1 << 60, .max] as [LSN] {
            var far = manifest
            far.point.lsn = lsn
            #expect((far.encoded().withUnsafeBytes { CheckpointManifest($0) } == nil) == (lsn >= 1 << 60))
            far = manifest
            far.epochs[0].firstLSN = lsn
            #expect((far.encoded().withUnsafeBytes { CheckpointManifest($0) } == nil) == (lsn >= 1 << 60))
        }
        manifest.files.append(CheckpointManifest.File(name: "../x", byteCount: 1, digest: 0))
        #expect(manifest.contradiction != nil)
        manifest.files.removeAll { ManifestFileName.marker($0.name) != nil || $0.name == "../x" }
        #expect(manifest.contradiction != nil)
        try leader.close()
    }

    @Test func aCrashAtAnyCallLeavesTheOldStoreOrTheNewOne() throws {
        let leader = try leader(count: 300)
        let checkpoint = try leader.makeCheckpoint(named: "1")
        let point = checkpoint.manifest.point
        var outcomes: Set<LSN> = []
        for keep in [0, 0.5, 1] {
            var call = 0
            while true {
                let disk = CrashFileSystem()
                let old = try Engine.open(directory: "/follower", fileSystem: disk, options: options(follows: false))
                for index in 0..<5 { try old.writeDurably { $0.put("old\(index)", "v") } }
                try old.flush()
                try old.writeDurably { $0.put("old", "in the log") }
                try old.close()
                let installer = try SnapshotInstaller.begin(
                    directory: "/follower", fileSystem: disk, manifest: checkpoint.manifest)
                _ = try fetch(checkpoint, installer, chunkCountMax: .max, byteCountMax: 1 << 20)
                let crash = PendingCrash(disk: disk, durable: 0)
                let files = crash.fileSystem(nil)
                let last = try SnapshotInstaller.begin(directory: "/follower", fileSystem: files, manifest: checkpoint.manifest)
                crash.arm(afterCalls: call, keepUnsynced: keep, seed: UInt64(call) &+ 77)
                try last.finish()
                let new = try Engine.open(directory: "/follower", fileSystem: files, options: options(follows: true))
                #expect(new.durablePoint == point)
                guard let clone = crash.takeIfTaken() else { break }
                let found = try Engine.open(directory: "/follower", fileSystem: clone, options: options(follows: true))
                outcomes.insert(found.durableLSN)
                if found.durableLSN == 6 {
                    #expect(try found.text("old") == "in the log")
                    #expect(try found.contents().count == 6)
                } else {
                    #expect(found.durablePoint == point, "call \(call) keep \(keep)")
                    try expectSame(found, leader)
                    try found.catchUp(with: leader)
                    try found.verify()
                }
                try found.close()
                call += 1
            }
            #expect(call > 30)
        }
        #expect(outcomes == [6, point.lsn])
        try leader.close()
    }

    @Test func aCopyThatIsReadyIsNotTakenForWholeWhileAnotherOneComes() throws {
        let leader = try leader(count: 300)
        let first = try leader.makeCheckpoint(named: "1")
        try leader.compactAll()
        for index in 0..<300 { try leader.write { $0.put("key\(index)", "later") } }
        let second = try leader.makeCheckpoint(named: "2")
        for keep in [0, 0.5, 1] {
            for call in 0..<100 {
                let disk = try withRoot(CrashFileSystem())
                let ready = try SnapshotInstaller.begin(directory: "/follower", fileSystem: disk, manifest: first.manifest)
                _ = try fetch(first, ready, byteCountMax: 1 << 20)
                try ready.finish()
                let crash = PendingCrash(disk: disk, durable: 0)
                let files = crash.fileSystem(nil)
                crash.arm(afterCalls: call, keepUnsynced: keep, seed: UInt64(call) &+ 5)
                let other = try SnapshotInstaller.begin(directory: "/follower", fileSystem: files, manifest: second.manifest)
                _ = try fetch(second, other, byteCountMax: 1 << 20)
                try other.finish()
                guard let clone = crash.takeIfTaken() else { break }
                // The first copy, the second one, or none of them: an empty store.
                let found = try Engine.open(directory: "/follower", fileSystem: clone, options: options(follows: true))
                #expect([0, first.manifest.point.lsn, second.manifest.point.lsn].contains(found.durableLSN))
                try found.verify()
                try found.close()
            }
        }
        try leader.close()
    }

    @Test func aCopyThatLacksAFileDoesNotTakeTheStoresPlace() throws {
        let leader = try leader(count: 300)
        let checkpoint = try leader.makeCheckpoint(named: "1")
        let disk = CrashFileSystem()
        let old = try Engine.open(directory: "/follower", fileSystem: disk, options: options())
        try old.writeDurably { $0.put("old", "v") }
        try old.close()
        let installer = try SnapshotInstaller.begin(directory: "/follower", fileSystem: disk, manifest: checkpoint.manifest)
        _ = try fetch(checkpoint, installer)
        try installer.finish()
        let name = try #require(try disk.list("/follower/incoming/sst").first)
        try disk.remove("/follower/incoming/sst/\(name)")
        #expect(failure { try Engine.open(directory: "/follower", fileSystem: disk, options: options()) }?.corruption != nil)
        try disk.remove("/follower/incoming/READY")
        let again = try Engine.open(directory: "/follower", fileSystem: disk, options: options())
        #expect(try again.text("old") == "v")
        try again.close()
        try leader.close()
    }

    @Test func itWorksOnARealDisk() throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("nexa-copy-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: root) }
        let disk = PosixFileSystem()
        try disk.createDirectory(root)
        var options = options()
        options.backgroundWork = .threads
        let leader = try Engine.open(directory: root + "/leader", fileSystem: disk, options: options)
        for index in 0..<3000 { try leader.write { $0.put("key\(index)", "value \(index)") } }
        try leader.waitDurable(leader.reservedLSN)
        leader.setRetention("follower", oldestNeededLSN: leader.durableLSN)
        let checkpoint = try leader.makeCheckpoint(named: "1")
        for index in 0..<1000 { try leader.write { $0.put("key\(index)", "later") } }
        try leader.waitDurable(leader.reservedLSN)
        options.follows = true
        var follower = try Engine.open(directory: root + "/follower", fileSystem: disk, options: options)
        let installer = try SnapshotInstaller.begin(
            directory: root + "/follower", fileSystem: disk, manifest: checkpoint.manifest, engine: follower)
        #expect(try fetch(checkpoint, installer))
        try installer.finish()
        try follower.close()
        follower = try Engine.open(directory: root + "/follower", fileSystem: disk, options: options)
        try follower.catchUp(with: leader)
        #expect(follower.durablePoint == leader.durablePoint)
        try expectSame(follower, leader)
        try follower.verify()
        try follower.close()
        try checkpoint.remove()
        #expect(try disk.list(root + "/leader/checkpoints").isEmpty)
        try leader.close()
    }

    @Test func checkpointsOfAnEarlierRunAreRemoved() throws {
        let disk = CrashFileSystem()
        var leader = try leader(disk)
        _ = try leader.makeCheckpoint(named: "1")
        _ = try leader.makeCheckpoint(named: "2")
        #expect(throws: StorageError.self) { try leader.makeCheckpoint(named: "2") }
        try leader.close()
        leader = try Engine.open(directory: "/leader", fileSystem: disk, options: options())
        #expect(try disk.list("/leader/checkpoints").isEmpty)
        try leader.verify()
        try leader.close()
    }

    @Test func aCheckpointUnderLoadHasTheChainOfItsPoint() throws {
        let leader = try leader()
        for round in 0..<5 {
            for index in 0..<400 { try leader.write { $0.put("key\(index)", "round \(round)") } }
            let checkpoint = try leader.makeCheckpoint(named: "\(round)")
            let point = checkpoint.manifest.point
            let chain = try leader.chain(at: point.lsn)
            #expect(chain == point.chain && point.epoch == 3)
            try checkpoint.remove()
        }
        try leader.close()
    }
}
