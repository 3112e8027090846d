/// Walks the records of one log file through a window of memory that grows only to the largest record. Confined to one thread.
///
/// Shared by recovery, inspection, salvage and the manifest: whoever reads log bytes reads them here.
package final class LogScanner {
    package static let defaultWindowByteCount = 1 << 20

    package let file: any File
    package let fileID: UInt64
    /// No record reaches beyond this.
    package let limit: UInt64
    package private(set) var offset: UInt64
    private var window: UnsafeMutableRawBufferPointer
    private var windowOffset: UInt64 = 0
    private var windowByteCount = 0
    /// Bytes in front of this never change; nil when nothing is known.
    private var finalEnd: UInt64?

    /// Starts at `offset`; `limit` is at most the file's length. The window is what one read asks for.
    package init(
        file: any File, fileID: UInt64, from offset: UInt64, limit: UInt64,
        windowByteCount: Int = LogScanner.defaultWindowByteCount
    ) {
        self.file = file
        self.fileID = fileID
        self.offset = offset
        self.limit = limit
        window = .allocate(byteCount: windowByteCount, alignment: 8)
    }

    deinit { window.deallocate() }

    /// Judges the record at `offset` and gives its bytes, valid until the next call. Does not move. A record that the file or the limit
    /// cuts off is a `truncated` fault; `needsBytes` is never answered.
    package func peek() throws(StorageError) -> (record: DecodedRecord, bytes: UnsafeRawBufferPointer) {
        var bytes = try load(at: offset, atLeast: RecordHeader.byteCount)
        let record = LogRecordDecoder.decode(bytes, fileID: fileID, offset: offset)
        guard case .needsBytes(let header, let byteCount) = record else { return (record, bytes) }
        guard UInt64(byteCount) <= limit - offset else { return (.fault(.truncated, header: header), bytes) }
        bytes = try load(at: offset, atLeast: byteCount)
        guard bytes.count >= byteCount else { return (.fault(.truncated, header: header), bytes) }
        return (LogRecordDecoder.decode(bytes, fileID: fileID, offset: offset), bytes)
    }

    /// Forgets what was read and may have changed: a file that is being written has more to say. With `finalEnd`, bytes in front of it are
    /// known never to change: they are read once, and no more than they unless a record reaches beyond.
    package func refresh(finalEnd: UInt64? = nil) {
        let isFinal = self.finalEnd ?? 0
        let kept = isFinal > windowOffset ? Int(min(isFinal - windowOffset, UInt64(windowByteCount))) : 0
        windowByteCount = kept
        self.finalEnd = finalEnd
    }

    /// What the file's witness slot knows to have been durable; 0 when it says nothing. Does not move.
    package func witnessedLSN() throws(StorageError) -> LSN {
        let bytes = try load(at: LogNote.witnessOffset, atLeast: RecordHeader.recordByteCount(storedByteCount: LogNote.byteCount))
        guard case .record(let header) = LogRecordDecoder.decode(bytes, fileID: fileID, offset: LogNote.witnessOffset),
            header.type == .mark
        else { return 0 }
        return header.durableLSN
    }

    /// Moves to another place, a multiple of 8.
    package func move(to offset: UInt64) {
        precondition(offset % UInt64(RecordHeader.alignment) == 0, "records are aligned")
        self.offset = offset
    }

    /// What lies behind `offset`: the whole headers of this file, wherever they are.
    package struct Remains: Equatable, Sendable {
        package var headerCount = 0
        package var durableLSNMax: LSN = 0
        /// Where the last of their records ends, or would.
        package var recordsEnd: UInt64 = 0
    }

    /// Looks for sealed headers on every multiple of 8 from `start` to the limit. Does not move.
    package func remains(from start: UInt64) throws(StorageError) -> Remains {
        var remains = Remains()
        var place = start
        while place < limit {
            let bytes = try load(at: place, atLeast: RecordHeader.byteCount)
            guard !bytes.isEmpty else { break }
            let count = survey(bytes, at: place, &remains)
            place += UInt64(count)
        }
        return remains
    }

    /// The next sealed header of this file at or behind `start`; nil when there is none. Does not move.
    package func nextHeader(from start: UInt64) throws(StorageError) -> UInt64? {
        var place = start
        while place < limit {
            let bytes = try load(at: place, atLeast: RecordHeader.byteCount)
            guard bytes.count >= RecordHeader.byteCount else { return nil }
            var position = 0
            while position + RecordHeader.byteCount <= bytes.count {
                if LogRecordDecoder.sealedHeader(bytes.baseAddress! + position, fileID: fileID, offset: place + UInt64(position))
                    != nil
                {
                    return place + UInt64(position)
                }
                position += RecordHeader.alignment
            }
            place += UInt64(position)
        }
        return nil
    }

    /// Surveys the places in `bytes` that have a whole header's length behind them. Answers how far it came.
    private func survey(_ bytes: UnsafeRawBufferPointer, at place: UInt64, _ remains: inout Remains) -> Int {
        let isLast = place + UInt64(bytes.count) >= limit
        let start = bytes.baseAddress!
        var position = 0
        while position + RecordHeader.byteCount <= bytes.count {
            let offset = place + UInt64(position)
            if ByteOrder.loadLE(start, at: position, as: UInt64.self) != 0,
                let header = LogRecordDecoder.sealedHeader(start + position, fileID: fileID, offset: offset)
            {
                remains.headerCount += 1
                remains.durableLSNMax = max(remains.durableLSNMax, header.durableLSN)
                remains.recordsEnd = max(remains.recordsEnd, offset + UInt64(header.recordByteCount))
            }
            position += RecordHeader.alignment
        }
        return isLast ? bytes.count : position
    }

    /// The bytes from `place`, at least that many where the limit allows; more when they are at hand.
    private func load(at place: UInt64, atLeast byteCount: Int) throws(StorageError) -> UnsafeRawBufferPointer {
        let wanted = Int(min(UInt64(byteCount), limit > place ? limit - place : 0))
        let isInside = place >= windowOffset && place + UInt64(wanted) <= windowOffset + UInt64(windowByteCount)
        if !isInside {
            if wanted > window.count {
                window.deallocate()
                window = .allocate(byteCount: (wanted + 4095) & ~4095, alignment: 8)
            }
            var end = limit
            if let finalEnd, finalEnd < limit, place + UInt64(wanted) <= finalEnd { end = finalEnd }
            let count = Int(min(UInt64(window.count), end > place ? end - place : 0))
            windowByteCount = 0
            windowByteCount = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: window[..<count]), at: place)
            windowOffset = place
        }
        let skipped = Int(place - windowOffset)
        return UnsafeRawBufferPointer(rebasing: window[min(skipped, windowByteCount)..<windowByteCount])
    }
}
