import NIOConcurrencyHelpers
import NexaWire

/// Who waits for an answer.
package enum Waiter: Sendable {
    /// One frame answers.
    case once(UnsafeContinuation<Outcome, Never>)
    /// Frames come until one of them is the last.
    case stream(AnswerStream)
    /// An answer comes, and nobody is interested.
    case nobody
}

/// A request that is encoded and has not met the event loop yet.
struct Submission {
    /// Where its frame begins in the outbox's bytes.
    let offset: Int
    let waiter: Waiter?
    let ticket: UInt64
    let deadline: UInt64
}

/// Where callers leave their requests and the event loop fetches them: any number of callers, one loop, one lock that is held for the
/// encoding of a request and never over I/O.
///
/// Invariant: whoever puts the first request into an empty outbox is told to wake the loop, and the loop takes all that has gathered: a
/// wake-up and a write to the socket are shared by everything that came in the meantime. Requests are encoded without their ids; the
/// loop patches those in, so ids and slots never leave it.
final class Outbox: Sendable {
    struct Batch {
        var bytes = OutputBytes(capacity: 16 << 10)
        var submissions: [Submission] = []
    }

    private struct State {
        var batch = Batch()
        /// The batch that the loop gave back: its memory is used again.
        var spare: Batch? = Batch()
        var isLoopAwake = false
        var closed: NexaError?
    }

    enum Placed {
        case placed(wakesLoop: Bool)
        case refused(NexaError)
    }

    private let lock = NIOLock()
    /// Guarded by `lock`.
    nonisolated(unsafe) private var state = State()

    /// Encodes a request with `encode`, which answers the offset of its frame, or why there is none.
    @inline(__always)
    func place(
        _ waiter: Waiter?, ticket: UInt64, deadline: UInt64, _ encode: (OutputBytes) -> Result<Int, NexaError>
    ) -> Placed {
        lock.lock()
        defer { lock.unlock() }
        if let closed = state.closed { return .refused(closed) }
        switch encode(state.batch.bytes) {
        case .failure(let error): return .refused(error)
        case .success(let offset):
            state.batch.submissions.append(Submission(offset: offset, waiter: waiter, ticket: ticket, deadline: deadline))
            let wakesLoop = !state.isLoopAwake
            state.isLoopAwake = true
            return .placed(wakesLoop: wakesLoop)
        }
    }

    /// All that has gathered; the next request wakes the loop again. Give the batch back with `recycle`.
    func take() -> Batch? {
        lock.withLock {
            state.isLoopAwake = false
            guard !state.batch.bytes.isEmpty else { return nil }
            let full = state.batch
            state.batch = state.spare ?? Batch()
            state.spare = nil
            return full
        }
    }

    func recycle(_ batch: consuming Batch) {
        var batch = batch
        batch.bytes.removeAll(keepingCapacity: batch.bytes.capacityByteCount <= 1 << 20)
        batch.submissions.removeAll(keepingCapacity: true)
        let empty = batch
        lock.withLock { state.spare = empty }
    }

    /// No more requests. Answers those that never left.
    func close(_ error: NexaError) -> [Waiter] {
        lock.withLock {
            guard state.closed == nil else { return [] }
            state.closed = error
            let waiters = state.batch.submissions.compactMap(\.waiter)
            state.batch = Batch()
            return waiters
        }
    }
}
