import NexaStorage
import NexaTestKit
import Testing

@Suite struct ManifestTests {
    private let disk: CrashFileSystem
    private let fixture: ManifestFixture

    init() throws {
        disk = try ManifestFixture.emptyDisk()
        fixture = ManifestFixture(fileSystem: disk)
    }

    @Test func anEmptyDirectoryIsNoStore() throws {
        #expect(try fixture.read() == nil)
    }

    @Test func editsAreDurableOnReturn() throws {
        let writer = try fixture.create()
        try writer.addTable(1)
        try writer.addTable(2)
        try writer.compact([1, 2], into: 3)
        let after = ManifestFixture(fileSystem: disk.crashClone(keepUnsynced: 0, seed: 1))
        let found = try #require(try after.read())
        #expect(found.state == writer.state)
        #expect(found.state.files == [3: ManifestFixture.table(3, level: 1)])
        #expect(found.state.storeUUID == ManifestFixture.uuid && found.state.flushedLSN == 3)
    }

    @Test func aTableMayMoveBetweenLevelsInOneEdit() throws {
        let writer = try fixture.create()
        try writer.addTable(1)
        var edit = VersionEdit()
        edit.removed = [VersionEdit.RemovedFile(level: 0, number: 1)]
        edit.added = [ManifestFixture.table(1, level: 2)]
        try writer.append(edit)
        #expect(try fixture.read()?.state.files[1]?.level == 2)
    }

    @Test func aFullManifestIsReplacedByItsSnapshot() throws {
        let writer = try fixture.create()
        let first = writer.marker
        for number: UInt64 in 1...300 {
            try writer.addTable(number)
            if number % 10 == 0 && number > 20 {
                var edit = VersionEdit()
                edit.removed = (number - 19...number - 10).map { VersionEdit.RemovedFile(level: 0, number: $0) }
                try writer.append(edit)
            }
        }
        #expect(writer.marker.iteration > first.iteration + 3)
        let manifests = try disk.list("/store").compactMap(ManifestFileName.manifestID)
        #expect(manifests == [writer.marker.manifestID], "old manifests are removed")
        #expect(try disk.byteCount(of: fixture.path(writer)) <= 20 << 10, "its size follows the state, not the history")
        #expect(try fixture.read()?.state == writer.state)
    }

    @Test func eachStartBeginsANewManifest() throws {
        let writer = try fixture.create()
        try writer.addTable(1)
        let old = fixture.path(writer)
        let second = try fixture.start(try #require(try fixture.read()))
        #expect(second.marker.iteration == writer.marker.iteration + 1 && !disk.exists(old))
        try second.addTable(2)
        #expect(try fixture.read()?.state.files.count == 2)
    }

    @Test func aTornEditIsDropped() throws {
        let faulty = FaultFileSystem(disk)
        let fixture = ManifestFixture(fileSystem: faulty)
        let writer = try fixture.create()
        try writer.addTable(1)
        faulty.add(FaultRule(.sync, effect: .fail(errno: 5)))
        #expect(failure { try writer.addTable(2) } != nil)
        #expect(writer.state.files.count == 1, "an edit counts only when it is durable")
        #expect(failure { try writer.addTable(3) } != nil, "nothing is appended after a failure")
        let after = ManifestFixture(fileSystem: disk.crashClone(keepUnsynced: 0, seed: 1))
        #expect(try after.read()?.state == writer.state)
        try writer.restart()
        try writer.addTable(2)
        #expect(try ManifestFixture(fileSystem: disk.crashClone(keepUnsynced: 0, seed: 2)).read()?.state.files.count == 2)
    }

    @Test func aLostMarkerIsNotAFreshStore() throws {
        let writer = try fixture.create()
        try writer.addTable(1)
        try disk.remove(Path.join("/store", ManifestFileName.marker(writer.marker)))
        #expect(failure { try fixture.read() }?.corruption?.reason.contains("no marker names it") == true)
    }

    @Test func aMissingManifestIsDamage() throws {
        let writer = try fixture.create()
        try disk.remove(fixture.path(writer))
        #expect(failure { try fixture.read() }?.corruption != nil)
    }

    /// A crash before every call while a store is created, filled and rotated.
    @Test func aCrashBetweenAnyTwoCallsIsRecovered() throws {
        var crashPoint = 1
        var isDone = false
        while !isDone {
            let disk = try ManifestFixture.emptyDisk()
            var clones: [(CrashFileSystem, ManifestState?)] = []
            let progress = Progress()
            let point = crashPoint
            let faulty = FaultFileSystem(disk) { _, _, number in
                guard number == point else { return }
                for (index, keep) in [0, 0.5, 1].enumerated() {
                    progress.clones.append(disk.crashClone(keepUnsynced: keep, seed: UInt64(point * 10 + index)))
                }
                progress.stateAtCrash = progress.state
            }
            var fixture = ManifestFixture(fileSystem: faulty)
            fixture.options.byteCountMin = 4096 + 900
            let writer = try fixture.create()
            progress.state = writer.state
            for number: UInt64 in 1...9 {
                try writer.addTable(number)
                progress.state = writer.state
            }
            #expect(writer.marker.iteration > 1)
            clones = progress.clones.map { ($0, progress.stateAtCrash) }
            isDone = clones.isEmpty
            for (clone, state) in clones {
                let after = ManifestFixture(fileSystem: clone)
                let found = try after.read()
                // The edit in flight may or may not have made it.
                let fileCount = found?.state.files.count ?? -1
                let acknowledgedCount = state?.files.count ?? -1
                #expect(fileCount == acknowledgedCount || fileCount == acknowledgedCount + 1, "crash before call \(point)")
                let next = try found.map(after.start) ?? after.create()
                try next.addTable(100)
                #expect(try ManifestFixture(fileSystem: clone.crashClone(keepUnsynced: 0, seed: 1)).read()?.state == next.state)
            }
            crashPoint += 1
        }
        #expect(crashPoint > 40)
    }

    /// Confined to the test's thread.
    private final class Progress: @unchecked Sendable {
        var clones: [CrashFileSystem] = []
        var state: ManifestState?
        var stateAtCrash: ManifestState?
    }
}
