// What a leader's replication asks of its engine beside the epoch.

import Synchronization

extension Engine {
    /// Takes commits again after `follow`, in the epoch that the log is in: for a leader that only held its writes for a moment. Whoever
    /// calls it vouches that nothing was appended meanwhile.
    package func resumeLeading() {
        appending.withLock {
            pipeline.gate.withLock { pipeline.state.pointee.isFollowing = false }
        }
    }

    /// Bytes handed to the log since the engine was opened. One atomic load.
    package var loggedByteCount: UInt64 { log.byteCount.load(ordering: .relaxed) }
}
