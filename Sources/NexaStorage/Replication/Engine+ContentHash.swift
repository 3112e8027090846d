// What an engine holds in a range of keys, hashed at one LSN, so that nodes can be compared.

extension Engine {
    /// Hashes the entries in `lowerBound ..< upperBound` (nil: no bound) as `snapshot` sees them; `portable` gives the part of a value that
    /// is the same on every node. Reads everything, past the cache, in steps of `stepEntryCount` entries, after each of which `goesOn` is
    /// asked; nil when it says no.
    package func contentHash(
        lowerBound: [UInt8]? = nil, upperBound: [UInt8]? = nil, at snapshot: Snapshot, stepEntryCount: Int = 4096,
        portable: (UnsafeRawBufferPointer) -> UnsafeRawBufferPointer = { $0 }, goesOn: () -> Bool = { true }
    ) throws(StorageError) -> ContentHash? {
        var hash = ContentHash()
        let entries = makeReader().makeIterator(
            lowerBound: lowerBound, upperBound: upperBound, at: snapshot.lsn, fillCache: false)
        try entries.seekToFirst()
        while entries.isValid {
            hash.add(key: entries.key, value: portable(entries.value))
            if hash.entryCount % UInt64(stepEntryCount) == 0, !goesOn() { return nil }
            try entries.next()
        }
        return hash
    }

    /// Pins exactly `lsn`, so that several nodes can be compared there; nil when it is not visible yet, or when a flush or a compaction may
    /// have dropped what it showed: then a newer one has to be agreed on.
    package func makeSnapshot(at lsn: LSN) -> Snapshot? {
        guard snapshots.pin(exactly: lsn, visible: { visibleLSN }) else { return nil }
        return Snapshot(lsn: lsn, list: snapshots)
    }
}
