// Who still needs the log, and from where: a floor a name, usually one a follower. The log keeps every segment that a floor, or
// the next recovery, needs. The engine sets no limit: whoever owns a floor watches `retention` and drops those that hold too much.

/// Named floors. Guarded by a lock of its own.
final class RetentionFloors: Sendable {
    private let lock = NexaLock()
    nonisolated(unsafe) private var floors: [String: LSN]

    init(_ floors: [String: LSN]) { self.floors = floors }

    var all: [String: LSN] { lock.withLock { floors } }

    /// The lowest LSN that anybody needs; nil when nobody does.
    var lowest: LSN? { lock.withLock { floors.values.min() } }

    func set(_ name: String, _ lsn: LSN?) { lock.withLock { floors[name] = lsn } }
}

/// What one floor keeps.
package struct RetainedLog: Equatable, Sendable {
    package var name: String
    /// The first record that is needed.
    package var oldestNeededLSN: LSN
    /// Bytes of log from the segment of that record to the end.
    package var byteCount: UInt64
    /// The log still has that record, or it is yet to be written.
    package var isHeld: Bool
}

extension Engine {
    /// Keeps the log from `oldestNeededLSN` on, for a reader of this name; moves the floor when there is one. Takes one short lock, so it
    /// may be called for every acknowledgement. Floors do not outlive the engine: `EngineOptions.retention` sets them again before the
    /// first segment can go.
    package func setRetention(_ name: String, oldestNeededLSN: LSN) {
        let before = retentionFloors.lowest
        retentionFloors.set(name, oldestNeededLSN)
        if let before, let segment = segments.segment(holding: before), oldestNeededLSN > segment.firstLSN {
            background.wakeFlush()
        }
    }

    /// Drops a floor. What only it kept goes soon.
    package func dropRetention(_ name: String) {
        retentionFloors.set(name, nil)
        background.wakeFlush()
    }

    /// Bytes of log from the segment of `lsn` to the end.
    package func logByteCount(from lsn: LSN) -> UInt64 { segments.byteCount(from: lsn) }

    /// Every floor and what it keeps, by name.
    package var retention: [RetainedLog] {
        retentionFloors.all.sorted { $0.key < $1.key }.map { name, lsn in
            RetainedLog(
                name: name, oldestNeededLSN: lsn, byteCount: segments.byteCount(from: lsn),
                isHeld: segments.oldestLSN.map { $0 <= lsn } ?? true)
        }
    }

    /// Gives up the segments that neither a floor nor recovery needs any more; the flush thread does it by itself. False when there are
    /// none.
    @discardableResult
    package func releaseLog() throws(StorageError) -> Bool {
        try flushing.withLock { () throws(StorageError) -> Bool in
            let (low, flushedLSN) = editing.withLock { (manifest.state.walLow, manifest.state.flushedLSN) }
            guard let next = logLow(flushedLSN: flushedLSN), next > low else { return false }
            var edit = VersionEdit()
            edit.walLow = next
            try publish(edit) { $0 }
            try retireSegments()
            return true
        }
    }

    /// The lowest segment that is needed when tables hold everything up to `flushedLSN`.
    func logLow(flushedLSN: LSN) -> UInt64? {
        segments.lowID(
            needed: min(flushedLSN + 1, retentionFloors.lowest ?? .max), keepingBefore: options.retainedSegmentCount)
    }

    /// Gives up what the manifest does not name any more. After a failed log was left behind, a floor still holds what the process has.
    func retireSegments() throws(StorageError) {
        var low = editing.withLock { manifest.state.walLow }
        if let lowest = retentionFloors.lowest, let held = segments.lowID(needed: lowest) { low = min(low, held) }
        try segments.retire(below: low)
    }
}
