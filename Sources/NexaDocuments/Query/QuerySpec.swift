import NexaStorage
import NexaWire

/// A QUERY or COUNT: bytes of the request (compiled by `DocumentWorker.makeQuery`, not kept), already validated as MessagePack.
/// No bytes or nil count as absent.
package struct QuerySpec {
    package var filter = UnsafeRawBufferPointer(start: nil, count: 0)
    /// `{field: 1, ...}`, `{field: 0, ...}` or a list of fields to include.
    package var projection = UnsafeRawBufferPointer(start: nil, count: 0)
    /// `{field: 1 | -1, ...}`, `[[field, 1 | -1], ...]`, `"field"` or `"-field"`.
    package var sort = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The most documents; nil: all. 0: none, but `matchedCount` counts all matches.
    package var limit: Int?
    package var skip = 0
    package var shape: DocumentShape = []
    /// Where to read; a cursor reads at the newest of this and what is visible when it is made.
    package var atLeast: LSN = 0
    /// Give up with TIMEOUT when `MonotonicTime` reaches this.
    package var deadline: UInt64?
    /// What a sort may hold in memory.
    package var sortByteCountMax = 64 << 20

    package init() {}
}

/// How much one step of a cursor may do.
package struct StepBudget: Sendable {
    /// Documents of one step.
    package var documentCountMax: Int
    /// Bytes of output after which a step ends; one document may go over it.
    package var byteCountMax: Int
    /// Time after which a step pauses, checked every few dozen documents.
    package var nanoseconds: UInt64

    package init(documentCountMax: Int = .max, byteCountMax: Int = 256 << 10, nanoseconds: UInt64 = 2_000_000) {
        self.documentCountMax = documentCountMax
        self.byteCountMax = byteCountMax
        self.nanoseconds = nanoseconds
    }
}

/// Why a step ended.
package enum StepOutcome: Sendable {
    /// Documents or bytes of the budget are used up: a chunk is full.
    case full
    /// The time is used up: call again, now or after letting others work.
    case paused
    /// There is no more.
    case done
}
