// Counters of the work behind the writers. The pipeline and the log role count their own.

import Synchronization

/// What flushes and compactions did since the engine was opened.
final class EngineCounters: Sendable {
    let flushCount = Atomic<UInt64>(0)
    let flushByteCount = Atomic<UInt64>(0)
    let compactionCount = Atomic<UInt64>(0)
    let trivialMoveCount = Atomic<UInt64>(0)
    let compactionReadByteCount = Atomic<UInt64>(0)
    let compactionWrittenByteCount = Atomic<UInt64>(0)
    let delayNanoseconds = Atomic<UInt64>(0)

    init() {}
}
