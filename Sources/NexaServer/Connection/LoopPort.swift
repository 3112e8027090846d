/// The door through which other threads reach an event loop's connections: at most one wake-up is under way for each loop,
/// however many commit groups and connections it stands for.
///
/// Why no wake-up is lost: a loop raises `isWaiting` *before* it looks at the acknowledged position for the last time, and the
/// log role moves that position *before* it looks at `isWaiting`; a full fence on both sides orders each store before its load.

import NIOCore
import NexaStorage
import Synchronization

package final class LoopPort: Sendable {
    package let eventLoop: any EventLoop
    private let isWaiting = Atomic<Bool>(false)
    private let isPosted = Atomic<Bool>(false)
    private let watcherCount = Atomic<Int>(0)
    private let isReadPosted = Atomic<Bool>(false)
    /// See `oldestChange`; `.max`: none.
    private let oldest = Atomic<LSN>(.max)
    /// Set once before the first wake-up; the context itself is touched on the loop only.
    private let context: NIOLoopBound<LoopContext>

    init(eventLoop: any EventLoop, context: LoopContext) {
        self.eventLoop = eventLoop
        self.context = NIOLoopBound(context, eventLoop: eventLoop)
    }

    /// On the loop: some connection holds answers until the log has moved. Look at the acknowledged position again after this.
    func beginWaiting() {
        isWaiting.store(true, ordering: .relaxed)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    /// On the loop: nobody waits any more.
    func endWaiting() { isWaiting.store(false, ordering: .relaxed) }

    // MARK: Change streams

    /// On the loop: so many of its connections have subscriptions.
    func noteWatchers(_ count: Int) {
        watcherCount.store(count, ordering: .releasing)
        if count == 0 { oldest.store(.max, ordering: .relaxed) }
    }

    /// On the loop, now and then: the record that the slowest of its subscriptions needs next.
    func noteOldestChange(_ lsn: LSN?) { oldest.store(lsn ?? .max, ordering: .relaxed) }

    /// The record that the slowest subscription of the loop needed next a moment ago.
    var oldestChange: LSN { oldest.load(ordering: .relaxed) }

    /// On any thread: records were read that subscriptions may have waited for.
    func changesRead() {
        guard watcherCount.load(ordering: .acquiring) > 0 else { return }
        guard !isReadPosted.exchange(true, ordering: .acquiringAndReleasing) else { return }
        eventLoop.execute {
            _ = self.isReadPosted.exchange(false, ordering: .acquiringAndReleasing)
            self.context.value.pumpWatchers()
        }
    }

    /// On the thread with the log role, after the acknowledged position moved or the log failed.
    func logMoved() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard isWaiting.load(ordering: .relaxed), !eventLoop.inEventLoop else { return }
        guard !isPosted.exchange(true, ordering: .acquiringAndReleasing) else { return }
        eventLoop.execute {
            // An exchange, so that this reads what the last poster wrote before it found the flag raised.
            _ = self.isPosted.exchange(false, ordering: .acquiringAndReleasing)
            self.context.value.releaseHeldAnswers(isWake: true)
        }
    }
}
