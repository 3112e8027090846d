// Point reads. A reader holds the engine's published view; when nothing was published since its last call, a get costs one
// acquire load of the generation and the probes themselves: no lock, no allocation.

import Synchronization

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
    private var view: View
    private var generation: UInt64
    /// Keeps the block of the last value. Behind a pointer, so that no access is checked at run time.
    private let pin: UnsafeMutablePointer<BlockPin>

    init(engine: Engine) {
        self.engine = engine
        (view, generation) = engine.views.load()
        pin = .allocate(capacity: 1)
        pin.initialize(to: BlockPin())
    }

    /// The block goes before the view, which may hold the last reference to the cache that the block lies in.
    deinit {
        pin.deinitialize(count: 1)
        pin.deallocate()
    }

    /// The value of `key` as of `lsn`; `.max` reads the newest applied state, in flight included. With `mayBlock` false a
    /// read that would need the disk throws `wouldBlock`.
    package func get(
        _ key: UnsafeRawBufferPointer, at lsn: LSN, mayBlock: Bool = true
    ) throws(StorageError) -> StoredValue? {
        refresh()
        let lsn = lsn >= view.floor ? lsn : engine.readable(lsn, floor: view.floor)
        return try view.get(key, at: lsn, pin: &pin.pointee, mayBlock: mayBlock)
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
        refresh()
        let lsn = lsn >= view.floor ? lsn : engine.readable(lsn, floor: view.floor)
        return EngineIterator(view: view, lowerBound: lowerBound, upperBound: upperBound, at: lsn, fillCache: fillCache)
    }

    /// Drops the cached view, so that an idle thread keeps no memtable and no table alive.
    package func release() {
        pin.pointee.release()
        view = engine.emptyView
        generation = 0
    }

    @inline(__always)
    private func refresh() {
        if engine.views.generation.load(ordering: .acquiring) != generation { (view, generation) = engine.views.load() }
    }
}
