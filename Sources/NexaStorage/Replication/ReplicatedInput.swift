import CSupport

/// The memory between "records arrived" and "records have a place in the log": verified records and their expanded payloads, a chunk at
/// a time. Confined to the holder of the engine's `appending` lock; keeps its memory, which the bounds of a chunk limit.
///
/// `@unchecked Sendable`: guarded by that lock.
final class ReplicatedInput: @unchecked Sendable {
    /// Records that get their place in the log together.
    struct Chunk {
        var records: Range<Int>
        var recordByteCount = 0
        var tableByteCount = 0
        var rangeDeleteCount = 0
        fileprivate var expandedByteCount = 0
    }

    static let chunkRecordCountMax = 1024
    static let chunkExpandedByteCountMax = 4 << 20

    /// The chain at the last LSN that was given out; nil when it must be asked for.
    var chain: (lsn: LSN, chain: UInt64)?
    private(set) var records: [ReplicatedRecord] = []
    /// Of the chunk's records, as the committer wrote them.
    private(set) var payloads: [UnsafeRawBufferPointer] = []
    private var expanded = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    deinit { expanded.deallocate() }

    /// Checks everything that can be checked without expanding a payload: form, hash, dense LSNs, epochs. Answers the chain behind the
    /// last record.
    func verify(_ input: UnsafeRawBufferPointer, after point: LogPoint) throws(ReplicationFault) -> LogPoint {
        records.removeAll(keepingCapacity: true)
        var point = point
        var cursor = ReplicatedRecordCursor(input)
        while let record = try cursor.next() {
            let header = record.header
            try Self.checkKind(record)
            guard header.lsn == point.lsn + 1 else { throw .gap(expected: point.lsn + 1, found: header.lsn) }
            try Self.checkEpoch(record, after: point)
            point = LogPoint(
                epoch: header.epoch, lsn: header.lsn, chain: LogChain.advanced(point.chain, by: header.recordHash))
            records.append(record)
        }
        return point
    }

    private static func checkKind(_ record: ReplicatedRecord) throws(ReplicationFault) {
        let header = record.header
        guard let codec = header.codec else { throw .unsupported(lsn: header.lsn, reason: "record codec \(header.rawCodec)") }
        guard let type = header.type else { throw .unsupported(lsn: header.lsn, reason: "record type \(header.rawType)") }
        guard type == .batch || type == .ddl || type == .epochStart,
            codec == .lz4 || header.rawByteCount == header.storedByteCount,
            header.operationCount <= header.rawByteCount
        else { throw .malformedBatch(lsn: header.lsn) }
    }

    private static func checkEpoch(_ record: ReplicatedRecord, after point: LogPoint) throws(ReplicationFault) {
        let header = record.header
        guard header.type == .epochStart else {
            guard header.epoch == point.epoch else {
                throw .wrongEpoch(lsn: header.lsn, reason: "epoch \(header.epoch) after epoch \(point.epoch)")
            }
            return
        }
        guard header.epoch > point.epoch, header.codec == .raw, let start = EpochStartRecord(record.stored),
            start.previousEpoch == point.epoch, start.previousLSN == point.lsn
        else {
            throw .wrongEpoch(lsn: header.lsn, reason: "the start of epoch \(header.epoch) does not follow \(point.position)")
        }
    }

    /// The next records from `start` on that fit the bounds, one at least, with their payloads expanded and checked.
    func prepareChunk(from start: Int, plan: MemoryPlan) throws(ReplicationFault) -> Chunk {
        var chunk = measure(from: start, plan: plan)
        if expanded.count < chunk.expandedByteCount {
            expanded.deallocate()
            expanded = .allocate(byteCount: chunk.expandedByteCount, alignment: 8)
        }
        payloads.removeAll(keepingCapacity: true)
        var used = 0
        for record in records[chunk.records] {
            let header = record.header
            var payload = record.stored
            if header.codec == .lz4 {
                let target = UnsafeMutableRawBufferPointer(rebasing: expanded[used..<used + Int(header.rawByteCount)])
                guard nexa_lz4_decompress(payload.baseAddress, payload.count, target.baseAddress, target.count) else {
                    throw .malformedBatch(lsn: header.lsn)
                }
                used += target.count
                payload = UnsafeRawBufferPointer(target)
            }
            if header.type != .epochStart {
                guard let counts = BatchPayload.counts(payload), counts.operations == Int(header.operationCount),
                    counts.rangeDeletes <= CommitPipeline.rangeDeleteCountMax
                else { throw .malformedBatch(lsn: header.lsn) }
                if chunk.rangeDeleteCount + counts.rangeDeletes > CommitPipeline.rangeDeleteCountMax {
                    // Very rare: the rest comes with the next chunk, expanded again.
                    let count = payloads.count
                    return trimmed(chunk, to: count)
                }
                chunk.rangeDeleteCount += counts.rangeDeletes
            }
            payloads.append(payload)
        }
        return chunk
    }

    private func measure(from start: Int, plan: MemoryPlan) -> Chunk {
        var chunk = Chunk(records: start..<start)
        let byteCountMax = plan.logBufferByteCount / 2
        while chunk.records.upperBound < records.count, chunk.records.count < Self.chunkRecordCountMax {
            var next = chunk
            next.add(records[chunk.records.upperBound].header)
            let fits =
                next.recordByteCount <= byteCountMax && next.tableByteCount <= plan.memTableByteCount / 4
                && next.expandedByteCount <= Self.chunkExpandedByteCountMax
            guard fits || chunk.records.isEmpty else { break }
            chunk = next
        }
        return chunk
    }

    private func trimmed(_ chunk: Chunk, to count: Int) -> Chunk {
        var result = Chunk(records: chunk.records.lowerBound..<chunk.records.lowerBound)
        for record in records[chunk.records].prefix(count) { result.add(record.header) }
        result.rangeDeleteCount = chunk.rangeDeleteCount
        return result
    }
}

extension ReplicatedInput.Chunk {
    fileprivate mutating func add(_ header: RecordHeader) {
        records = records.lowerBound..<records.upperBound + 1
        recordByteCount += header.recordByteCount
        if header.codec == .lz4 { expandedByteCount += Int(header.rawByteCount) }
        guard header.type != .epochStart else { return }
        tableByteCount += CommitPipeline.arenaByteCountMax(
            payloadByteCount: Int(header.rawByteCount), operationCount: Int(header.operationCount))
    }
}
