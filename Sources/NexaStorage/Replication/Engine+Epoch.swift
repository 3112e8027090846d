// Leaderships, positions and chains of a running engine.

import Synchronization

extension Engine {
    /// Begins a leadership: appends the durable EPOCH_START of `epoch`, which consumes an LSN, and from then on takes commits under it, also
    /// when the engine followed before. Returns the record's LSN when it is on disk. Throws `staleEpoch` unless `epoch` is above every
    /// epoch of the log.
    ///
    /// When the log fails meanwhile, writes are refused as after any failed write, and `resume` may take the epoch back.
    @discardableResult
    package func beginEpoch(_ epoch: Epoch, nodeID: [UInt8] = []) throws(StorageError) -> LSN {
        precondition(nodeID.count <= EpochStartRecord.nodeIDByteCountMax, "a node id is short")
        // Nobody may be in the middle of appending replicated records.
        let lsn = try appending.withLock { () throws(StorageError) in
            try pipeline.beginEpoch(epoch, nodeID: nodeID, history: epochs)
        }
        background.noteCommit()
        try waitDurable(lsn)
        // From here on the manifest knows it, too.
        try publish(VersionEdit()) { $0 }
        return lsn
    }

    /// The epochs of the log and where each began, ascending.
    package var epochHistory: [EpochStart] { epochs.all }

    /// The last record that is on disk. Takes one short lock.
    package var durablePoint: LogPoint { LogPoint(segments.durableEnd) }

    /// The last LSN that was given out; `durablePoint` reaches it when the log role has written and synced it.
    package var reservedLSN: LSN { pipeline.positions.reserved }

    /// The first record that can still be read; nil when the log holds no segment.
    package var oldestLogLSN: LSN? { segments.oldestLSN }

    /// The chain up to and with the record `lsn`, for every durable record of the log, for the one in front of it, and for one in
    /// 4,096 of those that were given up since the engine was opened (the last 67 million records); nil for others. Reads at most
    /// 4,096 records.
    package func chain(at lsn: LSN) throws(StorageError) -> UInt64? {
        let durable = segments.durableEnd
        if lsn == durable.lsn { return durable.chain }
        if lsn > durable.lsn { return nil }
        if lsn == 0 { return LogChain.start }
        if let known = segments.knownChain(at: lsn) { return known }
        guard let oldest = segments.oldestLSN, lsn >= oldest else { return nil }
        return try LogTail(segments: segments, from: lsn + 1).chainInFront()
    }
}

extension CommitPipeline {
    func beginEpoch(_ epoch: Epoch, nodeID: [UInt8], history: EpochHistory) throws(StorageError) -> LSN {
        let recordByteCount = RecordHeader.recordByteCount(storedByteCount: EpochStartRecord.fixedByteCount + nodeID.count)
        gate.lock()
        do throws(StorageError) {
            try waitForRoom(recordByteCount: recordByteCount, tableByteCount: 0, rangeDeletes: 0)
            guard epoch > self.epoch else { throw StorageError.staleEpoch(offered: epoch, current: self.epoch) }
        } catch {
            gate.unlock()
            throw error
        }
        let lsn = state.pointee.nextLSN
        let record = EpochStartRecord(previousEpoch: self.epoch, previousLSN: lsn - 1, nodeID: nodeID)
        state.pointee.nextLSN = lsn + 1
        state.pointee.isFollowing = false
        currentEpoch.store(epoch, ordering: .releasing)
        history.append(EpochStart(epoch: epoch, firstLSN: lsn))
        let (buffer, place) = state.pointee.buffers.reserve(recordByteCount, lsn: lsn, needsSync: true)
        positions.noteReserved(lsn)
        gate.unlock()
        record.fill(place, lsn: lsn, epoch: epoch)
        buffer.markFilled(recordByteCount)
        ring.publish(lsn)
        return lsn
    }
}
