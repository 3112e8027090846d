// The engine as a follower: its log is the leader's log, record for record.
//
//     bytes ── hash, LSN, epoch, chain ──► chunk: expand, check payloads ──► log buffer + memtable ──► log role (group fsync)
//
// Invariants: nothing of an input whose hashes, LSNs or epochs are wrong is appended; a payload that is no batch is not
// appended, nor is anything behind it; stored payloads are the leader's bytes, so the chain is the leader's, too. Positions
// move as they do for commits: `visible = min(applied, acknowledged)`.

import Glibc
import Synchronization

extension Engine {
    /// Commits are refused with `following`, and `appendReplicated` is taken.
    package var isFollowing: Bool { pipeline.gate.withLock { pipeline.state.pointee.isFollowing } }

    /// Stops taking commits, and returns when everything committed so far is on disk. `beginEpoch` ends it.
    package func follow() throws(StorageError) {
        try appending.withLock { () throws(StorageError) in
            pipeline.gate.withLock {
                pipeline.state.pointee.isFollowing = true
                pipeline.gate.broadcast()
            }
            while pipeline.ring.applied < pipeline.positions.reserved { sched_yield() }
            try log.syncAll()
            replicatedInput.chain = nil
        }
    }

    /// Appends records in their transport layout (see `ReplicatedRecord`), which must continue the log, and applies them in memory; with
    /// `previousChain` the chain that the sender has in front of them must be the one here. Returns the last LSN. Nothing waits for the
    /// disk: call `flushLogInline` or `wakeLog` after the last input of a round, and acknowledge what the durability observer reports.
    ///
    /// One caller at a time makes progress; blocks while there is no room, however long: the leader sees the lag. After a fault everything that was appended is
    /// part of the leader's log, and reading may go on behind `reservedLSN` with a new connection.
    @discardableResult
    package func appendReplicated(
        _ input: UnsafeRawBufferPointer, previousChain: UInt64? = nil
    ) throws(ReplicationFault) -> LSN {
        try appending.withLock { () throws(ReplicationFault) in
            guard isFollowing else { throw .notFollowing }
            let start = try appendPoint()
            if let previousChain, previousChain != start.chain { throw .chainMismatch(lsn: start.lsn) }
            let end = try replicatedInput.verify(input, after: start)
            var next = 0
            while next < replicatedInput.records.count {
                let chunk = try replicatedInput.prepareChunk(from: next, plan: plan)
                // A failure behind a part leaves the chain open.
                replicatedInput.chain = nil
                do throws(StorageError) {
                    try pipeline.append(chunk, of: replicatedInput, history: epochs, catalogObservers: catalogObservers)
                } catch {
                    throw .storage(error)
                }
                next = chunk.records.upperBound
                background.noteCommit()
                if pressureGauge.delays { delayWriter(byteCount: chunk.recordByteCount) }
            }
            replicatedInput.chain = (end.lsn, end.chain)
            return end.lsn
        }
    }

    /// Calls `body` for each catalog change that comes from the leader, in LSN order, when its operations are in the memtable and before
    /// they are visible; `payload` (see `BatchCursor`) is valid during the call. On the appending thread; it must not block.
    package func addCatalogObserver(
        _ body: @escaping @Sendable (_ lsn: LSN, _ payload: UnsafeRawBufferPointer) -> Void
    ) -> ObserverToken {
        catalogObservers.add(body)
    }

    package func removeCatalogObserver(_ token: ObserverToken) { catalogObservers.remove(token) }

    /// Where the next replicated record goes. Under `appending`.
    private func appendPoint() throws(ReplicationFault) -> LogPoint {
        let reserved = pipeline.positions.reserved
        if let known = replicatedInput.chain, known.lsn == reserved {
            return LogPoint(epoch: epoch, lsn: reserved, chain: known.chain)
        }
        do throws(StorageError) { try log.syncAll() } catch { throw .storage(error) }
        let durable = durablePoint
        precondition(durable.lsn == reserved, "everything reserved is synced")
        replicatedInput.chain = (durable.lsn, durable.chain)
        return LogPoint(epoch: epoch, lsn: durable.lsn, chain: durable.chain)
    }
}

extension CommitPipeline {
    /// Gives a chunk its place in the log and in the memtable. One thread at a time, while nobody commits.
    fileprivate func append(
        _ chunk: ReplicatedInput.Chunk, of input: ReplicatedInput, history: EpochHistory,
        catalogObservers: LogObservers<UnsafeRawBufferPointer>
    ) throws(StorageError) {
        let records = input.records[chunk.records]
        let (firstLSN, lastLSN) = (records.first!.header.lsn, records.last!.header.lsn)
        gate.lock()
        do {
            try waitForRoom(
                recordByteCount: chunk.recordByteCount, tableByteCount: chunk.tableByteCount,
                rangeDeletes: chunk.rangeDeleteCount, recordCount: records.count, isPatient: true)
        } catch {
            gate.unlock()
            throw error
        }
        precondition(state.pointee.nextLSN == firstLSN, "somebody else has appended")
        state.pointee.nextLSN = lastLSN + 1
        state.pointee.activeRangeDeletes += chunk.rangeDeleteCount
        state.pointee.batchCount += UInt64(records.count)
        for record in records {
            state.pointee.operationCount += UInt64(record.header.operationCount)
            state.pointee.batchByteCount += UInt64(record.header.rawByteCount)
            guard record.header.type == .epochStart else { continue }
            currentEpoch.store(record.header.epoch, ordering: .releasing)
            history.append(EpochStart(epoch: record.header.epoch, firstLSN: record.header.lsn))
        }
        let slot = state.pointee.active
        slot.promise(chunk.tableByteCount)
        let (buffer, place) = state.pointee.buffers.reserve(chunk.recordByteCount, lsn: lastLSN, needsSync: true)
        positions.noteReserved(lastLSN)
        gate.unlock()

        var target = place
        for record in records {
            record.copy(to: target)
            target += record.header.recordByteCount
        }
        buffer.markFilled(chunk.recordByteCount)
        for (record, payload) in zip(records, input.payloads) where record.header.type != .epochStart {
            Self.apply(payload, to: slot.table, lsn: record.header.lsn)
            if record.header.type == .ddl { catalogObservers.notify(record.header.lsn, payload) }
        }
        slot.settle(chunk.tableByteCount)
        ring.publishRun(through: lastLSN)
    }
}

extension ReplicatedRecord {
    /// Writes the record as it lies in the log, but for its seal.
    fileprivate func copy(to target: UnsafeMutableRawPointer) {
        let end = RecordHeader.portableOffset + bytes.count
        (target + RecordHeader.portableOffset).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        let padding = header.recordByteCount - end
        if padding > 0 { (target + end).initializeMemory(as: UInt8.self, repeating: 0, count: padding) }
    }
}
