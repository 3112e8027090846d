import NexaStorage

/// Where the reader and the senders meet: batches to be sent, batches to be filled again, what is settled, and why to stop.
///
/// Invariant: everything in it is touched under its lock. Batches are a fixed number, so memory is bounded however slow the node is; the
/// reader is at most `aheadMax` batches in front of the oldest one that is not settled, so what waits behind that one is bounded as well.
final class ImportExchange: @unchecked Sendable {
    private static let aheadMax: UInt64 = 256

    private let condition = NexaCondition()
    private var ready: [RecordBatch] = []
    private var free: [RecordBatch]
    private var ledger: ImportLedger
    private let rejects: RejectsFile?
    private let keepsOnError: Bool
    private var samples: [Reject] = []
    private var failure: TransferError?
    private var isClosed = false
    private var stopping = false
    private var senderCount = 0
    private var isTouched = false

    /// How many rejects are shown to people.
    static let sampleCountMax = 10

    init(batchCount: Int, ledger: ImportLedger, rejects: RejectsFile?, keepsOnError: Bool) {
        free = (0..<batchCount).map { _ in RecordBatch() }
        self.ledger = ledger
        self.rejects = rejects
        self.keepsOnError = keepsOnError
    }

    // MARK: The reader's side

    enum Room {
        case batch(RecordBatch)
        /// Nothing became free in time.
        case none
        case stopping
    }

    /// A batch to fill, waiting for at most `nanoseconds`.
    func room(for number: UInt64, nanoseconds: UInt64) -> Room {
        condition.withLock {
            if !stopping && !hasRoom(number) { _ = condition.wait(nanoseconds: nanoseconds) }
            if stopping { return .stopping }
            return hasRoom(number) ? .batch(free.removeLast()) : .none
        }
    }

    private func hasRoom(_ number: UInt64) -> Bool { !free.isEmpty && number - ledger.position.batch < Self.aheadMax }

    func push(_ batch: RecordBatch) {
        condition.withLock {
            ready.append(batch)
            condition.broadcast()
        }
    }

    /// No more batches will come.
    func close() {
        condition.withLock {
            isClosed = true
            condition.broadcast()
        }
    }

    /// True when all senders are gone, waiting for at most `nanoseconds`.
    func isDone(nanoseconds: UInt64) -> Bool {
        condition.withLock {
            if senderCount > 0 { _ = condition.wait(nanoseconds: nanoseconds) }
            return senderCount == 0
        }
    }

    /// What is surely done. With `syncing` the rejects of it are on disk.
    func standing(syncing: Bool) throws(TransferError) -> (ImportPosition, ImportCounts, RejectsFile.Mark?) {
        try condition.withLock { () throws(TransferError) in
            if syncing { try rejects?.sync() }
            return (ledger.position, ledger.counts, rejects?.mark)
        }
    }

    var sampledRejects: [Reject] { condition.withLock { samples } }
    var firstFailure: TransferError? { condition.withLock { failure } }

    // MARK: The senders' side

    func enter() { condition.withLock { senderCount += 1 } }

    func leave() {
        condition.withLock {
            senderCount -= 1
            condition.broadcast()
        }
    }

    /// The next batch to send; nil when there is none and, with `waits`, none will come.
    func take(waits: Bool) -> RecordBatch? {
        condition.withLock {
            while waits && ready.isEmpty && !isClosed && !stopping { condition.wait() }
            return stopping || ready.isEmpty ? nil : ready.removeFirst()
        }
    }

    /// Notes what became of a batch, and takes it back.
    func settle(_ batch: RecordBatch) throws(TransferError) {
        try condition.withLock { () throws(TransferError) in
            if !keepsOnError, let first = batch.outcome.rejects.min(by: { $0.record < $1.record }) { throw .refused(first) }
            let end = ImportPosition(batch: batch.number + 1, offset: batch.endOffset, record: batch.endRecord)
            let passed = ledger.settle(batch.number, end: end, batch.outcome)
            samples += passed.prefix(Self.sampleCountMax - samples.count)
            try rejects?.append(passed)
            free.append(batch)
            condition.broadcast()
        }
    }

    /// Whether the node wrote anything in this run, or may have without telling.
    var mayHaveWritten: Bool { condition.withLock { isTouched } }

    func noteWriting() { condition.withLock { isTouched = true } }

    // MARK: Stopping

    /// What is in flight is finished, nothing else is sent.
    func stop(_ error: TransferError? = nil) {
        condition.withLock {
            if failure == nil { failure = error }
            stopping = true
            condition.broadcast()
        }
    }

    var isStopping: Bool { condition.withLock { stopping } }

    /// Sleeps, unless the import stops.
    func pause(nanoseconds: UInt64) {
        condition.withLock {
            var left = nanoseconds
            while !stopping && left > 0 {
                let step = min(left, 50_000_000)
                _ = condition.wait(nanoseconds: step)
                left -= step
            }
        }
    }
}
