import NexaWire

/// A run of records of the input, cut by count and size: what is parsed, sent and acknowledged as one.
///
/// Invariant: handed from the reader to one sender and back, so one thread at a time uses it. Reused, so that steady work allocates nothing.
final class RecordBatch: @unchecked Sendable {
    struct Record {
        /// In the batch's bytes.
        var start: UInt32
        var end: UInt32
    }

    /// From 0, without gaps.
    private(set) var number: UInt64 = 0
    /// Where its bytes begin in the input.
    private(set) var offset: UInt64 = 0
    /// Number of the first record in the input, from 1. Of lines, blank ones count.
    private(set) var firstRecord: UInt64 = 1
    private(set) var records: ContiguousArray<Record> = []
    private let storage = OutputBytes(capacity: 128 << 10)
    /// It may have been sent before: by a run that was killed, or on a connection that broke.
    var isRepeat = false
    /// What became of its records so far.
    var outcome = BatchOutcome()

    var bytes: UnsafeRawBufferPointer { storage.bytes }
    var endOffset: UInt64 { offset + UInt64(storage.byteCount) }
    /// Number of the record behind it.
    var endRecord: UInt64 { firstRecord + UInt64(records.count) }

    func begin(number: UInt64, offset: UInt64, firstRecord: UInt64) {
        self.number = number
        self.offset = offset
        self.firstRecord = firstRecord
        records.removeAll(keepingCapacity: true)
        storage.removeAll(keepingCapacity: storage.capacityByteCount <= 8 << 20)
        isRepeat = false
        outcome = BatchOutcome()
    }

    func append(_ range: Range<Int>) {
        records.append(Record(start: UInt32(range.lowerBound), end: UInt32(range.upperBound)))
    }

    func fill(_ bytes: UnsafeRawBufferPointer) { storage.append(bytes) }

    /// The bytes of a record, without its line's end.
    @inline(__always)
    func record(_ index: Int) -> UnsafeRawBufferPointer {
        let record = records[index]
        return UnsafeRawBufferPointer(rebasing: storage.bytes[Int(record.start)..<Int(record.end)])
    }

    func reject(_ index: Int, _ reason: String) {
        outcome.rejects.append(
            Reject(
                record: firstRecord + UInt64(index), offset: offset + UInt64(records[index].start), bytes: [UInt8](record(index)),
                reason: reason))
    }
}

/// What became of the records of a batch.
package struct BatchOutcome: Sendable {
    /// Documents that the node wrote.
    package var written = 0
    /// Documents that an earlier sending of the same batch had written.
    package var present = 0
    package var rejects: [Reject] = []

    package init() {}
}

/// A record that is not in the collection, with what a person needs to mend it.
package struct Reject: Equatable, Sendable, CustomStringConvertible {
    package let record: UInt64
    package let offset: UInt64
    package let bytes: [UInt8]
    package let reason: String

    package init(record: UInt64, offset: UInt64, bytes: [UInt8], reason: String) {
        self.record = record
        self.offset = offset
        self.bytes = bytes
        self.reason = reason
    }

    package var description: String { "record \(record), at byte \(offset): \(reason)" }
}
