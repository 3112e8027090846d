import NexaStorage
import NexaTestKit
import Testing

@Suite struct LogTailTests {
    private let disk: CrashFileSystem
    private var fixture: LogFixture

    init() throws {
        disk = try LogFixture.emptyDisk()
        fixture = LogFixture(fileSystem: disk)
        fixture.options.segmentByteCount = 6 << 10
        fixture.options.starterByteCount = 6 << 10
    }

    private func read(_ tail: LogTail, upTo durable: LSN, byteCountMax: Int = .max) throws -> ([LSN], LogTail.Progress) {
        var lsns: [LSN] = []
        let progress = try tail.read(upTo: durable, byteCountMax: byteCountMax) { record throws(StorageError) in
            lsns.append(record.header.lsn)
        }
        return (lsns, progress)
    }

    @Test func followsTheWriterAcrossSegments() throws {
        let writer = try fixture.start()
        let tail = LogTail(segments: writer.segments, from: 1)
        var seen: [LSN] = []
        for lsn: LSN in 1...60 {
            try writer.append([[UInt8](repeating: UInt8(lsn), count: 300)])
            if lsn % 7 == 0 { try writer.sync() }
            if lsn % 10 == 0 { try writer.writeMark(durable: writer.syncedLSN) }
            seen += try read(tail, upTo: writer.syncedLSN).0
            #expect(seen.last ?? 0 == writer.syncedLSN)
        }
        try writer.sync()
        seen += try read(tail, upTo: 60).0
        #expect(seen == Array(1...60))
        #expect(tail.chain == writer.end.chain && tail.nextLSN == 61)
        #expect(writer.segments.all.count > 2)
    }

    @Test func neverReadsWhatIsNotDurable() throws {
        let writer = try fixture.start()
        try writer.append([[1], [2], [3]])
        let tail = LogTail(segments: writer.segments, from: 1)
        #expect(try read(tail, upTo: 0) == ([], .caughtUp))
        #expect(try read(tail, upTo: 2) == ([1, 2], .caughtUp))
    }

    @Test func startsAnywhereAndStopsAtTheByteLimit() throws {
        let writer = try fixture.start()
        for lsn: LSN in 1...40 { try writer.append([[UInt8](repeating: UInt8(lsn), count: 300)]) }
        try writer.sync()
        let tail = LogTail(segments: writer.segments, from: 33)
        #expect(try read(tail, upTo: 40, byteCountMax: 400) == ([33, 34], .more))
        #expect(try read(tail, upTo: 40) == (Array(35...40), .caughtUp))
    }

    @Test func portableBytesAreTheCommittersOwn() throws {
        let writer = try fixture.start()
        try writer.append([Array("hello".utf8)])
        try writer.sync()
        var bytes: [UInt8] = []
        _ = try LogTail(segments: writer.segments, from: 1).read(upTo: 1, byteCountMax: .max) { record throws(StorageError) in
            bytes = Array(record.portable)
        }
        let record = LogFixture.record(1, Array("hello".utf8))
        #expect(bytes == Array(record[16..<61]))
    }

    @Test func readsThroughATornTailIntoTheNextSegment() throws {
        let writer = try fixture.start()
        try writer.append([[1], [2]])
        try writer.sync()
        try writer.append([[UInt8](repeating: 3, count: 2000)])
        let crashed = disk.crashClone(keepUnsynced: 0.5, seed: 4)
        let after = LogFixture(fileSystem: crashed, options: fixture.options)
        let found = try after.recover().log
        let second = try after.start(found)
        try second.append([[4], [5]])
        try second.sync()
        let tail = LogTail(segments: second.segments, from: 1)
        #expect(try read(tail, upTo: second.syncedLSN).0 == Array(1...second.syncedLSN))
        #expect(tail.chain == second.end.chain)
    }

    @Test func saysWhatIsGoneWhenSegmentsAreReused() throws {
        let writer = try fixture.start()
        let tail = LogTail(segments: writer.segments, from: 1)
        for lsn: LSN in 1...20 { try writer.append([[UInt8](repeating: UInt8(lsn), count: 400)]) }
        try writer.sync()
        #expect(try read(tail, upTo: 20, byteCountMax: 500).0 == [1, 2])
        // Its segment is given up and becomes a later one, under the reader's open file.
        let low = writer.end.segmentID
        try writer.segments.retire(below: low)
        for lsn: LSN in 21...60 { try writer.append([[UInt8](repeating: UInt8(lsn), count: 400)]) }
        try writer.sync()
        let oldest = try #require(writer.segments.oldestLSN)
        let (lsns, progress) = try read(tail, upTo: 60)
        #expect(lsns.isEmpty && progress == .gone(oldest: oldest))
        #expect(try read(LogTail(segments: writer.segments, from: oldest), upTo: 60).0 == Array(oldest...60))
    }

    @Test func damageUnderTheReaderIsReported() throws {
        let writer = try fixture.start()
        try writer.append([[1], [2], [3]])
        try writer.sync()
        var bytes = try disk.contents(LogFixture.path(1))
        bytes[4096 + 64 + 20] ^= 1
        try disk.setContents(LogFixture.path(1), bytes)
        let tail = LogTail(segments: writer.segments, from: 1)
        let corruption = failure { try read(tail, upTo: 3) }?.corruption
        #expect(corruption?.lsn == 1 && corruption?.offset == 4096 + 64)
    }
}
