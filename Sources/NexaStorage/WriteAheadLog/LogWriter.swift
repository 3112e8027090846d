import Glibc

/// The end of the log. Confined to whoever holds the log role: no two calls at a time.
///
/// Invariants: records are dense in LSN; a segment's header is durable before its first record is written; a segment is durable to its END
/// before the next one is begun; nothing that was written is ever changed. After the first error every call fails with it: a write or
/// sync that failed once is not tried again, because the system may have dropped the bytes and forgotten why.
///
/// `@unchecked Sendable`: it travels with the log role from thread to thread, never shared.
package final class LogWriter: @unchecked Sendable {
    package let segments: LogSegments
    package let storeUUID: StoreUUID
    /// The last record in the log, and where the next one goes.
    package private(set) var end: LogEnd
    /// Everything up to here was in the file when it was last synced.
    package private(set) var syncedLSN: LSN
    package private(set) var writtenByteCount: UInt64 = 0

    private let fileSystem: any FileSystem
    private var file: any File
    private var capacity: UInt64
    private var failure: StorageError?
    private var lastIsMark = true
    /// For MARK and END.
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: LogWriter.noteByteCount, alignment: 8)

    /// Bytes of a MARK or END record.
    static let noteByteCount = RecordHeader.recordByteCount(storedByteCount: LogNote.byteCount)
    /// Kept free behind every record for a MARK and an END.
    private static let tailRoom = UInt64(2 * noteByteCount)

    /// Begins a new segment behind `end`; an existing segment is never written again. Durable on return.
    ///
    /// With `isLinked` false the new segment does not continue the old ones, which may miss records that tables hold: that is how writing
    /// goes on after a failed sync. The manifest must then name it as its lowest segment.
    package static func start(
        after end: LogEnd, segmentID: UInt64, isLinked: Bool = true, storeUUID: StoreUUID, segments: LogSegments
    ) throws(StorageError) -> LogWriter {
        let file = try segments.preparer.take(segmentID)
        let writer: LogWriter
        do {
            writer = LogWriter(file: file, capacity: try file.byteCount(), end: end, storeUUID: storeUUID, segments: segments)
            segments.restartMarks(at: end)
            try writer.begin(segmentID, isLinked: isLinked)
        } catch {
            file.close()
            throw error
        }
        return writer
    }

    /// Goes on after a failed write or sync, in a segment that does not continue the old ones, without trusting or touching them again.
    /// Tables hold everything up to `end` already, and what the failed one wrote behind it was never acknowledged. Then the manifest must
    /// name the new segment as its lowest.
    package static func restart(after failed: LogWriter, at end: LogEnd) throws(StorageError) -> LogWriter {
        failed.abandon()
        var segmentID = failed.end.segmentID + 1
        // The failure may have struck between a header and its sync.
        while try failed.isBegun(segmentID) { segmentID += 1 }
        return try start(
            after: end, segmentID: segmentID, isLinked: false, storeUUID: failed.storeUUID, segments: failed.segments)
    }

    private init(file: any File, capacity: UInt64, end: LogEnd, storeUUID: StoreUUID, segments: LogSegments) {
        self.file = file
        self.capacity = capacity
        self.end = end
        self.storeUUID = storeUUID
        self.segments = segments
        fileSystem = segments.fileSystem
        syncedLSN = end.lsn
    }

    deinit {
        file.close()
        scratch.deallocate()
    }

    /// Seals records in place and writes them: one write per segment that they touch, no allocation.
    ///
    /// `records` holds whole records, each filled by `RecordHeader.fill` and padded, with dense LSNs that continue the log. `durable` is
    /// the highest LSN known to be on disk; each record carries it as a witness. Not synced.
    package func append(_ records: UnsafeMutableRawBufferPointer, durable: LSN) throws(StorageError) {
        try checkUsable()
        guard let base = records.baseAddress else { return }
        let durableLSN = max(durable, syncedLSN)
        var runStart = 0
        var position = 0
        while position < records.count {
            let record = base + position
            precondition(records.count - position >= RecordHeader.byteCount, "the last record is cut off")
            let stored = ByteOrder.loadLE(record, at: 40, as: UInt32.self)
            precondition(stored <= RecordHeader.storedByteCountMax, "a record is beyond the limit")
            let byteCount = RecordHeader.recordByteCount(storedByteCount: Int(stored))
            precondition(records.count - position >= byteCount, "the last record is cut off")
            if !hasRoom(for: byteCount, behind: position - runStart) {
                try write(UnsafeRawBufferPointer(rebasing: records[runStart..<position]))
                runStart = position
                try rotate(for: byteCount)
            }
            seal(record, offset: end.offset + UInt64(position - runStart), durableLSN: durableLSN)
            position += byteCount
            if end.lsn % LogMark.interval == 0 {
                segments.note(
                    LogMark(
                        lsn: end.lsn, chain: end.chain, segmentID: end.segmentID,
                        offset: end.offset + UInt64(position - runStart)))
            }
        }
        try write(UnsafeRawBufferPointer(rebasing: records[runStart..<position]))
        lastIsMark = false
    }

    /// Returns when everything appended is on disk.
    package func sync() throws(StorageError) {
        try checkUsable()
        guard syncedLSN < end.lsn else { return }
        try poisoning { () throws(StorageError) in try file.sync() }
        syncedLSN = end.lsn
        segments.noteDurable(end)
    }

    /// Leaves a witness of what is durable behind the last record, when the log falls idle: without it, damage of the very last group
    /// could not be told from a torn tail. Not synced, and not repeated while nothing new is written.
    package func writeMark(durable: LSN) throws(StorageError) {
        try checkUsable()
        guard !lastIsMark else { return }
        let durableLSN = max(durable, syncedLSN)
        try writeNote(.mark, durableLSN: durableLSN)
        try writeWitness(durableLSN: durableLSN)
        lastIsMark = true
    }

    /// Ends the segment with END, syncs, and stops preparing the next one. The writer is of no use afterwards.
    package func close() throws(StorageError) {
        defer {
            segments.preparer.stop()
            file.close()
            if failure == nil { failure = .closed }
        }
        try sync()
        try finish(nextFileByteCount: 0)
    }

    /// Gives the file up without END or sync: after a failure, before a new segment is begun.
    package func abandon() {
        file.close()
        if failure == nil { failure = .closed }
        // Readers behind the log get only what is certain.
        var certain = end
        certain.lsn = syncedLSN
        segments.finish(end.segmentID, at: certain)
    }
}

