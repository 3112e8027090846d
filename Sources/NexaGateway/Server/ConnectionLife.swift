/// The requests of one HTTP connection in their order, without its socket: whether it goes on behind an answer, and what becomes of a body
/// that nobody reads any more.
///
///     head ─► (body ─►) end        in: a request may follow before the one in front is answered
///     answer's head ─► answer's end     out: in the order of the requests
///
/// Invariants: nothing is taken in once an answer has said that it is the last; behind an answer that did not wait for its request's body
/// so many bytes of that body are taken and dropped, so that the client comes to reading its answer, and no more.

import NIOCore

package struct ConnectionLife {
    /// What to do with what came.
    package enum Input: Equatable { case forward, drop, cut }
    /// What to do behind an answer.
    package enum Ending: Equatable { case goOn, drain, close }

    private struct Pending {
        var keepsAlive: Bool
        var isOld: Bool
    }

    /// Bytes of a body that are dropped for the sake of its client.
    package static let droppedByteCountMax = 256 << 10

    /// Requests whose answers are not whole, oldest first.
    private var pending = CircularBuffer<Pending>(initialCapacity: 2)
    /// The newest request is not whole.
    private var isReceiving = false
    private var droppedByteCount = 0
    /// Nothing is taken in any more.
    package private(set) var isOver = false
    /// A request came behind one that was to be the last: it is nobody's, and so is what follows.
    private var isIgnoring = false

    package init() {}

    // MARK: In

    package mutating func head(_ head: RequestHead) -> Input {
        guard !isOver, !isIgnoring, pending.last?.keepsAlive ?? true else {
            isIgnoring = true
            return .drop
        }
        isReceiving = true
        pending.append(Pending(keepsAlive: head.keepsAlive, isOld: head.isOld))
        return .forward
    }

    package mutating func body(_ byteCount: Int) -> Input {
        guard !isOver, !isIgnoring else { return .drop }
        guard isUnread else { return .forward }
        droppedByteCount += byteCount
        return droppedByteCount > Self.droppedByteCountMax ? .cut : .drop
    }

    package mutating func end() -> Input {
        isReceiving = false
        return isOver || isIgnoring ? .drop : .forward
    }

    /// What came is no HTTP: the next answer is the last.
    package mutating func fail() { isOver = true }

    /// A body that nobody reads is coming in.
    package var isUnread: Bool { isReceiving && pending.isEmpty }

    // MARK: Out

    /// The head of the answer to the oldest request: how it is written. `isFramed`: where it ends is told in the head.
    package mutating func answerHead(closes: Bool, isFramed: Bool) -> (closes: Bool, isOld: Bool) {
        guard let first = pending.first else { return (true, false) }
        let keepsAlive = first.keepsAlive && !closes && !isOver && (isFramed || !first.isOld)
        pending[pending.startIndex].keepsAlive = keepsAlive
        return (!keepsAlive, first.isOld)
    }

    package mutating func answerEnd() -> Ending {
        guard pending.popFirst()?.keepsAlive == true else {
            isOver = true
            return .close
        }
        droppedByteCount = 0
        return isUnread ? .drain : .goOn
    }
}
