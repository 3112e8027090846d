import NIOConcurrencyHelpers
import NIOCore
import NexaWire

/// The frames of one answer that has several: filled by the event loop, emptied by one task.
///
/// Invariant: what waits here is bounded. The chunks of a cursor are bounded by the credit that was given, so more than `frameCountMax` are
/// a violation; a subscription has no credit, so beyond `byteCountMax` its events are dropped (`isOverflowing`), and it is taken up again
/// where the last one stood that was not. After the last frame or a failure nothing is added.
package final class AnswerStream: Sendable {
    package enum Element: Sendable {
        case reply(Reply)
        case end(NexaError?)
    }

    private struct State {
        var replies: [Reply] = []
        var head = 0
        var byteCount = 0
        var end: Element?
        var waiting: UnsafeContinuation<Element, Never>?
        var isOverflowing = false
    }

    private let lock = NIOLock()
    /// Guarded by `lock`.
    nonisolated(unsafe) private var state = State()

    /// A subscription goes on after SUCCESS, without credit.
    package let isSubscription: Bool
    private let frameCountMax: Int
    private let byteCountMax: Int

    /// For the chunks of a cursor: the node sends two ahead of the credit, a beginning and an end.
    package init() {
        isSubscription = false
        frameCountMax = 8
        byteCountMax = .max
    }

    /// For the events of a subscription.
    package init(subscriptionByteCountMax: Int) {
        isSubscription = true
        frameCountMax = .max
        byteCountMax = subscriptionByteCountMax
    }

    /// Adds a frame. False when the sender sends more than it may.
    func add(_ reply: Reply) -> Bool {
        lock.lock()
        if state.end != nil || state.isOverflowing {
            lock.unlock()
            return true
        }
        if let waiting = state.waiting {
            state.waiting = nil
            lock.unlock()
            waiting.resume(returning: .reply(reply))
            return true
        }
        defer { lock.unlock() }
        guard state.replies.count - state.head < frameCountMax else { return false }
        if state.byteCount + reply.payload.readableBytes > byteCountMax {
            state.isOverflowing = true
            return true
        }
        state.byteCount += reply.payload.readableBytes
        state.replies.append(reply.compacted)
        return true
    }

    /// No more frames. What is there is still given out.
    package func finish(_ error: NexaError?) {
        lock.lock()
        guard state.end == nil else { return lock.unlock() }
        state.end = .end(error)
        let waiting = state.waiting
        state.waiting = nil
        lock.unlock()
        waiting?.resume(returning: .end(error))
    }

    /// The next frame. One task at a time. Cancellation ends the waiting, not the stream.
    package func next() async -> Element {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                lock.lock()
                if state.head < state.replies.count {
                    let reply = state.replies[state.head]
                    state.head += 1
                    state.byteCount -= reply.payload.readableBytes
                    if state.head == state.replies.count {
                        state.replies.removeAll(keepingCapacity: true)
                        state.head = 0
                    }
                    lock.unlock()
                    continuation.resume(returning: .reply(reply))
                } else if let end = state.end {
                    lock.unlock()
                    continuation.resume(returning: end)
                } else if state.isOverflowing {
                    lock.unlock()
                    continuation.resume(returning: .end(nil))
                } else if Task.isCancelled {
                    lock.unlock()
                    continuation.resume(returning: .end(.cancelled))
                } else {
                    state.waiting = continuation
                    lock.unlock()
                    // Cancelled between the look above and now: whoever comes second finds nobody waiting.
                    if Task.isCancelled { stopWaiting(.cancelled) }
                }
            }
        } onCancel: {
            stopWaiting(.cancelled)
        }
    }

    /// Wakes the task that waits, if there is one, without ending the stream.
    package func stopWaiting(_ error: NexaError) {
        let waiting = lock.withLock {
            let waiting = state.waiting
            state.waiting = nil
            return waiting
        }
        waiting?.resume(returning: .end(error))
    }

    /// Whether frames were dropped because nobody took them.
    package var isOverflowing: Bool { lock.withLock { state.isOverflowing } }
}

extension NexaError {
    package static let cancelled = NexaError(.cancelled, "The task was cancelled")
}
