import CSupport
import NexaStorage
import NexaTestKit
import Testing

@Suite struct LogRecoveryTests {
    private let disk: CrashFileSystem
    private let fixture: LogFixture

    init() throws {
        disk = try LogFixture.emptyDisk()
        fixture = LogFixture(fileSystem: disk)
    }

    private func payload(_ lsn: LSN, _ byteCount: Int = 40) -> [UInt8] {
        var generator = SeededGenerator(seed: lsn)
        return generator.bytes(byteCount)
    }

    @Test func anEmptyDirectoryIsAnEmptyLog() throws {
        let found = try fixture.recover()
        #expect(found.log.end == .empty && found.log.nextSegmentID == 1 && found.log.tail == .clean)
    }

    @Test func whatWasClosedComesBackInOrder() throws {
        let writer = try fixture.start()
        try writer.append((1...10).map { payload($0) })
        try writer.append((11...12).map { payload($0) }, epoch: 2)
        let chain = writer.end.chain
        try writer.close()
        let found = try fixture.recover()
        #expect(found.payloads == Dictionary(uniqueKeysWithValues: (1...12).map { ($0, payload($0)) }))
        #expect(found.log.end.lsn == 12 && found.log.end.epoch == 2 && found.log.end.chain == chain)
        #expect(found.log.tail == .clean && found.log.recordCount == 12 && found.log.nextSegmentID == 2)
    }

    @Test func theLogGoesOnInANewSegmentAndNeverTouchesTheOldOne() throws {
        let writer = try fixture.start()
        try writer.append([payload(1), payload(2)])
        try writer.sync()
        let before = try disk.contents(LogFixture.path(1))
        let second = try fixture.start(fixture.recover().log)
        try second.append([payload(3)])
        try second.close()
        #expect(try disk.contents(LogFixture.path(1)) == before)
        #expect(try fixture.recover().log.end.lsn == 3)
    }

    @Test func fullSegmentsAreLeftBehind() throws {
        let writer = try fixture.start()
        for lsn: LSN in 1...100 { try writer.append([payload(lsn, 700)]) }
        try writer.sync()
        #expect(writer.segments.all.count > 5)
        let found = try fixture.recover()
        #expect(found.payloads.count == 100 && found.log.end.lsn == 100)
        #expect(found.log.segments.map(\.id) == writer.segments.all.map(\.id))
        #expect(found.log.end.chain == writer.end.chain)
    }

    @Test func oneCallMaySpanManySegments() throws {
        let writer = try fixture.start()
        try writer.append((1...100).map { payload($0, 700) })
        try writer.close()
        #expect(try fixture.recover().payloads.count == 100)
    }

    @Test func aRecordLargerThanASegmentGetsOneOfItsSize() throws {
        let writer = try fixture.start()
        try writer.append([payload(1), payload(2, 100_000), payload(3)])
        try writer.sync()
        let found = try fixture.recover()
        #expect(found.payloads[2] == payload(2, 100_000) && found.log.end.lsn == 3)
        for segment in found.log.segments {
            let byteCount = try disk.byteCount(of: LogFixture.path(segment.id))
            #expect(segment.end!.offset <= byteCount, "records never grow a file")
        }
    }

    @Test func compressedPayloadsComeBackExpanded() throws {
        let raw = [UInt8](repeating: 7, count: 4000)
        var stored = [UInt8](repeating: 0, count: 4000)
        stored.removeLast(stored.count - nexa_lz4_compress(raw, raw.count, &stored, stored.count))
        var record = [UInt8](repeating: 0, count: RecordHeader.recordByteCount(storedByteCount: stored.count))
        record.replaceSubrange(56..<56 + stored.count, with: stored)
        record.withUnsafeMutableBytes { bytes in
            RecordHeader.fill(
                bytes.baseAddress!, type: .batch, codec: .lz4, lsn: 1, epoch: 1, operationCount: 1, storedByteCount: stored.count,
                rawByteCount: raw.count, payloadHash: stored.withUnsafeBytes(RecordHeader.payloadHash))
        }
        let writer = try fixture.start()
        try record.withUnsafeMutableBytes { bytes in
            Result { () throws(StorageError) in try writer.append(bytes, durable: 0) }
        }.get()
        try writer.close()
        #expect(try fixture.recover().payloads == [1: raw])
    }

