/// Change streams of a node: what may be shown, the window that subscriptions share, and who reads it.
///
///     log thread ── durable, committed ──► LoopPort ──► loop: its subscriptions look
///                                                        │ ahead of the window: fill
///                                                        ▼
///                               pool thread: LogTail ──► ChangeWindow ──► all loops: subscriptions tell
///
/// Only what no later leader can lack is shown, so nothing that was told is ever taken back. Without subscribers nothing here runs.

import Logging
import NexaDocuments
import NexaStorage
import Synchronization

package final class ChangeFeed: Sendable {
    let names: CollectionNames
    package let counters = ChangeCounters()
    private let engine: Engine
    private let gate: ReplicationGate
    private let isClustered: Bool
    private let logger: Logger
    private let lock = NexaLock()
    nonisolated(unsafe) private var window = ChangeWindow()  // guarded by `lock`
    nonisolated(unsafe) private var isFilling = false  // guarded by `lock`
    /// Touched by whoever fills.
    nonisolated(unsafe) private var tail: LogTail?
    /// Set once, before the first connection.
    nonisolated(unsafe) private var ports: [LoopPort] = []

    init(_ store: DocumentStore, gate: ReplicationGate, isClustered: Bool, logger: Logger) {
        names = CollectionNames(store)
        engine = store.engine
        self.gate = gate
        self.isClustered = isClustered
        self.logger = logger
    }

    func connect(_ ports: [LoopPort]) { self.ports = ports }

    /// The last record that may be shown.
    package var shownLSN: LSN {
        let here = min(engine.durableLSN, engine.visibleLSN)
        return isClustered ? min(here, gate.committedLSN) : here
    }

    /// Records that the slowest subscription has in front of it, as it was a moment ago.
    package var lag: UInt64 {
        let oldest = ports.map(\.oldestChange).min() ?? .max
        let end = shownLSN + 1
        return end - min(oldest, end)
    }

    func look(_ lsn: LSN) -> ChangeWindow.Look { lock.withLock { window.look(lsn) } }

    // MARK: Subscriptions

    /// Counts one more subscription, unless the node has `limit` already.
    func admit(limit: Int) -> Bool {
        if counters.subscriptionCount.wrappingAdd(1, ordering: .relaxed).newValue <= limit { return true }
        leave()
        return false
    }

    func leave() {
        guard counters.subscriptionCount.wrappingSubtract(1, ordering: .relaxed).newValue == 0 else { return }
        lock.withLock {
            // Nobody reads: the memory goes, and with the next fill the file.
            if !isFilling { window.restart(at: window.nextLSN) }
        }
    }

    // MARK: The window

    /// Has the records from `lsn` on read into the window; all loops are called when they are there.
    func fill(from lsn: LSN, _ pool: WorkPool<Executor>) {
        let begins = lock.withLock {
            guard !isFilling else { return false }
            if lsn > window.nextLSN { window.restart(at: lsn) }
            isFilling = true
            return true
        }
        guard begins else { return }
        if !pool.submit({ [self] _ in fill() }) { lock.withLock { isFilling = false } }
    }

    /// Bytes of one chunk, but for its last record.
    private static let chunkByteCount = 512 << 10

    private func fill() {
        let start = lock.withLock { window.nextLSN }
        let limit = shownLSN
        if tail?.nextLSN != start { tail = engine.tail(from: start) }
        var chunk = ChangeChunk()
        var skipped: LSN?
        do throws(StorageError) {
            (chunk, skipped) = try read(tail!, upTo: limit)
        } catch {
            logger.error("the log cannot be read for change streams", metadata: ["error": "\(error)"])
            skipped = limit
        }
        if skipped != nil { tail = nil }
        lock.withLock {
            if !chunk.isEmpty { window.append(chunk) }
            // What is too large for the window, and what is gone, each subscription meets in the files.
            if let skipped { window.restart(at: skipped + 1) }
            if counters.subscriptionCount.load(ordering: .relaxed) == 0 { window.restart(at: window.nextLSN) }
            isFilling = false
        }
        for port in ports { port.changesRead() }
    }

    /// The next records; `skipped` is the last one that the window cannot have.
    private func read(_ tail: LogTail, upTo limit: LSN) throws(StorageError) -> (chunk: ChangeChunk, skipped: LSN?) {
        let chunk = ChangeChunk()
        let expander = PayloadExpander()
        var skipped: LSN?
        while tail.nextLSN <= limit, chunk.byteCount < Self.chunkByteCount, skipped == nil {
            let progress = try tail.readRecord(upTo: limit, expander) { record in
                if record.payload.count > ChangeWindow.byteCountMax {
                    skipped = record.position.lsn
                } else {
                    chunk.append(record)
                }
            }
            if case .gone(let oldest) = progress { skipped = max(oldest, tail.nextLSN) - 1 }
        }
        return (chunk, skipped)
    }
}

extension LogTail {
    /// Passes the next record to `body` with its payload expanded; the start of a leadership has none.
    func readRecord(
        upTo limit: LSN, _ expander: PayloadExpander, _ body: (ChangeRecord) throws(StorageError) -> Void
    ) throws(StorageError) -> Progress {
        try read(upTo: limit, byteCountMax: 1) { record throws(StorageError) in
            let header = record.header
            let isBatch = header.type == .batch || header.type == .ddl
            guard let payload = isBatch ? expander.expand(record.stored, header) : UnsafeRawBufferPointer(start: nil, count: 0)
            else {
                throw .corruption(
                    Corruption(
                        file: "log segment \(Hex.string(record.segmentID))", offset: record.offset, lsn: header.lsn - 1,
                        reason: "a payload does not expand", remedy: "Run `nexadb check` on the data directory"))
            }
            let before = chain ?? 0
            try body(
                ChangeRecord(
                    position: LogPosition(epoch: header.epoch, lsn: header.lsn), isCatalog: header.type == .ddl,
                    chainInFront: before, chainBehind: LogChain.advanced(before, by: header.recordHash), payload: payload))
        }
    }
}
