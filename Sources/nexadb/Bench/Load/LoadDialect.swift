/// What one answer turned out to be.
enum AnswerKind: UInt8 {
    case fine
    /// The record is not there.
    case miss
    /// The server says no.
    case refused
    /// Not the protocol: the run cannot go on.
    case malformed
}

/// The next answer in a receive buffer.
struct ScannedAnswer {
    /// Bytes of the whole answer; 0 when it is not complete yet.
    var byteCount: Int
    var kind: AnswerKind
    static let incomplete = ScannedAnswer(byteCount: 0, kind: .fine)
}

/// How requests are written and answers read: the only part of the load generator that knows a protocol. The loop is generic over
/// it and specialised for each, so that both sides of a comparison are driven by the same machine code but for these calls.
protocol LoadDialect: Sendable {
    /// Appends one request. `batchFirst` is the first id of a batch, ids of a batch are `batchStride` apart.
    func encode(_ request: LoadRequest, into queue: inout ByteQueue)
    /// Looks at the first answer of `count` bytes at `bytes`.
    func scan(_ bytes: UnsafeRawPointer, _ count: Int, answering operation: LoadOperation) -> ScannedAnswer
    /// Whether a fine answer says what it must: looked at for a sample.
    func isRight(_ bytes: UnsafeRawPointer, _ count: Int, answering request: LoadRequest) -> Bool
    /// Nil when this protocol can do `operation`, otherwise why not.
    func whyNot(_ operation: LoadOperation) -> String?
    /// The refusal in `bytes` as text.
    func refusal(_ bytes: UnsafeRawPointer, _ count: Int) -> String
}

/// One request before it is bytes.
struct LoadRequest {
    var operation: LoadOperation
    var age: UInt8 = 18
    var limit: UInt8 = 10
    /// The record; for a batch the first of them.
    var id: UInt64
    /// Distance of the ids in a batch.
    var stride: UInt64 = 1
}
