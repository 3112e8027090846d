import Glibc
import NexaStorage
import NexaTestKit
import Testing

/// Segments that are made ready ahead of time, by a thread of their own, and used again.
@Suite struct LogSegmentPreparerTests {
    private let disk: CrashFileSystem
    private let faulty: FaultFileSystem
    private let fixture: LogFixture

    init() throws {
        disk = try LogFixture.emptyDisk()
        faulty = FaultFileSystem(disk)
        fixture = LogFixture(
            fileSystem: faulty,
            options: LogOptions(segmentByteCount: 8 << 10, starterByteCount: 8 << 10, preparesInBackground: true))
    }

    private func write(_ writer: LogWriter, segments count: UInt64) throws {
        let last = writer.end.segmentID + count
        while writer.end.segmentID < last { try writer.append([[UInt8](repeating: 7, count: 500)]) }
        try writer.sync()
    }

    @Test func aThreadPreparesWhileTheLogIsWritten() throws {
        let writer = try fixture.start()
        try write(writer, segments: 40)
        try writer.close()
        #expect(try fixture.recover().log.end == writer.end)
        let second = try fixture.start(try fixture.recover().log)
        try write(second, segments: 3)
        try second.close()
        #expect(try fixture.recover().log.end.lsn == second.end.lsn)
    }

    @Test func givenUpSegmentsAreUsedAgain() throws {
        let writer = try fixture.start()
        for _ in 0..<20 {
            try write(writer, segments: 2)
            try writer.segments.retire(below: writer.end.segmentID)
        }
        try writer.close()
        #expect(faulty.count(of: .rename) > 10)
        #expect(try disk.list(LogFixture.directory).count <= 6, "what is not used again is removed")
        let low = try #require(writer.segments.all.first)
        let found = try fixture.recover(DurableEvidence(walLow: low.id, flushedLSN: low.firstLSN - 1))
        #expect(found.log.end.lsn == writer.end.lsn && found.log.end.chain == writer.end.chain)
    }

    @Test func aFullDiskFailsTheWriterAndARestartGoesOn() throws {
        let writer = try fixture.start()
        try write(writer, segments: 1)
        faulty.add(FaultRule(.preallocate, count: .max, effect: .fail(errno: ENOSPC)))
        let error = failure { try write(writer, segments: 3) }
        #expect(error == .io(operation: "fallocate", path: LogFixture.path(writer.end.segmentID + 1), errno: ENOSPC))
        #expect(failure { try LogWriter.restart(after: writer, at: writer.end) } != nil)
        faulty.removeRules()
        let second = try LogWriter.restart(after: writer, at: writer.end)
        try write(second, segments: 2)
        try second.close()
        let found = try fixture.recover(DurableEvidence(walLow: 1, flushedLSN: writer.end.lsn))
        #expect(found.log.end.lsn == second.end.lsn)
    }

    @Test func aDiskThatWasFullWhileASegmentWasPreparedIsNoReasonToStop() throws {
        let writer = try fixture.start()
        try write(writer, segments: 1)
        let next = LogFixture.path(writer.end.segmentID + 1)
        func isPrepared() -> Bool { ((try? disk.byteCount(of: next)) ?? 0) >= 8 << 10 }
        for _ in 0..<1000 where !isPrepared() { usleep(10_000) }
        faulty.add(FaultRule(.preallocate, count: .max, effect: .fail(errno: ENOSPC)))
        try write(writer, segments: 1)
        // The thread fails at the segment behind that one before the disk has room again.
        for _ in 0..<1000 where faulty.faultCount == 0 { usleep(10_000) }
        #expect(faulty.faultCount == 1)
        faulty.removeRules()
        try write(writer, segments: 3)
        try writer.close()
        #expect(try fixture.recover().log.end == writer.end)
    }

    @Test func theRealDiskDoesTheSame() throws {
        var template = Array("/tmp/nexadb-test-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        let fileSystem = PosixFileSystem()
        defer {
            for name in (try? fileSystem.list(directory)) ?? [] { unlink(Path.join(directory, name)) }
            rmdir(directory)
        }
        let segments = LogSegments(directory: directory, fileSystem: fileSystem, options: fixture.options)
        let writer = try LogWriter.start(after: .empty, segmentID: 1, storeUUID: LogFixture.uuid, segments: segments)
        for _ in 0..<5 {
            try write(writer, segments: 2)
            try segments.retire(below: writer.end.segmentID - 1)
        }
        try writer.close()
        let low = try #require(segments.all.first)
        let log = try LogRecovery.recover(
            directory: directory, fileSystem: fileSystem, storeUUID: LogFixture.uuid,
            evidence: DurableEvidence(walLow: low.id, flushedLSN: low.firstLSN - 1)
        ) { _, _ in }
        #expect(log.end == writer.end && log.tail == .clean)
    }
}