// MARK: - Segments

extension LogWriter {
    private func hasRoom(for byteCount: Int, behind pending: Int) -> Bool {
        end.offset + UInt64(pending + byteCount) + LogWriter.tailRoom <= capacity
    }

    /// Writes the header of a fresh segment behind `end`. Returns when it is durable.
    private func begin(_ segmentID: UInt64, isLinked: Bool) throws(StorageError) {
        precondition(segmentID > end.segmentID, "segment ids grow")
        try checkNotBegun(segmentID)
        let header = LogFileHeader(
            kind: .segment, fileID: segmentID, firstLSN: end.lsn + 1, storeUUID: storeUUID,
            previous: SegmentEnd(segmentID: isLinked ? end.segmentID : 0, offset: end.offset, lsn: end.lsn, chain: end.chain),
            epoch: end.epoch, createdNanoseconds: wallClockNanoseconds(), fileByteCount: capacity)
        let block = header.encodedBlock()
        try block.withUnsafeBytes { bytes in Result { () throws(StorageError) in try file.write(bytes, at: 0) } }.get()
        try file.sync()
        end.segmentID = segmentID
        end.offset = UInt64(LogFileHeader.blockByteCount)
        lastIsMark = true
        segments.begin(LogSegments.Segment(id: segmentID, firstLSN: end.lsn + 1, startChain: end.chain, end: nil))
        segments.preparer.request(segmentID + 1)
    }

