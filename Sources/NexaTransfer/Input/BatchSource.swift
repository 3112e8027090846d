import NexaWire

/// Cuts the input into batches: the same batches each time, from the start or from the end of any of them. Confined to one thread.
final class BatchSource {
    /// A longer record is no record, but a quote or bracket that is not closed.
    static let recordByteCountMax = 64 << 20
    private static let endlessRecord = "the record does not end within 64 MiB"
    private static let endlessValue = "the value does not end within 64 MiB, or is no MessagePack"

    private let window: InputWindow
    private var cutter: RecordCutter
    private let limits: BatchLimits
    private var nextBatch: UInt64
    private var nextRecord: UInt64
    /// Columns of a delimited file.
    let columns: [String]
    let identity: InputIdentity
    /// Which file is read.
    var file: FileIdentity { window.identity }

    /// Opens the input and reads its head: a byte order mark, the header row, an array's bracket.
    init(_ input: InputPlan, limits: BatchLimits) throws(TransferError) {
        window = try InputWindow(path: input.path)
        self.limits = limits
        while window.bytes.count < InputIdentity.prefixByteCountMax && !window.isAtEnd { try window.fill() }
        identity = InputIdentity(window.file, beginning: window.bytes)
        let head = try InputHead(input, window)
        window.consume(head.byteCount)
        columns = head.columns
        cutter = RecordCutter(head.shape, isFirst: true)
        nextBatch = 0
        nextRecord = head.hasHeaderRow ? 2 : 1
    }

    /// Goes to where an earlier run stood.
    func resume(at position: ImportPosition) throws(TransferError) {
        guard position.batch > 0 else { return }
        try window.skip(to: position.offset)
        cutter.isFirst = false
        nextBatch = position.batch
        nextRecord = position.record
    }

    /// Where the next batch begins.
    var position: ImportPosition { ImportPosition(batch: nextBatch, offset: window.offset, record: nextRecord) }

    /// Fills `batch` with the next records; false when there are none. While the input is silent `goesOn` is asked now and then.
    func next(_ batch: RecordBatch, while goesOn: () -> Bool) throws(TransferError) -> Bool {
        batch.begin(number: nextBatch, offset: window.offset, firstRecord: nextRecord)
        var at = 0
        var isEnd = false
        while !isEnd && batch.records.count < limits.records && at < limits.bytes {
            var fault: String?
            switch cutter.next(in: window.bytes, from: at, isWhole: window.isAtEnd) {
            case .record(let range, let next):
                batch.append(range)
                at = next
            case .needsMore where window.bytes.count - at <= Self.recordByteCountMax: try window.fill(while: goesOn)
            case .needsMore: fault = cutter.shape == .messagePack ? Self.endlessValue : Self.endlessRecord
            case .end: isEnd = true
            case .broken(let reason): fault = reason
            }
            guard let fault else { continue }
            // What stands in front of the fault is sent first.
            if batch.records.isEmpty { throw broken(fault, at, batch) }
            isEnd = true
        }
        guard !batch.records.isEmpty else { return false }
        batch.fill(UnsafeRawBufferPointer(rebasing: window.bytes[..<at]))
        window.consume(at)
        nextBatch += 1
        nextRecord = batch.endRecord
        return true
    }

    private func broken(_ reason: String, _ at: Int, _ batch: RecordBatch) -> TransferError {
        .unusable("record \(batch.endRecord), at byte \(window.offset + UInt64(at)): \(reason)")
    }
}

/// What a batch may hold. Part of what makes cuts repeatable, so the state file keeps it.
package struct BatchLimits: Equatable, Sendable {
    package var records = 500
    /// A batch ends with the record that reaches it.
    package var bytes = 1 << 20

    package init() {}
}
