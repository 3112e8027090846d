import NexaStorage
import NexaWire

/// How near two vectors are: the larger the score, the nearer.
package enum VectorMetric: String, Sendable, CaseIterable {
    /// Cosine of the angle, -1 ... 1.
    case cosine
    /// Dot product.
    case dot
    /// Euclidean distance, negated: 0 is the best.
    case l2
}

/// A VECTOR_SEARCH: bytes of the request (compiled by `DocumentWorker.makeVectorSearch`, not kept), already validated as MessagePack.
package struct VectorSearchSpec {
    /// The longest vector.
    package static let dimensionsMax = 65_535
    /// The most results.
    package static let limitMax = 10_000

    /// The value of the request's `vector`: a list of numbers or a `bin` of little-endian float32.
    package var vector: UnsafeRawBufferPointer
    package var filter = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Text of a top-level field or dotted path; empty: `vector`.
    package var field = UnsafeRawBufferPointer(start: nil, count: 0)
    package var limit = 10
    package var metric = VectorMetric.cosine
    package var shape: DocumentShape = []
    /// Where to read; the search reads at the newest of this and what is visible when it is made.
    package var atLeast: LSN = 0
    /// Give up with TIMEOUT when `MonotonicTime` reaches this.
    package var deadline: UInt64?
    /// What the documents of the results may hold in memory.
    package var resultByteCountMax = 64 << 20

    package init(vector: UnsafeRawBufferPointer) { self.vector = vector }
}
