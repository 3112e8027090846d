import NexaStorage
import NexaTestKit
import Testing

/// A damaged log opens again after salvage, with every record in front of the damage and none behind it.
@Suite struct LogSalvageTests {
    private let disk: CrashFileSystem
    private let fixture: LogFixture
    private let layout = StoreLayout(directory: "/store")
    private let lastLSN: LSN

    /// A store whose log spans several segments, 20 records synced and witnessed.
    init() throws {
        disk = try LogFixture.emptyDisk()
        fixture = LogFixture(fileSystem: disk, options: LogOptions(segmentByteCount: 6 << 10, preparesInBackground: false))
        let writer = try fixture.start()
        for lsn: UInt8 in 1...20 { try writer.append([[UInt8](repeating: lsn, count: 300)]) }
        try writer.sync()
        lastLSN = writer.syncedLSN
        var initial = VersionEdit()
        initial.storeUUID = LogFixture.uuid
        initial.walLow = 1
        initial.durableMark = writer.end.durableMark
        try writer.close()
        try ManifestWriter.create(directory: "/store", fileSystem: disk, initial: initial).close()
    }

    private func recover() throws -> LogFixture.Contents {
        let state = try #require(try ManifestReader.read(directory: "/store", fileSystem: disk)).state
        return try fixture.recover(state.logEvidence)
    }

    private func flip(_ segmentID: UInt64, _ offset: Int) throws {
        var bytes = try disk.contents(LogFixture.path(segmentID))
        bytes[offset] ^= 1
        try disk.setContents(LogFixture.path(segmentID), bytes)
    }

    @Test func aWholeLogIsLeftAlone() throws {
        let before = try disk.list(LogFixture.directory)
        #expect(try LogSalvage.run(layout: layout, fileSystem: disk) == nil)
        #expect(try disk.list(LogFixture.directory) == before)
    }

    /// Each segment in turn: a record damaged, the header gone, the file gone, the file cut.
    @Test(arguments: 1...4 as ClosedRange<UInt64>, ["record", "header", "missing", "cut"])
    func keepsEverythingInFrontOfTheDamage(segmentID: UInt64, damage: String) throws {
        try #require(disk.exists(LogFixture.path(4)))
        let firstLSN = try #require(try recover().log.segments.first { $0.id == segmentID }).firstLSN
        let size = RecordHeader.recordByteCount(storedByteCount: 300)
        switch damage {
        case "record": try flip(segmentID, 4096 + size + 100)
        case "header": try flip(segmentID, 20)
        case "missing": try disk.remove(LogFixture.path(segmentID))
        default:
            let bytes = try disk.contents(LogFixture.path(segmentID))
            try disk.setContents(LogFixture.path(segmentID), Array(bytes[..<(4096 + size + 100)]))
        }
        #expect(failure { try recover() }?.corruption != nil)

        let report = try #require(try LogSalvage.run(layout: layout, fileSystem: disk))
        let keptLSN = ["record", "cut"].contains(damage) ? firstLSN : firstLSN - 1
        #expect(report.keptLSN == keptLSN && report.provenLSN == lastLSN)
        let found = try recover()
        #expect(found.log.end.lsn == keptLSN)
        for lsn in stride(from: LSN(1), through: keptLSN, by: 1) where segmentID > 1 || keptLSN >= lsn {
            #expect(found.payloads[lsn] == [UInt8](repeating: UInt8(lsn), count: 300))
        }
        let writer = try fixture.start(found.log)
        try writer.append([[1]])
        try writer.close()
        #expect(try recover().log.end.lsn == keptLSN + 1)
        #expect(try LogSalvage.run(layout: layout, fileSystem: disk) == nil)
    }

    @Test func nothingIsDeleted() throws {
        let before = try disk.list(LogFixture.directory).map { try disk.contents(Path.join(LogFixture.directory, $0)) }
        try flip(1, 4096 + 100)
        let damaged = try disk.contents(LogFixture.path(1))
        let report = try #require(try LogSalvage.run(layout: layout, fileSystem: disk))
        #expect(report.keptLSN == 0 && !report.setAside.isEmpty)
        #expect(try disk.contents(LogFixture.path(1)) == damaged)
        for (index, name) in report.setAside.enumerated() {
            #expect(try disk.contents(Path.join(LogFixture.directory, name + LogSalvage.lostSuffix)) == before[index + 1])
        }
    }
}
