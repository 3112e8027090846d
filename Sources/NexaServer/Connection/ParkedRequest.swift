/// A request that waits: a read until a position is visible on this node, a write until leadership is handed over. It holds no thread, no
/// snapshot and no lock: only a copy of its request.

import NexaStorage

struct ParkedRequest {
    enum Event {
        case visible(LSN)
        /// The gate shows another number of changes.
        case gate(changes: UInt64)
    }

    let handler: ConnectionHandler
    let task: PoolTask
    let event: Event
    /// In `MonotonicTime`.
    let deadline: UInt64
}