    /// A begun segment under the name of the next one means that somebody else wrote to this log.
    private func checkNotBegun(_ segmentID: UInt64) throws(StorageError) {
        if case .header = try LogFileHeader.read(from: file, kind: .segment, fileID: segmentID) {
            throw .corruption(
                Corruption(
                    file: file.path, offset: 0, lsn: end.lsn, reason: "the segment that would be written next is in use already",
                    remedy: "Make sure that no other process uses this directory, then start again."))
        }
    }

    private func isBegun(_ segmentID: UInt64) throws(StorageError) -> Bool {
        let path = segments.path(of: segmentID)
        guard fileSystem.exists(path) else { return false }
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        if case .header = try LogFileHeader.read(from: file, kind: .segment, fileID: segmentID) { return true }
        return false
    }

    /// Ends this segment and begins the next one, large enough for a record of that size.
    private func rotate(for recordByteCount: Int) throws(StorageError) {
        try poisoning { () throws(StorageError) in
            let next = try segments.preparer.take(end.segmentID + 1)
            do throws(StorageError) {
                let needed = UInt64(LogFileHeader.blockByteCount + recordByteCount) + LogWriter.tailRoom
                if try next.byteCount() < needed {
                    try next.preallocate(needed)
                    try next.sync()
                }
                let nextByteCount = try next.byteCount()
                try file.sync()
                syncedLSN = end.lsn
                try finish(nextFileByteCount: nextByteCount)
                file.close()
                file = next
                capacity = nextByteCount
                try begin(end.segmentID + 1, isLinked: true)
            } catch {
                next.close()
                throw error
            }
        }
    }

    private func finish(nextFileByteCount: UInt64) throws(StorageError) {
        try writeNote(.end, nextFileByteCount: nextFileByteCount, durableLSN: syncedLSN)
        try writeWitness(durableLSN: syncedLSN)
        try poisoning { () throws(StorageError) in try file.sync() }
        segments.finish(end.segmentID, at: end)
    }
}

// MARK: - Records

extension LogWriter {
    private func seal(_ record: UnsafeMutableRawPointer, offset: UInt64, durableLSN: LSN) {
        let lsn = ByteOrder.loadLE(record, at: 24, as: LSN.self)
        let epoch = ByteOrder.loadLE(record, at: 32, as: Epoch.self)
        precondition(lsn == end.lsn + 1, "LSNs are dense")
        precondition(epoch >= end.epoch, "epochs never fall")
        RecordHeader.seal(record, fileID: end.segmentID, offset: offset, durableLSN: durableLSN)
        end.lsn = lsn
        end.epoch = epoch
        end.chain = LogChain.advanced(end.chain, by: ByteOrder.loadLE(record, at: 16))
    }

    private func writeNote(_ type: RecordType, nextFileByteCount: UInt64 = 0, durableLSN: LSN) throws(StorageError) {
        LogNote(chain: end.chain, nextFileByteCount: nextFileByteCount)
            .fill(scratch, type: type, lsn: end.lsn, epoch: end.epoch)
        RecordHeader.seal(scratch.baseAddress!, fileID: end.segmentID, offset: end.offset, durableLSN: durableLSN)
        try write(UnsafeRawBufferPointer(scratch))
    }

    private func writeWitness(durableLSN: LSN) throws(StorageError) {
        LogNote(chain: end.chain).fill(scratch, type: .mark, lsn: end.lsn, epoch: end.epoch)
        RecordHeader.seal(
            scratch.baseAddress!, fileID: end.segmentID, offset: LogNote.witnessOffset, durableLSN: durableLSN)
        try poisoning { () throws(StorageError) in
            try file.write(UnsafeRawBufferPointer(scratch), at: LogNote.witnessOffset)
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
        guard bytes.count > 0 else { return }
        try poisoning { () throws(StorageError) in try file.write(bytes, at: end.offset) }
        end.offset += UInt64(bytes.count)
        writtenByteCount += UInt64(bytes.count)
    }

    private func checkUsable() throws(StorageError) {
        if let failure { throw failure }
    }

    private func poisoning(_ body: () throws(StorageError) -> Void) throws(StorageError) {
        do {
            try body()
        } catch {
            failure = error
            throw error
        }
    }
}

/// Nanoseconds since 1970, for people who read file headers.
func wallClockNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
