/// A read that waits until a position is visible on this node. It holds no thread, no snapshot and no lock: only a copy of its request.

import NexaStorage

struct ParkedRead {
    let handler: ConnectionHandler
    let task: PoolTask
    let lsn: LSN
    /// In `MonotonicTime`.
    let deadline: UInt64
}
