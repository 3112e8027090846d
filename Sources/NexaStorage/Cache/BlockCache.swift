/// Decoded, checked blocks in memory: a hard byte capacity, reference-counted pins, one reader per missing block.
package final class BlockCache: Sendable {
    package init(capacity: Int) throws(StorageError) { fatalError("not built yet") }
    package struct Statistics: Sendable {
        package var hits: UInt64 = 0
        package var misses: UInt64 = 0
        package var evictions: UInt64 = 0
        package var byteCount = 0
        package var entryCount = 0
        /// Blocks that were handed out beside the cache because everything in it was pinned.
        package var uncached: UInt64 = 0
    }
    package var statistics: Statistics { fatalError("not built yet") }
    package var byteCount: Int { fatalError("not built yet") }
    package var capacity: Int { fatalError("not built yet") }
}

/// Keeps one block alive. Reuse one pin for many look-ups: the same block again costs nothing. Must not outlive the cache.
package struct BlockPin: ~Copyable {
    package init() {}
    /// Lets go of the block now.
    package mutating func release() {}
}
