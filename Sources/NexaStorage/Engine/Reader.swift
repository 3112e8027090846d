// Point reads. A reader holds the engine's published view; when nothing was published since its last call, a get costs one
// acquire load of the generation and the probes themselves: no lock, no allocation, no reference counting per key.

/// Bytes of a value as the engine stores them.
package struct StoredValue {
    /// The value; valid until the next call on the reader that returned it.
    package let bytes: UnsafeRawBufferPointer
    /// LSN of the write that made it.
    package let lsn: LSN
}

/// Reads of one thread. Not Sendable.
package final class Reader {
    private let engine: Engine

    init(engine: Engine) {
        self.engine = engine
    }

    /// The value of `key` as of `lsn`; `.max` reads the newest applied state, in flight included. With `mayBlock` false a
    /// read that would need the disk throws `wouldBlock`.
    package func get(
        _ key: UnsafeRawBufferPointer, at lsn: LSN, mayBlock: Bool = true
    ) throws(StorageError) -> StoredValue? {
        fatalError("not built yet")
    }

    /// `key` has a value as of `lsn`.
    package func exists(_ key: UnsafeRawBufferPointer, at lsn: LSN, mayBlock: Bool = true) throws(StorageError) -> Bool {
        try get(key, at: lsn, mayBlock: mayBlock) != nil
    }

    /// An iterator over `lowerBound ..< upperBound` (nil: no bound) as of `lsn`. With `fillCache` false the blocks that it
    /// reads do not push others out of the cache.
    package func makeIterator(
        lowerBound: [UInt8]? = nil, upperBound: [UInt8]? = nil, at lsn: LSN, fillCache: Bool = true
    ) -> EngineIterator {
        fatalError("not built yet")
    }

    /// Drops the cached view, so that an idle thread keeps no memtable and no table alive.
    package func release() {
        fatalError("not built yet")
    }
}