    @Test func aTornTailIsDroppedAndTheNextSegmentRemembersWhere() throws {
        let writer = try fixture.start()
        try writer.append([payload(1), payload(2)])
        try writer.sync()
        try writer.append([payload(3, 2000), payload(4, 2000)])
        // Of the un-synced group only the later sectors reached the disk.
        let crashed = disk.crashClone(keepUnsynced: 0, seed: 1)
        var bytes = try crashed.contents(LogFixture.path(1))
        let full = try disk.contents(LogFixture.path(1))
        bytes.replaceSubrange(4608..<7168, with: full[4608..<7168])
        try crashed.setContents(LogFixture.path(1), bytes)

        let after = LogFixture(fileSystem: crashed)
        let found = try after.recover()
        #expect(found.log.tail == .tornTail && found.log.end.lsn == 2 && found.log.droppedByteCount > 0)
        let second = try after.start(found.log)
        try second.append([payload(30)])
        try second.sync()
        let again = try after.recover()
        #expect(again.payloads == [1: payload(1), 2: payload(2), 3: payload(30)])
        #expect(try crashed.contents(LogFixture.path(1)) == bytes, "an old log is never changed")
    }

    @Test func whatAKilledProcessLeftInMemoryIsMadeDurable() throws {
        let writer = try fixture.start()
        try writer.append([payload(1), payload(2)])
        let killed = disk.crashClone(keepUnsynced: 1, seed: 1)
        let after = LogFixture(fileSystem: killed)
        #expect(try after.recover().log.end.lsn == 2)
        let powerCut = LogFixture(fileSystem: killed.crashClone(keepUnsynced: 0, seed: 2))
        #expect(try powerCut.recover().log.end.lsn == 2)
    }

    @Test func aPreparedSegmentIsNotPartOfTheLog() throws {
        let writer = try fixture.start()
        try writer.append([payload(1)])
        try writer.close()
        // What a crash leaves between preparing and beginning: zeros, or the file of an older segment under a new name.
        try disk.setContents(LogFixture.path(2), try disk.contents(LogFixture.path(1)))
        let found = try fixture.recover()
        #expect(found.log.end.lsn == 1 && found.log.nextSegmentID == 2)
        let second = try fixture.start(found.log)
        try second.append([payload(2)])
        try second.close()
        #expect(try fixture.recover().log.end.lsn == 2)
    }

    @Test func missingSegmentsAreDamage() throws {
        let writer = try fixture.start()
        for lsn: LSN in 1...60 { try writer.append([payload(lsn, 700)]) }
        try writer.sync()
        let ids = writer.segments.all.map(\.id)
        for id in ids {
            let copy = disk.crashClone(keepUnsynced: 1, seed: 0)
            try copy.remove(LogFixture.path(id))
            let error = failure { try LogFixture(fileSystem: copy).recover(DurableEvidence(walLow: 1)) }
            #expect(error?.corruption != nil, "segment \(id) of \(ids.count)")
        }
    }

