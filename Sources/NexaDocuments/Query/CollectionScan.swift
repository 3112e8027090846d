import NexaStorage
import NexaWire

/// A walk over the documents of one collection in key order, at one snapshot, that can pause for as long as its reader likes.
///
/// While it stands it holds the engine's memtables and tables of its moment; `park` lets them go and keeps only the snapshot
/// and the key to go on at. Confined to one thread at a time.
final class CollectionScan {
    /// The position that the scan reads. It may be ahead of what others see: behind writes of its own connection.
    var lsn: LSN { snapshot.lsn }
    private let snapshot: Snapshot
    private let reader: Reader
    private let lower: [UInt8]
    private let upper: [UInt8]
    /// The document keys that alone can match, in order; nil: all within the bounds. What lies between two of them is jumped over.
    private let targets: [[UInt8]]?
    private var nextTarget = 0
    private var targetKey: [UInt8] = []
    private var iterator: EngineIterator?
    /// Where to go on after `park`: the engine's key of the next document.
    private var resumeKey: [UInt8]?
    private var isAtEnd = false

    /// A scan of the keys in `range`, at the newest of `atLeast` and what is visible now.
    init(_ engine: Engine, _ collection: Collection, range: KeyRange = KeyRange(), atLeast: LSN) {
        snapshot = engine.makeSnapshot(atLeast: atLeast)
        reader = engine.makeReader()
        let space = collection.keySpace
        lower = range.lower.map { space.lower + $0 } ?? space.lower
        upper = range.upper.map { space.lower + $0 } ?? space.upper
        targets = range.exactKeys
        isAtEnd = range.isEmpty
    }

    deinit { snapshot.release() }

    /// The iterator, on the next document or at the end: what a step works with. Nil if the range is empty.
    func stand() throws(DocumentError) -> EngineIterator? {
        if let iterator { return iterator }
        if isAtEnd || !lower.lexicographicallyPrecedes(upper) { return nil }
        let fresh = reader.makeIterator(lowerBound: resumeKey ?? lower, upperBound: upper, at: lsn)
        do { try fresh.seekToFirst() } catch { throw DocumentError(error) }
        iterator = fresh
        return fresh
    }

    /// From the document that `documents` stands on to the next one.
    @inline(__always)
    func advance(_ documents: EngineIterator) throws(DocumentError) {
        do {
            try documents.next()
            if let targets { try jump(documents, to: targets) }
        } catch {
            throw DocumentError(error)
        }
    }

    /// To the first target that is not in front of where `documents` stands, or to what is there in its place. One seek a document, so that
    /// the budget of a step holds for targets that are missing as well.
    private func jump(_ documents: EngineIterator, to targets: [[UInt8]]) throws(StorageError) {
        guard documents.isValid else { return }
        let key = DocumentWorker.documentKey(documents.key)
        while nextTarget < targets.count, targets[nextTarget].lexicographicallyPrecedes(key) { nextTarget += 1 }
        guard nextTarget < targets.count, !targets[nextTarget].elementsEqual(key) else { return }
        targetKey.removeAll(keepingCapacity: true)
        targetKey += lower[..<Collection.prefixByteCount]
        targetKey += targets[nextTarget]
        let outcome: Result<Void, StorageError> = targetKey.withUnsafeBytes { bytes in
            Result { () throws(StorageError) in try documents.seek(to: bytes) }
        }
        try outcome.get()
    }

    /// Lets go of the engine's memory between two steps.
    func park() {
        guard let iterator else { return }
        if iterator.isValid { resumeKey = Array(iterator.key) } else { isAtEnd = true }
        self.iterator = nil
        reader.release()
    }
}

/// Decides when a step looks at the clock, and what it finds there: cancelled, past the deadline, or out of time.
///
/// A look costs about 25 ns; one for every 64 documents, or every 256 KiB, keeps it below a percent. Within a document, `FilterProgress`
/// asks for more.
struct StepClock {
    private static let creditMax = 64

    private let sliceEnd: UInt64
    private let deadline: UInt64?
    private var credit = StepClock.creditMax

    init(_ budget: StepBudget, deadline: UInt64?) {
        let (end, overflow) = MonotonicTime.nanoseconds().addingReportingOverflow(budget.nanoseconds)
        sliceEnd = overflow ? .max : end
        self.deadline = deadline
    }

    /// Counts one document; true if the step should pause before it.
    @inline(__always)
    mutating func isTimeUp(after byteCount: Int, _ cancellation: Cancellation) throws(DocumentError) -> Bool {
        credit -= 1 + byteCount >> 12
        if credit > 0 { return false }
        credit = Self.creditMax
        return try look(cancellation)
    }

    /// Looks at the clock now.
    @inline(never)
    func look(_ cancellation: Cancellation) throws(DocumentError) -> Bool {
        if cancellation.isCancelled { throw DocumentError(.cancelled, "The request was cancelled") }
        let now = MonotonicTime.nanoseconds()
        if let deadline, now >= deadline { throw DocumentError(.timeout, "The request took longer than its timeout_ms") }
        return now >= sliceEnd
    }
}