    @Test func theManifestsMarkIsAWitness() throws {
        let writer = try fixture.start()
        try writer.append([payload(1), payload(2)])
        try writer.sync()
        let mark = writer.end.durableMark
        try writer.append([payload(3)])
        try writer.sync()
        #expect(try fixture.recover(DurableEvidence(walLow: 1, mark: mark)).log.end.lsn == 3)

        var bytes = try disk.contents(LogFixture.path(1))
        for index in 4096..<Int(mark.offset) + 200 { bytes[index] = 0 }
        try disk.setContents(LogFixture.path(1), bytes)
        #expect(
            try fixture.recover(DurableEvidence(walLow: 1)).log.end.lsn == 0, "without a witness nothing is known to be missing")
        let error = failure { try fixture.recover(DurableEvidence(walLow: 1, mark: mark)) }
        #expect(error?.corruption?.lsn == 0 && error?.corruption?.offset == 4096)
        #expect(failure { try fixture.recover(DurableEvidence(walLow: 1, acknowledgedLSN: 1)) }?.corruption != nil)
    }

    @Test func anotherHistoryUpToTheMarkIsDamage() throws {
        let writer = try fixture.start()
        try writer.append([payload(1), payload(2)])
        try writer.close()
        var mark = DurableMark(segmentID: 1, offset: 4096, lsn: 1, chain: 0xBAD)
        #expect(failure { try fixture.recover(DurableEvidence(walLow: 1, mark: mark)) }?.corruption != nil)
        mark.segmentID = 9
        mark.lsn = 0
        #expect(failure { try fixture.recover(DurableEvidence(walLow: 1, mark: mark)) }?.corruption != nil)
    }

    @Test func theLogOfAnotherStoreIsNotRead() throws {
        let writer = try LogWriter.start(
            after: .empty, segmentID: 1, storeUUID: StoreUUID(high: 1, low: 2), segments: fixture.segments())
        try writer.close()
        let corruption = failure { try fixture.recover() }?.corruption
        #expect(corruption?.reason.contains("belongs to store") == true)
    }

    @Test func recordsOfTheFutureRefuseToOpen() throws {
        let writer = try fixture.start()
        try writer.append([payload(1)])
        var record = LogFixture.record(2, payload(2))
        record[52] = 77
        try appendRehashed(record, to: writer)
        try writer.sync()
        guard case .unsupportedFormat(let file, let reason) = failure(of: { try fixture.recover() }) else {
            Issue.record("a record of an unknown type was accepted")
            return
        }
        #expect(file == LogFixture.path(1) && reason.contains("77"))
    }

    /// Seals and appends a record whose identity was changed by hand.
    private func appendRehashed(_ record: [UInt8], to writer: LogWriter) throws {
        var record = record
        let stored = Int(record[40])
        let payloadHash = record[56..<56 + stored].withUnsafeBytes(RecordHeader.payloadHash)
        let hash = record.withUnsafeBytes { nexa_xxh3($0.baseAddress! + 24, 32, payloadHash) }
        withUnsafeBytes(of: hash.littleEndian) { record.replaceSubrange(16..<24, with: $0) }
        try record.withUnsafeMutableBytes { bytes in
            Result { () throws(StorageError) in try writer.append(bytes, durable: 0) }
        }.get()
    }

    @Test func readErrorsAreNeverATail() throws {
        let writer = try fixture.start()
        try writer.append([payload(1)])
        try writer.sync()
        let faulty = FaultFileSystem(disk, rules: [FaultRule(.read, pathSuffix: ".wal", nth: 2, effect: .fail(errno: 5))])
        let error = failure { try LogFixture(fileSystem: faulty).recover() }
        #expect(error == .io(operation: "pread", path: LogFixture.path(1), errno: 5))
    }

    @Test func afterAFailedSyncTheLogGoesOnUnlinked() throws {
        let faulty = FaultFileSystem(disk)
        let fixture = LogFixture(fileSystem: faulty)
        let writer = try fixture.start()
        try writer.append([payload(1), payload(2)])
        try writer.sync()
        try writer.append([payload(3), payload(4)])
        faulty.add(FaultRule(.sync, pathSuffix: ".wal", effect: .fail(errno: 5)))
        #expect(failure { try writer.sync() } != nil)
        let syncCount = faulty.count(of: .sync)
        #expect(failure { try writer.sync() } != nil)
        #expect(faulty.count(of: .sync) == syncCount, "a failed sync is not tried again")
        #expect(failure { try writer.append([payload(5)]) } != nil)

        let second = try LogWriter.restart(after: writer, at: writer.end)
        try second.append([payload(5)])
        try second.sync()
        // The dirty pages of the failed sync are gone; tables hold up to LSN 4.
        let after = LogFixture(fileSystem: disk.crashClone(keepUnsynced: 0, seed: 3))
        let found = try after.recover(DurableEvidence(walLow: second.end.segmentID, flushedLSN: 4))
        #expect(found.payloads == [5: payload(5)] && found.log.end.lsn == 5 && found.log.end.chain == second.end.chain)
        // Before the manifest names the new segment, the old ones are still needed by name only.
        #expect(try after.recover(DurableEvidence(walLow: 1, flushedLSN: 4)).log.end.lsn == 5)
        #expect(failure { try after.recover(DurableEvidence(walLow: 1, flushedLSN: 2)) }?.corruption != nil)
    }

    @Test func damageNamesFileOffsetPositionAndRemedy() throws {
        let writer = try fixture.start()
        try writer.append([payload(1)])
        try writer.sync()
        try writer.append([payload(2)])
        try writer.sync()
        try writer.writeMark(durable: 2)
        var bytes = try disk.contents(LogFixture.path(1))
        let offset = 4096 + RecordHeader.recordByteCount(storedByteCount: 40)
        bytes[offset + 60] ^= 1
        try disk.setContents(LogFixture.path(1), bytes)
        let error = try #require(failure { try fixture.recover() })
        let corruption = try #require(error.corruption)
        #expect(corruption.file == LogFixture.path(1) && corruption.offset == UInt64(offset) && corruption.lsn == 1)
        #expect(error.description.contains("nexadb check --salvage-log /store"))
    }
}
